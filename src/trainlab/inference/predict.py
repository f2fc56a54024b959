"""Predictions of a checkpoint's network for image files, with uncertainties by MC dropout on request."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISDIR

import numpy as np
import torch
from torch import Tensor, nn

from trainlab.data.decode import decode
from trainlab.inference.mc_dropout import has_dropout, mc_probabilities
from trainlab.inference.metrics import entropy
from trainlab.inference.prediction import Prediction, Uncertainty, Unread
from trainlab.inference.rebuild import check_finite, rebuild_network, rebuild_task
from trainlab.processes import count_cores
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.tasks.classification import Classification
from trainlab.tasks.task import Task
from trainlab.validation import device_named

_PIXELS = 2**18  # pixels per batch: 256 images of 32 x 32


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
