"""The file that a search's study is kept in, to which its trials' processes append: Optuna's journal, without SQL."""

import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

STUDY = "trainlab"  # the one in a journal; Hyperband draws a trial's bracket from it and the trial's number


def open_journal(path: Path) -> JournalStorage:
    """The journal, made if need be.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return JournalStorage(JournalFileBackend(str(path.absolute())))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); remove it to search anew: the runs are kept") from None


def mend_journal(path: Path) -> None:
    """Take away what processes leave that are killed while they write: half a line, a lock. For who has it alone."""
    if not path.exists():
        return
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
    Path(f"{path}.lock").unlink(missing_ok=True)


def trial_id(storage: JournalStorage, number: int) -> int:
    """What the storage calls a trial."""
    return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(STUDY), number)
