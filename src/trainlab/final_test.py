"""The test of a run: after its training, later, or alone."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainlab.callbacks.figures import log_test
from trainlab.config.build import Parts
from trainlab.data import ImageData
from trainlab.inference.network import Evaluation
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.continuation import check_images_of, checkpoint_to_test, kept_checkpoint, lacks_test
from trainlab.runs.files import missing_folders, write_json
from trainlab.runs.fingerprint import fingerprint
from trainlab.runs.folder import clean_up, clean_up_on_error, has_moved, run_folder_lock
from trainlab.runs.result import CONFUSION_FILE, Result, describe_test

MAX_CLASSES = 100  # whose confusion matrix is kept
log = logging.getLogger(__name__)


def test_best(result: Result, parts: Parts) -> None:
    """Evaluate the best checkpoint, the last one where there is none, on the test set: once, here."""
    if parts.trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it dynamically; no checkpoint was written
        return
    best = parts.checkpoint.best
    path = parts.checkpoint.best_path if best else parts.checkpoint.last_path
    checkpoint = load_checkpoint(path)
    if best and checkpoint["epoch"] != best["epoch"]:
        raise ValueError(
            f"{path} is of epoch {checkpoint['epoch'] + 1}, and the best one was epoch {best['epoch'] + 1}: another "
            f"process has written there; remove {path.parents[1]} to train anew, or set another name="
        )
    evaluation = _evaluate(result, parts, checkpoint, path.parents[1])
    if evaluation is None or evaluation.confusion is None:
        return
    images = parts.data.images if isinstance(parts.data, ImageData) else None  # of others, only batches are known
    log_test(parts.loggers.log_figure, evaluation, parts.data.classes, images, parts.trainer.global_step)


def complete_test(result: Result, folder: Path, config: dict[str, Any], parts: Parts) -> None:
    """Test the ended run in ``folder`` where it lacks that.

    Raises:
        ValueError: the images have changed since.
    """
    tests = config["test"] and lacks_test(result)
    if tests or _may_be_others(parts, folder, config):
        check_images_of(result, folder, parts.learner.digest)
    if tests:
        _evaluate(result, parts, load_checkpoint(kept_checkpoint(folder, result)), folder)
        result.write(folder)


def test_only(folder: Path, overrides: Sequence[str], config: dict[str, Any], parts: Parts) -> Result:
    """Test the completed run in ``folder``, or the checkpoint that is named, without training.

    Test metrics are recorded where a completed run lacks them; otherwise nothing is written.
    """
    result = Result("completed", fingerprint(config), list(overrides), tags=config["tags"])
    result.task = parts.learner.reported(()).entry()
    if config["ckpt_path"]:  # nothing is written, so no folder is left
        made = missing_folders(folder) or [folder]
        path = checkpoint_to_test(folder, config)
        try:
            _evaluate(result, parts, load_checkpoint(path))
        finally:
            clean_up(folder, made)
        log.info("%s: %s", describe_test(result), path)
        return result
    with run_folder_lock(folder), clean_up_on_error(folder):
        path, previous = checkpoint_to_test(folder, config), Result.read(folder)
        assert previous is not None
        check_images_of(previous, folder, parts.learner.digest)
        _evaluate(result, parts, load_checkpoint(path))
        log.info("%s: %s", describe_test(result), path)
        if lacks_test(previous):
            previous.metrics |= result.metrics
            previous.write(folder)
        return previous


def _may_be_others(parts: Parts, folder: Path, config: dict[str, Any]) -> bool:
    """Whether the images of the run in ``folder`` lay elsewhere, and are not those of an official archive."""
    data = parts.data
    if not isinstance(data, ImageData) or data.writes_to == data.located_by:
        return False
    return has_moved(data.located_by, folder, config)


def _evaluate(
    result: Result, parts: Parts, checkpoint: dict[str, Any], folder: Path | None = None
) -> Evaluation | None:
    """Evaluate the weights of a checkpoint on the test set.

    ``result`` gets the metrics, and ``folder``, where given, the confusion matrix of a classification.
    """
    metrics, evaluation = parts.learner.test(checkpoint, parts.trainer)
    result.metrics |= metrics
    if folder and evaluation and evaluation.confusion is not None and len(evaluation.confusion) <= MAX_CLASSES:
        classes, counts = [*parts.data.classes], evaluation.confusion.tolist()
        write_json(folder / CONFUSION_FILE, {"epoch": checkpoint["epoch"], "classes": classes, "confusion": counts})
    return evaluation
