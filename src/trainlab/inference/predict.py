"""Predictions of a checkpoint's network for image files, with uncertainties by MC dropout on request."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISDIR
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor, nn

from trainlab.data.decode import decode
from trainlab.inference.mc_dropout import has_dropout, mc_probabilities
from trainlab.inference.metrics import entropy
from trainlab.inference.rebuild import check_finite, rebuild_network, rebuild_task
from trainlab.processes import count_cores
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.tasks.classification import Classification
from trainlab.tasks.task import Task
from trainlab.validation import device_named

_PIXELS = 2**18  # pixels per batch: 256 images of 32 x 32


@dataclass(frozen=True)
class Uncertainty:
    """Uncertainty of a prediction by MC dropout.

    Attributes:
        deviations: standard deviations of the probabilities over the samples, in the order of the prediction's classes.
        entropy: entropy of the mean probabilities, in nats.
        mutual_information: mutual information of class and dropout mask, in nats: the part of the entropy that comes
            from the disagreement of the samples (Houlsby et al., 2011, equation 2).
    """

    deviations: list[float]
    entropy: float
    mutual_information: float


@dataclass(frozen=True)
class Prediction:
    """Prediction for one file.

    Attributes:
        file: the image file.
        classes: names of the classes or labels, the most probable first; or of values, in their order.
        probabilities: probabilities of ``classes``, or their values; with MC dropout the means over the samples.
        uncertainty: None without MC dropout.
        are_values: whether they are values, which have no order and are all reported.
    """

    file: Path
    classes: list[str]
    probabilities: list[float]
    uncertainty: Uncertainty | None = None
    are_values: bool = False

    def as_json(self, top: int) -> dict[str, Any]:
        """Plain values with the ``top`` most probable classes, or all values by name."""
        if self.are_values:
            return {"file": str(self.file), "values": dict(zip(self.classes, self.probabilities, strict=True))}
        columns: dict[str, list[Any]] = {"class": self.classes, "probability": self.probabilities}
        more: dict[str, float] = {}
        if self.uncertainty:
            columns["std"] = self.uncertainty.deviations
            more["entropy"] = self.uncertainty.entropy
            more["mutual_information"] = self.uncertainty.mutual_information
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return {"file": str(self.file), "top": rows[:top], **more}

    def formatted(self, top: int) -> list[tuple[str, str]]:
        """The ``top`` most probable classes, each with its probability as text; or all values."""
        if self.are_values:
            values = [f"{value:.4g}" for value in self.probabilities]
            return list(zip(self.classes, values, strict=True))
        chances = [f"{100 * probability:.1f}" for probability in self.probabilities]
        if self.uncertainty:
            chances = [f"{p} ± {100 * d:.1f}" for p, d in zip(chances, self.uncertainty.deviations, strict=True)]
        return [(name, f"{chance} %") for name, chance in zip(self.classes, chances, strict=True)][:top]


@dataclass(frozen=True)
class Unread:
    """A path that could not be read, with the reason."""

    reason: str


@dataclass(frozen=True)
class Predictor:
    """Applies a trained network to image files.

    Attributes:
        network: in evaluation mode.
        task: what it has learned.
        classes: names of its outputs, as of classes by label.
        image_shape: (C, H, W) of the input images.
        device: device of the network.
        path: checkpoint of the network.
        mc_samples: samples of MC dropout; None for deterministic predictions.
        mc_seed: seed of the dropout masks, which also depend on the index of an image among those that were read.
    """

    network: nn.Module
    task: Task
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    device: torch.device
    path: Path
    mc_samples: int | None = None
    mc_seed: int = 0

    @classmethod
    def load(
        cls,
        path: Path,
        mc_samples: int | None = None,
        mc_seed: int = 0,
        device: str = "auto",
        trust: Sequence[str] = (),
    ) -> "Predictor":
        """Load a checkpoint to ``device``, a torch device or "auto" for a GPU if available.

        The checkpoint may name classes and functions of the packages ``trust`` besides those of trainlab. Prints a
        warning if ``mc_samples`` has no effect because the network has no dropout.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: the file is not a checkpoint, its images are neither RGB nor gray, ``mc_samples`` is 1, or the
                device is not available.
        """
        if mc_samples == 1:
            raise ValueError("MC dropout needs at least 2 samples, got 1; set --mc-samples")
        place, checkpoint = device_named(device, "--device"), load_checkpoint(path)
        network, task = rebuild_network(checkpoint, trust).to(place), rebuild_task(checkpoint, trust)
        about = checkpoint["trainlab"]
        channels, height, width = about["image_shape"]
        if about.get("float_images"):
            raise ValueError(
                f"{path} was trained on floats that its data module has made of images, which cannot be repeated for "
                "image files; train on data of trainlab, or on uint8 images"
            )
        if channels not in (1, 3):
            raise ValueError(f"the network must take RGB or gray images, {path} takes {channels} x {height} x {width}")
        if mc_samples and not isinstance(task, Classification):
            kind = type(task).__name__
            raise ValueError(f"MC dropout is of classifications, {path} is of {kind}; leave out --mc-samples")
        if mc_samples and not has_dropout(network):
            print("--mc-samples has no effect: the network has no dropout", file=sys.stderr)
            mc_samples = None
        names = tuple(about["classes"])
        if len(names) != network.num_classes:  # of a task with more outputs than names
            names = tuple(map(str, range(network.num_classes)))
        return cls(network, task, names, (channels, height, width), place, path, mc_samples, mc_seed)

    def predict(self, paths: Iterable[Path]) -> Iterator[Prediction | Unread]:
        """Predict all image files of ``paths`` and of the folders among them, batch by batch.

        Raises:
            ValueError: no image could be read, or outputs of the network are not finite.
        """
        files, count = _files(paths), 0
        with ThreadPoolExecutor(count_cores()) as threads:
            while some := list(islice(files, max(1, _PIXELS // (self.image_shape[1] * self.image_shape[2])))):
                decoded = list(threads.map(self._decode, some))
                images = [image for image in decoded if isinstance(image, np.ndarray)]
                results = iter(self._predict(images, first_image=count))
                count += len(images)
                for file, image in zip(some, decoded, strict=True):
                    if isinstance(image, Unread):
                        yield image
                    else:
                        yield Prediction(Path(str(file)), *next(results), self.task.predicts == "value")
        if not count:
            raise ValueError("there is no image to classify; give image files, or folders that contain some")

    def _decode(self, file: Path | Unread) -> np.ndarray | Unread:
        if isinstance(file, Unread):
            return file
        try:
            return decode(str(file), self.image_shape)
        except OSError as error:
            return Unread(f"{file}: {error.strerror or error}")
        except ValueError as error:
            return Unread(str(error))

    @torch.inference_mode()
    def _predict(
        self, images: list[np.ndarray], first_image: int
    ) -> list[tuple[list[str], list[float], Uncertainty | None]]:
        """Names, probabilities or values, and uncertainty of each image (C, H, W)."""
        if not images:
            return []
        batch = torch.from_numpy(np.stack(images)).to(self.device)
        if self.mc_samples is None:
            probabilities, samples = self.task.predictions(self.network(batch).cpu().double()), None
        else:
            samples = mc_probabilities(self.network, batch, self.mc_samples, self.mc_seed, first_image).cpu().double()
            probabilities = samples.mean(0)
        check_finite(probabilities, self.path)
        order = probabilities.argsort(dim=1, descending=True, stable=True)
        if self.task.predicts == "value":
            order = torch.arange(probabilities.shape[1]).expand_as(order)
        names = [[self.classes[label] for label in labels] for labels in order.tolist()]
        unsure = [None] * len(images) if samples is None else _uncertainties(samples, order)
        return list(zip(names, probabilities.gather(1, order).tolist(), unsure, strict=True))


def _uncertainties(samples: Tensor, order: Tensor) -> list[Uncertainty]:
    """Uncertainty of each image from probabilities (S, B, K), with classes in ``order`` (B, K)."""
    deviations = samples.std(0).gather(1, order)
    entropies = entropy(samples.mean(0))
    informations = entropies - entropy(samples).mean(0)
    columns = (deviations.tolist(), entropies.tolist(), informations.tolist())
    return [Uncertainty(*row) for row in zip(*columns, strict=True)]


def _files(paths: Iterable[Path]) -> Iterator[Path | Unread]:
    """The files of ``paths`` and, sorted, of the folders among them; hidden ones only if given themselves."""
    for path in paths:
        try:
            kind = path.stat().st_mode
        except OSError as error:  # a name that is too long, a folder without permission
            missing = isinstance(error, FileNotFoundError)
            yield Unread(f"{path}: {'no such file or folder' if missing else error.strerror}")
            continue
        if S_ISCHR(kind) or S_ISBLK(kind):
            yield Unread(f"{path} is a device, not an image")
            continue
        if not S_ISDIR(kind):
            yield path
            continue
        errors: list[OSError] = []
        for folder, subfolders, names in os.walk(path, onerror=errors.append):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            yield from (_regular(Path(folder, name)) for name in sorted(names) if not name.startswith("."))
        yield from (Unread(f"{error.filename}: {error.strerror}") for error in errors)


def _regular(file: Path) -> Path | Unread:
    """A file of a folder; Unread for pipes, sockets and devices, where reading could block."""
    odd = file.is_fifo() or file.is_socket() or file.is_char_device() or file.is_block_device()
    return Unread(f"{file} is a pipe, a socket or a device, not an image") if odd else file


def show(outcomes: Iterable[Prediction | Unread], top: int, as_json: bool) -> int:
    """Print predictions to stdout, and paths that could not be read to stderr.

    Args:
        outcomes: predictions, either all with uncertainty or none.
        top: number of most probable classes to print.
        as_json: print one JSON object per line, instead of a table on a terminal and lines elsewhere.

    Returns:
        Exit status: 1 if a path could not be read.
    """
    rows: list[Prediction] = []
    status = 0
    for outcome in outcomes:
        if isinstance(outcome, Unread):
            print(outcome.reason, file=sys.stderr)
            status = 1
        elif as_json:
            print(json.dumps(outcome.as_json(top), allow_nan=False))
        elif sys.stdout.isatty():
            rows.append(outcome)
        else:
            print(_line(outcome, top))
    if rows:
        Console().print(_table(rows, top))
    return status


def _line(prediction: Prediction, top: int) -> str:
    text = f"{prediction.file}: {', '.join(f'{name} {chance}' for name, chance in prediction.formatted(top))}"
    if (uncertainty := prediction.uncertainty) is None:
        return text
    return f"{text}; entropy {uncertainty.entropy:.3f}, mutual information {uncertainty.mutual_information:.3f} nats"


def _table(predictions: list[Prediction], top: int) -> Table:
    """One row per class, which leaves space for long file names."""
    table = Table()
    table.add_column("image", overflow="fold")
    are_values = predictions[0].are_values
    table.add_column("name" if are_values else "class", overflow="fold")
    table.add_column("value" if are_values else "probability", justify="right", no_wrap=True)
    if predictions[0].uncertainty:
        table.caption = "mean and standard deviation over the samples of MC dropout; uncertainty in nats"
        table.add_column("entropy", justify="right", no_wrap=True)
        table.add_column("mutual information", justify="right")
    for prediction in predictions:
        first, *others = prediction.formatted(top)
        uncertainty = prediction.uncertainty
        measures = [f"{uncertainty.entropy:.3f}", f"{uncertainty.mutual_information:.3f}"] if uncertainty else []
        table.add_row(*map(escape, (str(prediction.file), *first, *measures)), end_section=not others)
        for other in others:
            table.add_row("", *map(escape, other), end_section=other == others[-1])
    return table
