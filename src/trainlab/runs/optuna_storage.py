"""The storage of a search's study: Optuna's journal, a file to which the processes of its trials append."""

import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

STUDY = "trainlab"  # the one in a journal; Hyperband draws a trial's bracket from it and the trial's number


def open_journal(path: Path) -> JournalStorage:
    """The journal, created if it does not exist.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return JournalStorage(JournalFileBackend(str(path.absolute())))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); remove it to search anew: the runs are kept") from None


def mend_journal(path: Path) -> None:
    """Remove what a process that was killed while writing leaves: half a line, a lock. No other may have it open."""
    if not path.exists():
        return
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
    Path(f"{path}.lock").unlink(missing_ok=True)


def trial_id(storage: JournalStorage, number: int) -> int:
    """The id of a trial in the storage."""
    return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(STUDY), number)
