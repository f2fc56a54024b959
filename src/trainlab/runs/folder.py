"""The folder of a run: its lease, what an earlier process left, and how the end of this one is recorded."""

import contextlib
import logging
import shutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trainlab.passwords import without_passwords
from trainlab.runs.errors import Diverged, Interrupted, LeaseLost
from trainlab.runs.files import describe_os_error, missing_folders, remove_empty, write_atomically
from trainlab.runs.fingerprint import differences, fingerprint, is_debug_run, kept_when_continued
from trainlab.runs.lease import Lease, discard, held
from trainlab.runs.result import CONTINUATION, Result

log = logging.getLogger(__name__)
LAST = Path("checkpoints", "last.ckpt")  # in the folder of a run


def earlier_run(folder: Path, config: Mapping[str, Any], ckpt_path: str | None) -> Result | None:
    """The result in ``folder``, if it is of these settings and there is something to continue.

    Raises:
        ValueError: it is of other settings and no checkpoint of it is named, or one of the two is a debug run.
        Diverged: it diverged; training is deterministic.
    """
    previous = Result.read(folder)
    if previous is None or (previous.status == "failed" and not (folder / LAST).exists()):
        return None
    if previous.fingerprint == fingerprint(config):
        if previous.status == "diverged":
            assert previous.error is not None
            raise Diverged(f"{folder} diverged before: {previous.error['message']}")
        return None if previous.status == "debug" else previous
    old = _settings_of(folder)
    if is_debug_run(old) or is_debug_run(config):
        held, this = ("a debug run", "another run") if is_debug_run(old) else ("another run", "a debug run")
        raise ValueError(f"{folder} holds {held} and cannot be that of {this}; set another name=, or remove the folder")
    if ckpt_path is None or not is_own_checkpoint(ckpt_path, folder):
        changes = "; ".join(differences(old, config)) or "config.yaml is not the one that it was trained with"
        fits = not (kept := kept_when_continued(old, config))
        way_out = (
            "or ckpt_path=last to continue that run with the new ones" if fits else f"as ckpt_path=last keeps {kept}"
        )
        raise ValueError(f"{folder} holds a run with other settings ({changes}). Set another name=, {way_out}")
    return None


def is_own_checkpoint(ckpt_path: str, folder: Path) -> bool:
    """Whether ``ckpt_path`` is a checkpoint of the run in ``folder``, and not one of a continuation begun in it."""
    path, own = Path(ckpt_path).resolve(), folder.resolve()
    return ckpt_path == "last" or (path.is_relative_to(own) and not path.is_relative_to(own / CONTINUATION))


def _settings_of(folder: Path) -> dict[str, Any]:
    """The settings of the run in ``folder``."""
    path = folder / "config.yaml"
    try:
        settings = yaml.safe_load(path.read_bytes())
        if isinstance(settings, dict) and settings and all(isinstance(key, str) for key in settings):
            return settings
        reason = "it holds no settings"
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).splitlines()[0]
    raise ValueError(f"{path} is damaged or missing ({reason}); remove {folder}, or set another name=")


def has_ended(previous: Result, trial: Mapping[str, Any] | None) -> bool:
    """Whether nothing is left to do: the run is completed, or was pruned and is again a ``trial`` of a search."""
    return previous.status == "completed" or (previous.status == "pruned" and bool(trial))


def has_moved(located_by: str, folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether the setting ``located_by`` of the data of the run in ``folder`` was another."""
    here = config["data"].get(located_by)
    return here is not None and _settings_of(folder)["data"].get(located_by) != here


@contextlib.contextmanager
def result_written(result: Result, folder: Path) -> Iterator[None]:
    """Write the result at the end, also after an error, unless another process has taken over the folder."""
    try:
        yield
    except LeaseLost as error:
        error.in_training = True  # type: ignore[attr-defined]  # as below
        raise
    except BaseException as error:
        interrupted = is_interruption(error)
        result.status = "diverged" if isinstance(error, Diverged) else "interrupted" if interrupted else "failed"
        if not interrupted:
            result.error = {
                "type": type(error).__name__,
                "message": _message(error),
                "traceback": str(folder / "traceback.txt"),
            }
            with contextlib.suppress(OSError):  # on a full disk the result is more important
                write_atomically(folder / "traceback.txt", without_passwords(traceback.format_exc()).encode())
        with contextlib.suppress(OSError):  # the first error is raised below
            result.write(folder)
        error.in_training = True  # type: ignore[attr-defined]  # for the exit status: no mistake in the settings
        if interrupted and not isinstance(error, Interrupted):
            raise Interrupted from error
        raise
    result.write(folder)


def is_interruption(error: BaseException) -> bool:
    """Whether an exception was caused by Ctrl-C, which Lightning turns into SystemExit, or by SIGTERM."""
    from lightning.pytorch.utilities.exceptions import SIGTERMException  # takes seconds, and mistakes come before

    cause = error.__context__ if isinstance(error, SystemExit) else None
    return isinstance(error, KeyboardInterrupt | SIGTERMException) or isinstance(cause, KeyboardInterrupt)


@contextlib.contextmanager
def clean_up_on_error(folder: Path) -> Iterator[None]:
    """After an error in the settings, remove what Hydra has written, and the folder if it is empty then.

    If the folder did not exist before, neither do its parents afterwards that did not.
    """
    made = [folder, *(path for path in missing_folders(folder) if path != folder)]
    try:
        yield
    except Exception:
        clean_up(folder, made)
        raise


def clean_up(folder: Path, made: Sequence[Path]) -> None:
    """Remove what Hydra has written to a folder that holds no run, and those of ``made`` that are empty then."""
    if (folder / "config.yaml").exists():
        return
    for handler in logging.root.handlers[:]:
        if isinstance(handler, logging.FileHandler) and folder.resolve() in Path(handler.baseFilename).parents:
            logging.root.removeHandler(handler)  # it would write to the folder at the next line
    shutil.rmtree(folder / ".hydra", ignore_errors=True)
    discard(folder)
    remove_empty(made)


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"exit status {error.code}"
    return describe_os_error(error, "output_dir") if isinstance(error, OSError) else str(error)


def mask_hydra_files(folder: Path) -> None:
    """Mask passwords in what Hydra has written to the folder of a run before it starts."""
    for path in (folder / ".hydra").glob("*.yaml"):
        text = path.read_text()
        if (masked := without_passwords(text)) != text:
            write_atomically(path, masked.encode())


@contextlib.contextmanager
def run_folder_lock(folder: Path, patience_s: float = 0.0) -> Iterator[Lease]:
    """Keep other processes out of the folder of a run, also those of other hosts, see `trainlab.runs.lease`.

    What others have left there is seen as it is, by a listing: NFS would answer from a cache.

    Args:
        folder: of the run.
        patience_s: how long to wait for another process that is alive.

    Raises:
        Held: another one is there.
        OSError: the folder cannot be written.
    """
    with held(folder, "process is training", patience_s=patience_s) as lease:
        for path in (folder, folder / LAST.parent, folder / CONTINUATION, folder / CONTINUATION / LAST.parent):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                next(path.iterdir(), None)
        yield lease
