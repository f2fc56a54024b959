"""Evaluation of a checkpoint on its test set, optionally with MC dropout."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainlab.data import Images, TrainingData
from trainlab.inference.mc_dropout import has_dropout, measure_cost, sample
from trainlab.inference.metrics import BINS, Scores, compare, describe, mcnemar_test, score_images
from trainlab.inference.network import Evaluation, evaluate
from trainlab.inference.own_module import evaluate_module
from trainlab.inference.rebuild import check_finite, rebuild_data, rebuild_network, rebuild_task
from trainlab.inference.views import Views, check_views, with_views
from trainlab.runs.checkpoints import is_of_own_module, load_checkpoint
from trainlab.runs.files import check_replaceable, write_json
from trainlab.statistics import LEVEL
from trainlab.statistics.bootstrap import RESAMPLES
from trainlab.tasks.classification import Classification
from trainlab.validation import device_named

log = logging.getLogger(__name__)
MOST_UNCERTAIN = 32
_OF_EVERY_EVALUATION = {"checkpoint", "epoch", "data_digest"}
_OF_MC_DROPOUT = ("metrics", "intervals", "mc_dropout", "most_uncertain")
_OF_TRAINING = re.compile(r"set data\.\w+(=\w+)?( to leave such files out)?$")  # end of a message about data


def evaluate_checkpoint(
    ckpt_path: Path,
    data_root: str | None = None,
    cache_dir: str | None = None,
    eval_batch_size: int | None = None,
    test_views: Views | None = None,
    device: str = "auto",
    out: Path | None = None,
    mc_samples: int | None = None,
    mc_seed: int = 0,
    trust: Sequence[str] = (),
) -> dict[str, Any]:
    """Evaluate a checkpoint on the test set of its data and write the results.

    Args:
        ckpt_path: checkpoint; network and data are rebuilt from it.
        data_root: folder or file of the data; None for that of the training. CIFAR-10 is downloaded there if necessary.
        cache_dir: folder of decoded images; None to read the cache of the training, if there is one, and write nothing.
        eval_batch_size: images per step, which limits memory, also of MC dropout; None for that of the training.
        test_views: views of each image whose outputs are averaged, see `AveragedViews`; None for those of the training.
        device: "auto" or a torch device.
        out: file to write; None for `eval.json` in the folder of the run. Figures are written to a folder next to it.
        mc_samples: samples of MC dropout, compared with deterministic predictions; None for the accuracy alone.
        mc_seed: seed of the dropout masks and the bootstrap.
        trust: packages and modules, besides those of trainlab, whose classes and functions the checkpoint may name.

    Returns:
        The content of ``out``.

    Raises:
        ValueError, OSError: a setting is invalid, ``out`` exists and is not an evaluation, the data were moved or
            changed, or outputs of the network are not finite. Nothing is written.
    """
    if mc_samples is not None and mc_samples < 1:
        raise ValueError(f"mc_samples must be at least 1, got {mc_samples}; set mc_samples")
    place = device_named(device, "device")
    checkpoint = load_checkpoint(ckpt_path)
    out = out or ckpt_path.resolve().parent.parent / "eval.json"
    check_replaceable(out, ckpt_path, lambda there: bool(_earlier(there)), "an evaluation", "out")
    changes = {"root": data_root, "cache_dir": cache_dir, "eval_batch_size": eval_batch_size}
    changes = {key: value for key, value in changes.items() if value is not None}
    if is_of_own_module(checkpoint):
        if mc_samples is not None:
            raise ValueError(f"MC dropout is of networks (model), {ckpt_path} is of a module; leave out mc_samples")
        if test_views is not None:
            raise ValueError(f"test_views are of networks (model), {ckpt_path} is of a module; leave out test_views")
        with _evaluation_settings_named():
            figures = evaluate_module(checkpoint, place, trust, changes)
        write_json(out, figures, indent=2)
        log.info("written to %s", out)
        return figures
    task = rebuild_task(checkpoint, trust)
    if mc_samples is not None and not isinstance(task, Classification):
        raise ValueError(
            f"MC dropout is of classifications, {ckpt_path} is of {type(task).__name__}; leave out mc_samples"
        )
    config = checkpoint["trainlab"]["config"]
    check_views(views := test_views or config.get("test_views", "none"))
    if mc_samples is not None and views != "none":
        raise ValueError(f"MC dropout is of single views, got {views}; set test_views=none, or leave out mc_samples")
    network = rebuild_network(checkpoint, trust).to(place)
    with _evaluation_settings_named():
        data = _test_data(checkpoint, trust, **changes)
    evaluation = evaluate(with_views(network, views), _batches(data, place), task, config.get("seed", 0))
    check_finite(torch.tensor([evaluation.loss, *evaluation.outputs.aminmax()]), ckpt_path)
    figures = {
        "checkpoint": str(ckpt_path.resolve()),
        "epoch": checkpoint["epoch"],
        "data_digest": data.digest,
        **evaluation.of_split("test"),
        "task": task.reported.entry(),
        **({"test_views": views} if views != "none" else {}),
    }
    if evaluation.confusion is not None:
        figures["class_acc"] = dict(zip(data.classes, evaluation.class_accuracy, strict=True))
        figures["confusion"] = evaluation.confusion.tolist()
    if mc_samples is not None:
        figures |= _uncertainty(ckpt_path, network, data, place, evaluation, mc_samples, mc_seed, out)
    else:
        figures |= _earlier_mc_dropout(_earlier(out), figures, out)
    write_json(out, figures, indent=2)
    log.info("written to %s", out)
    return figures


def _earlier(out: Path) -> dict[str, Any]:
    """Content of an earlier evaluation; empty if the file is not an evaluation."""
    try:
        content = json.loads(out.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and content.keys() >= _OF_EVERY_EVALUATION else {}


def _earlier_mc_dropout(earlier: dict[str, Any], figures: dict[str, Any], out: Path) -> dict[str, Any]:
    """MC dropout of an earlier evaluation of the same weights and images; otherwise its figures are removed."""
    if not earlier.keys() >= set(_OF_MC_DROPOUT):
        return {}
    if all(earlier[key] == figures[key] for key in ("checkpoint", "epoch", "data_digest", "test_loss")):
        log.info("%s keeps the MC dropout results of an earlier evaluation", out)
        return {key: earlier[key] for key in _OF_MC_DROPOUT}
    from trainlab.inference.figures import remove_figures

    remove_figures(_figures_folder(out))
    log.info("removed the MC dropout results in %s, of other weights or images, and their figures", out)
    return {}


def _uncertainty(
    ckpt_path: Path,
    network: nn.Module,
    data: TrainingData,
    device: torch.device,
    evaluation: Evaluation,
    mc_samples: int,
    mc_seed: int,
    out: Path,
) -> dict[str, Any]:
    """Metrics with intervals, and the comparison with MC dropout if the network has dropout. Writes figures."""
    from trainlab.inference.figures import write_figures  # matplotlib takes a while to import

    probabilities = evaluation.outputs.double().softmax(1)
    deterministic, mc = score_images(probabilities, evaluation.targets), None
    about: dict[str, Any] | None = None
    if has_dropout(network):
        probabilities, expected_entropy, correct = sample(network, _batches(data, device), mc_samples, mc_seed)
        check_finite(probabilities, ckpt_path)
        mc = score_images(probabilities, evaluation.targets, expected_entropy)
        about = {
            "samples": mc_samples,
            "seed": mc_seed,
            "accuracy_by_samples": (correct / len(probabilities)).tolist(),
            "cost_of_1000_images": measure_cost(network, next(_batches(data, device))[0], mc_samples, mc_seed),
            "mcnemar": mcnemar_test(deterministic, mc),
        }
    else:
        log.info("mc_samples has no effect: the network has no dropout")
    compared = compare(deterministic, mc, mc_seed)
    if about:
        about["summary"] = describe(compared, about["mcnemar"])
    figures = {
        "metrics": compared,
        "intervals": {"level": LEVEL, "resamples": RESAMPLES, "of": "images", "ece_bins": BINS},
        "mc_dropout": about,
        "most_uncertain": _most_uncertain(probabilities, mc or deterministic, data.images),
    }
    folder = _figures_folder(out)
    write_figures(folder, deterministic, mc, figures, data.images)
    log.info("figures in %s", folder)
    return figures


def _figures_folder(out: Path) -> Path:
    return out.with_name(f"{out.stem}_figures")


def _most_uncertain(probabilities: Tensor, scores: Scores, images: Images) -> list[dict[str, Any]]:
    """The images with the highest predictive entropy, in descending order."""
    chosen = scores.entropy.argsort(descending=True, stable=True)[:MOST_UNCERTAIN].tolist()
    disagreement = scores.mutual_information
    return [
        {
            "image": i,
            "label": images.classes[images.test_labels[i]],
            "prediction": images.classes[probabilities[i].argmax()],
            "entropy": scores.entropy[i].item(),
            **({} if disagreement is None else {"mutual_information": disagreement[i].item()}),
        }
        for i in chosen
    ]


def _test_data(checkpoint: dict[str, Any], trust: Sequence[str], **changes: Any) -> TrainingData:
    """The data of a checkpoint with ``changes`` to their settings, checked against the classes of the training."""
    data = rebuild_data(checkpoint, trust, **changes)
    if list(data.classes) != checkpoint["trainlab"]["classes"]:
        raise ValueError(
            f"the data have the classes {', '.join(data.classes)}, the checkpoint has "
            f"{', '.join(checkpoint['trainlab']['classes'])}; set data_root to the data it was trained with"
        )
    trained_on, digest = checkpoint["trainlab"].get("data_digest"), data.digest
    if trained_on and digest != trained_on:
        log.info("evaluating on other images than the run's: data digest %s, run's data digest %s", digest, trained_on)
    return data


def _batches(data: TrainingData, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the test set on the device."""
    return ((images.to(device), labels.to(device)) for images, labels in data.test_dataloader())


@contextmanager
def _evaluation_settings_named() -> Iterator[None]:
    """Have errors name settings of the evaluation instead of the training's `data.*`."""
    try:
        yield
    except OSError as error:
        if not error.errno:
            raise FileNotFoundError(_with_evaluation_settings(str(error))) from error
        error.__notes__ = [_with_evaluation_settings(note) for note in getattr(error, "__notes__", [])]
        raise
    except ValueError as error:
        raise ValueError(_with_evaluation_settings(str(error))) from error


def _with_evaluation_settings(message: str) -> str:
    message = re.sub(r"\bdata\.(root|path)\b", "data_root", message)
    message = re.sub(r"\bdata\.(cache_dir|eval_batch_size)", r"\1", message)
    return _OF_TRAINING.sub("set data_root to the data it was trained with", message)
