"""A checkpoint on the test set of its data, with its dropout off and, if asked for, left on."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainlab.data import ImageData, Images
from trainlab.inference.comparison import compare, in_words, mcnemar_test
from trainlab.inference.mc_dropout import has_dropout
from trainlab.inference.metrics import BINS, Scores, score_images
from trainlab.inference.network import Evaluation, evaluate
from trainlab.inference.rebuild import check_finite, rebuild_data, rebuild_network
from trainlab.inference.sampling import measure_cost, sample
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.files import check_replaceable, write_json
from trainlab.statistics import LEVEL
from trainlab.statistics.bootstrap import RESAMPLES
from trainlab.validation import device_named

log = logging.getLogger(__name__)
MOST_UNCERTAIN = 32
_OF_EVERY_EVALUATION = {"checkpoint", "epoch", "data_digest", "test_loss", "test_acc", "class_acc", "confusion"}
_OF_MC_DROPOUT = ("metrics", "intervals", "mc_dropout", "most_uncertain")
_OF_TRAINING = re.compile(r"(to leave such files out )?set data\.\w+(=\w+)?$")  # how messages about data end


def evaluate_checkpoint(
    ckpt_path: Path,
    data_root: str | None = None,
    cache_dir: str | None = None,
    eval_batch_size: int | None = None,
    device: str = "auto",
    out: Path | None = None,
    mc_samples: int | None = None,
    mc_seed: int = 0,
) -> dict[str, Any]:
    """Evaluate a checkpoint on the test set of its data; write the figures and return them.

    Args:
        ckpt_path: of the checkpoint; network and data are rebuilt from it.
        data_root: where the images lie now, if not where they lay; CIFAR-10 is downloaded to there if need be.
        cache_dir: where decoded images are kept; None to read what the training kept, if that is there, and write none.
        eval_batch_size: images a step; that of the training if None. Bounds the memory, that of MC dropout too.
        device: "auto", or a torch device.
        out: file to write; None for `eval.json` in the folder of the run. Figures go into a folder beside it.
        mc_samples: samples of MC dropout to set beside the deterministic predictions; None for neither.
        mc_seed: of their masks and of the bootstrap.

    Raises:
        ValueError, OSError: a setting cannot be, ``out`` exists and is no evaluation, the data are not what or where
            they were, or the network's outputs are not finite; nothing was written.
    """
    if mc_samples is not None and mc_samples < 1:
        raise ValueError(f"mc_samples must be at least 1, got {mc_samples}; set mc_samples")
    place = device_named(device, "device")
    checkpoint = load_checkpoint(ckpt_path)
    out = out or ckpt_path.resolve().parent.parent / "eval.json"
    check_replaceable(out, ckpt_path, lambda there: bool(_earlier(there)), "an evaluation", "out")
    network = rebuild_network(checkpoint).to(place)
    changes = {"root": data_root, "cache_dir": cache_dir, "eval_batch_size": eval_batch_size}
    with _own_settings_named():
        data = _test_data(checkpoint, **{key: value for key, value in changes.items() if value is not None})
    evaluation = evaluate(network, _batches(data, place), len(data.classes))
    check_finite(torch.tensor([evaluation.loss, *evaluation.logits.aminmax()]), ckpt_path)
    figures = {
        "checkpoint": str(ckpt_path.resolve()),
        "epoch": checkpoint["epoch"],
        "data_digest": data.images.digest,
        "test_loss": evaluation.loss,
        "test_acc": evaluation.accuracy,
        "class_acc": dict(zip(data.classes, evaluation.class_accuracy, strict=True)),
        "confusion": evaluation.confusion.tolist(),
    }
    if mc_samples is not None:
        figures |= _uncertainty(ckpt_path, network, data, place, evaluation, mc_samples, mc_seed, out)
    else:
        figures |= _kept(_earlier(out), figures, out)
    write_json(out, figures, indent=2)
    log.info("written to %s", out)
    return figures


def _earlier(out: Path) -> dict[str, Any]:
    """What an earlier evaluation left there; empty where the file is none."""
    try:
        content = json.loads(out.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and content.keys() >= _OF_EVERY_EVALUATION else {}


def _kept(earlier: dict[str, Any], figures: dict[str, Any], out: Path) -> dict[str, Any]:
    """What ``mc_samples`` gave earlier, if it was of the same weights and images; otherwise its figures are removed."""
    if not earlier.keys() >= set(_OF_MC_DROPOUT):
        return {}
    if all(earlier[key] == figures[key] for key in ("checkpoint", "epoch", "data_digest", "test_loss")):
        log.info("%s keeps the part on MC dropout of an earlier evaluation", out)
        return {key: earlier[key] for key in _OF_MC_DROPOUT}
    from trainlab.inference.figures import remove_figures

    remove_figures(_figures_folder(out))
    log.info("removed the part on MC dropout in %s, of other weights or images, and its figures", out)
    return {}


def _uncertainty(
    ckpt_path: Path,
    network: nn.Module,
    data: ImageData,
    device: torch.device,
    evaluation: Evaluation,
    mc_samples: int,
    mc_seed: int,
    out: Path,
) -> dict[str, Any]:
    """What comes of ``mc_samples``: metrics with intervals, and the comparison if there is dropout. Writes figures."""
    from trainlab.inference.figures import write_figures  # matplotlib takes a while to import

    probabilities = evaluation.logits.double().softmax(1)
    deterministic, mc = score_images(probabilities, evaluation.labels), None
    about: dict[str, Any] | None = None
    if has_dropout(network):
        sampled = sample(network, _batches(data, device), mc_samples, mc_seed)
        check_finite(sampled.probabilities, ckpt_path)
        probabilities = sampled.probabilities
        mc = score_images(probabilities, evaluation.labels, sampled.expected_entropy)
        about = {
            "samples": mc_samples,
            "seed": mc_seed,
            "accuracy_by_samples": (sampled.right / len(probabilities)).tolist(),
            "cost_of_1000_images": measure_cost(network, next(_batches(data, device))[0], mc_samples, mc_seed),
            "mcnemar": mcnemar_test(deterministic, mc),
        }
    else:
        log.info("the network has no dropout: MC dropout has nothing to do")
    compared = compare(deterministic, mc, mc_seed)
    if about:
        about["in_words"] = in_words(compared, about["mcnemar"])
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
    """The images whose predictions have the largest entropy, the largest first."""
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


def _test_data(checkpoint: dict[str, Any], **changes: Any) -> ImageData:
    """The data of a checkpoint with ``changes`` to their settings, read, with the classes that it was trained on."""
    data = rebuild_data(checkpoint, **changes)
    if list(data.classes) != checkpoint["trainlab"]["classes"]:
        raise ValueError(
            f"the data have the classes {', '.join(data.classes)}, the checkpoint has "
            f"{', '.join(checkpoint['trainlab']['classes'])}; set data_root to the data it was trained with"
        )
    trained_on, digest = checkpoint["trainlab"].get("data_digest"), data.images.digest
    if trained_on and digest != trained_on:
        log.info("evaluated on other images than the run's: data digest %s, of the run %s", digest, trained_on)
    return data


def _batches(data: ImageData, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """The test set, on the device."""
    return ((images.to(device), labels.to(device)) for images, labels in data.test_dataloader())


@contextmanager
def _own_settings_named() -> Iterator[None]:
    """Have errors name settings of an evaluation, and not `data.*` of the training, which stay as they were."""
    try:
        yield
    except OSError as error:
        if not error.errno:
            raise FileNotFoundError(_in_own_words(str(error))) from error
        error.__notes__ = [_in_own_words(note) for note in getattr(error, "__notes__", [])]
        raise
    except ValueError as error:
        raise ValueError(_in_own_words(str(error))) from error


def _in_own_words(message: str) -> str:
    message = re.sub(r"\bdata\.(cache_dir|eval_batch_size)", r"\1", message.replace("data.root", "data_root"))
    return _OF_TRAINING.sub("set data_root to the data it was trained with", message)
