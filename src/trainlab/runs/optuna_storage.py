"""The journal of a search's study: a file to which the processes of its trials append, on any host."""

import os
from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

STUDY = "trainlab"  # the one in a journal; Hyperband draws a trial's bracket from it and the trial's number
_GRACE_S = 30  # after which a lock counts as left by a process that was killed; it is held for some milliseconds


def open_journal(path: Path) -> JournalStorage:
    """The journal, created if it does not exist.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return JournalStorage(JournalFileBackend(str(path.absolute()), _Lock(path.absolute())))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); remove it to search anew: the runs are kept") from None


def mend_journal(path: Path, is_alone: bool) -> None:
    """Remove what a process that was killed while writing leaves: half a line, a lock.

    Args:
        path: the journal.
        is_alone: whether no other process has it open. Otherwise a lock counts as left only after a while.
    """
    if not path.exists():
        return
    if is_alone:
        Path(f"{path}.lock").unlink(missing_ok=True)
    lock = _Lock(path.absolute())
    lock.acquire()
    lock.release()


def trial_id(storage: BaseStorage, number: int, study: str = STUDY) -> int:
    """The id of a trial in the storage."""
    return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(study), number)


class _Lock(JournalFileSymlinkLock):
    """A symbolic link, which one process alone can make, on NFS too. Who holds it finds the journal with whole lines.

    A process may have been killed while it appended one; what another one appends would become part of it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _GRACE_S)
        self._path = path

    def acquire(self) -> bool:
        super().acquire()
        try:
            _drop_half_line(self._path)
        except BaseException:
            self.release()
            raise
        return True


def _drop_half_line(path: Path) -> None:
    """Cut a file after its last whole line."""
    with path.open("r+b") as file:
        if not file.seek(0, os.SEEK_END):
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
