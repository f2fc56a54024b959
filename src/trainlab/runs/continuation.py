"""How a run continues: from which checkpoint, in which folder, and what is recorded about it."""

import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback, Timer
from torch import nn

from trainlab.runs.checkpoint_form import BEST_STATE
from trainlab.runs.checkpoints import batches_begun, check_fits, epochs_done, load_checkpoint
from trainlab.runs.fingerprint import differences, fingerprint
from trainlab.runs.folder import LAST, earlier_run, is_own_checkpoint
from trainlab.runs.lease import check_lease
from trainlab.runs.result import CONTINUATION, RESULT, Result

log = logging.getLogger(__name__)
_LENGTH = tuple(f"trainer.{key}: " for key in ("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time"))
_NOT_COPIED = (".*", "*.log", "latest-run", CONTINUATION)  # the links of W&B are latest-run and some *.log


def training_folder(run_dir: Path, config: Mapping[str, Any], ckpt_path: str | None) -> Path:
    """The folder a run writes to: ``run_dir``, or a folder in it while it continues a completed run.

    So a completed run is kept until its continuation with other settings is completed.
    """
    if ckpt_path is None or not is_own_checkpoint(ckpt_path, run_dir):
        return run_dir
    previous = Result.read(run_dir)
    if previous and previous.status == "completed" and previous.fingerprint != fingerprint(config):
        return run_dir / CONTINUATION
    return run_dir


def earlier_part(folder: Path, run_dir: Path, config: Mapping[str, Any], ckpt_path: str | None) -> Result | None:
    """The result that an earlier process left for this run in its training ``folder``, if any.

    Raises:
        ValueError: the run's folder holds one of other settings, and no checkpoint of it to continue is named.
        Diverged: it diverged, and would again.
    """
    previous = earlier_run(run_dir, config, ckpt_path)
    if folder == run_dir:
        return previous
    return earlier_run(folder, config, "last") if (folder / LAST).exists() else None


def lacks_test(result: Result) -> bool:
    """Whether a completed run has not been tested: it was trained with test=false."""
    return result.status == "completed" and not any(key.startswith("test_") for key in result.metrics)


def kept_checkpoint(folder: Path, result: Result) -> Path:
    """The checkpoint of a completed run that its test is of: the best, or the last one if there is none."""
    last = folder / LAST
    path = last.with_name("best.ckpt") if "best_epoch" in result.metrics else last
    if not path.exists():
        raise FileNotFoundError(f"there is no {path} to test; set test=false, or remove {folder} to train anew")
    return path


def checkpoint_to_test(folder: Path, config: Mapping[str, Any]) -> Path:
    """The checkpoint that a run with train=false tests: the one of ``ckpt_path``, or that of the run in ``folder``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the run has other settings, or is not completed.
    """
    ckpt_path = config["ckpt_path"]
    if ckpt_path is not None:
        return folder / LAST if ckpt_path == "last" else Path(ckpt_path)
    previous = earlier_run(folder, config, None)
    if previous is None or previous.status != "completed":
        found = f"there is a run that is {previous.status}" if previous else "there is none"
        raise ValueError(
            f"train=false tests a completed run, and in {folder} {found}; set name= to that of a run, or ckpt_path"
        )
    return kept_checkpoint(folder, previous)


def start_continuation(run_dir: Path, folder: Path) -> None:
    """Copy the completed run into the ``folder`` of its continuation, replacing any earlier continuation."""
    check_lease(folder)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run_dir, folder, ignore=shutil.ignore_patterns(*_NOT_COPIED))


def replace_by_continuation(folder: Path, run_dir: Path) -> None:
    """Replace the files of a run by those of its completed continuation, except config and result."""
    check_lease(folder)
    begun = folder / LAST.with_name("best.ckpt")  # the first checkpoint that is moved
    if begun.exists():
        for path in (run_dir / LAST.parent).glob("epoch_*.ckpt"):
            if not begun.with_name(path.name).exists():
                path.unlink()  # of an epoch that is no longer among the best
    for path in sorted(folder.rglob("*")):
        check_lease(path)
        place = run_dir / path.relative_to(folder)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        elif path.name not in ("config.yaml", RESULT):
            path.replace(place)


def start_checkpoint(
    ckpt_path: str | None,
    folder: Path,
    cut_short: bool,
    network: nn.Module,
    config: Mapping[str, Any],
    callbacks: Iterable[Callback],
    total_steps: int,
) -> Path | None:
    """The checkpoint to continue from: the last one of a run that was cut short, or the one that is named.

    ``total_steps`` are those of the whole run with these settings.

    Raises:
        FileNotFoundError: there is none of that name.
        ValueError: it cannot be resumed with these settings, or they leave nothing to train.
    """
    last = folder / LAST
    if cut_short and last.exists():
        start = last
    elif ckpt_path is None:
        return None
    elif ckpt_path == "last":
        if not last.exists():
            raise FileNotFoundError(
                f"there is no {last} to continue; set name= to that of the run, or leave out ckpt_path"
            )
        start = last
    else:
        start = Path(str(ckpt_path))
    own = is_own_checkpoint(str(start), folder)
    try:
        checkpoint = load_checkpoint(start, to_resume=True)
    except ValueError as error:
        if start != last:
            raise
        way_out = "remove it, and the run is trained from its start" if cut_short else "set another name= to train anew"
        raise ValueError(f"{_reason(error)}; {way_out}") from error
    check_fits(checkpoint, network, config, total_steps)
    if own:
        _check_best(checkpoint, folder, config["callbacks"]["checkpoint"]["monitor"])
    if not (cut_short and own):
        _check_something_left(checkpoint, start, config, callbacks)
    begun = batches_begun(checkpoint)
    inside = f" and batch {begun} of the next" if begun else ""
    log.info("continuing %s after epoch %d%s", start, epochs_done(checkpoint), inside)
    return start


def check_whole_epochs(start: Path) -> None:
    """Raise ValueError where a checkpoint lies inside an epoch, for data whose batches only repeat from its start."""
    if begun := batches_begun(load_checkpoint(start)):
        raise ValueError(
            f"{start} lies inside an epoch, after batch {begun}, and data and modules that are not of trainlab "
            "continue only at the end of one; set another name= to train anew"
        )


def was_compiled(start: Path) -> bool:
    """Whether a checkpoint was trained with compiled steps, which round differently."""
    about = load_checkpoint(start)["trainlab"]
    return bool(about.get("compiled", about["config"].get("compile") is True))


def threads_of(start: Path) -> int | None:
    """CPU threads that a checkpoint was trained with, where that is known; with others sums round differently."""
    found = load_checkpoint(start)["trainlab"].get("num_threads")
    return found if isinstance(found, int) and found > 0 else None


def check_same_images(start: Path, folder: Path, digest: str) -> None:
    """Raise ValueError where a run would continue in its own ``folder`` on images with another ``digest``."""
    trained_on = load_checkpoint(start)["trainlab"]["data_digest"]
    if is_own_checkpoint(str(start), folder):
        _check_digest(trained_on, digest, start, folder)


def check_images_of(result: Result, folder: Path, digest: str) -> None:
    """Raise ValueError where the run in ``folder`` was trained on images with another ``digest``, if it has one."""
    if trained_on := result.provenance.get("data_digest"):
        _check_digest(trained_on, digest, folder / RESULT, folder)


def _check_digest(trained_on: str, digest: str, saved: Path, folder: Path) -> None:
    if trained_on != digest:
        raise ValueError(
            f"the images have changed since {saved} was saved (data digest {trained_on}, now {digest}); "
            f"remove {folder} to train anew, or set another name="
        )


def continued_from(start: Path, config: Mapping[str, Any], folder: Path, digest: str) -> list[dict[str, Any]]:
    """The parts of a run that were trained with other settings or in another folder, the earliest first.

    Each has the path of its checkpoint, epochs and steps up to there, the fingerprint of its settings, what has changed
    since, in settings and in the ``digest`` of the images, and whether the whole is all the same the run that these
    settings give in one go: one that is only longer.
    """
    checkpoint = load_checkpoint(start)
    about = checkpoint["trainlab"]
    parts, changes = list(about.get("continued_from", [])), differences(about["config"], config)
    if about["data_digest"] != digest:
        changes.append(f"data digest: {about['data_digest']}, now {digest}")
    own = is_own_checkpoint(str(start), folder)
    if changes or not own:
        done = {"epochs": epochs_done(checkpoint), "steps": checkpoint["global_step"]}
        as_in_one_go = own and all(change.startswith(_LENGTH) for change in changes)
        made_with = {"fingerprint": fingerprint(about["config"]), "changes": changes, "as_in_one_go": as_in_one_go}
        parts.append({"path": str(start), **done, **made_with})
    return parts


def _check_best(checkpoint: dict[str, Any], folder: Path, monitor: str) -> None:
    """Raise ValueError where the best checkpoint of a run's own folder is not the one that the last one knows of.

    Or where later epochs could not be compared with it, as its ``monitor`` was not computed.
    """
    best = checkpoint["callbacks"][BEST_STATE]["best"]
    path = (folder / LAST).with_name("best.ckpt")
    if not best:
        return
    if monitor not in best:
        known = ", ".join(name for name in best if name != "epoch")
        raise ValueError(
            f"the epochs so far have {known}, and the best one cannot be chosen by {monitor}; leave task.primary as it "
            "was, or start anew under another name="
        )
    way_out = f"remove {folder} to train anew, or set another name="
    if not path.exists():
        raise ValueError(f"{path} is missing, the best checkpoint (epoch {best['epoch'] + 1}) so far; {way_out}")
    try:
        epoch = load_checkpoint(path)["epoch"]
    except ValueError as error:
        raise ValueError(f"{_reason(error)}; {way_out}") from error
    if epoch != best["epoch"] and epoch <= checkpoint["epoch"]:  # a later one was saved just before the run was killed
        raise ValueError(f"{path} is of epoch {epoch + 1}, and the best one was epoch {best['epoch'] + 1}; {way_out}")


def _check_something_left(
    checkpoint: dict[str, Any], start: Path, config: Mapping[str, Any], callbacks: Iterable[Callback]
) -> None:
    """Raise ValueError where a training from the checkpoint would end before its first step."""
    epochs, steps, trainer = epochs_done(checkpoint), checkpoint["global_step"], config["trainer"]
    most_epochs, most_steps = trainer.get("max_epochs"), trainer.get("max_steps")
    if most_epochs is not None and 0 <= most_epochs <= epochs:
        raise ValueError(
            f"nothing left to train: {start} has {epochs} epochs and max_epochs is {most_epochs}; "
            f"set trainer.max_epochs above {epochs}"
        )
    if most_steps is not None and 0 <= most_steps <= steps:
        raise ValueError(
            f"nothing left to train: {start} has {steps} steps and max_steps is {most_steps}; set trainer.max_steps "
            f"above {steps}"
        )
    if epochs < (trainer.get("min_epochs") or 0):
        return
    for callback in callbacks:
        state = checkpoint["callbacks"].get(callback.state_key)
        if state and hasattr(callback, "has_stopped") and callback.has_stopped(state):
            raise ValueError(
                f"nothing left to train: early stopping has ended {start} after {epochs} epochs; set "
                "callbacks.early_stopping.patience higher, or callbacks.early_stopping=null"
            )
        if state and isinstance(callback, Timer) and state["time_elapsed"]["train"] >= (callback.time_remaining() or 0):
            raise ValueError(f"nothing left to train: {start} has used up max_time; set trainer.max_time higher")


def _reason(error: ValueError) -> str:
    """What is wrong with a checkpoint, without the advice to set another one."""
    return str(error).removesuffix("; set another ckpt_path")
