"""The figures of each method: share of zeros, size of the file, accuracy, for each seed."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import nn

from exercise.questions.sparsity import methods, storage
from exercise.questions.sparsity.fine_tuning import Plan, fine_tune, linear_layers, prune_by_schedule
from exercise.section import Measurement
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep
from trainlab import load_data, load_network
from trainlab.data import ImageData
from trainlab.inference import evaluate

START = Sweep(
    "question_6",
    (
        *("model=bn", "model.standardize=true", "optim=adamw", "optim.lr=4e-3", "scheduler=one_cycle"),
        *("data.batch_size=256", "trainer.max_epochs=8", "seed=1,2,3"),
    ),
    ("model.depth=4",),
)
DENSE, PLAIN, TUNED, L1, SCHEDULE = "dense", "magnitude", "magnitude, tuned", "L1", "Lightning's schedule"
LOW_RANK, ACTIVE, INT8 = "low rank", "sparse activations", "int8"
TUNED_INT8, TAUGHT, UNTAUGHT = "magnitude, tuned, int8", "distilled student", "student by itself"
AS_TRAINED, LONGER = "as trained", "trained on"
NO_PENALTY = "strength 0"  # of sparse activations


PLAN, STUDENT_PLAN = Plan(epochs=4, batches=88, lr=2e-3), Plan(epochs=8, batches=88, lr=4e-3)
QUICK_PLAN, QUICK_STUDENT_PLAN = Plan(epochs=2, batches=8, lr=1e-3), Plan(epochs=2, batches=8, lr=4e-3)
Made = Iterator[tuple[str, str, nn.Module]]  # method, setting, network


@dataclass(frozen=True)
class Start:
    """A trained network, on the CPU, and its data.

    Attributes:
        quick: each method is tried at few settings, and briefly.
    """

    seed: int
    settings: Mapping[str, Any]
    network: nn.Module
    data: ImageData
    quick: bool

    @property
    def plan(self) -> Plan:
        """Of fine-tuning, the same for all methods."""
        return QUICK_PLAN if self.quick else PLAN


def dense(start: Start) -> Made:
    """The network as it is, and trained on for as long as others are fine-tuned."""
    yield DENSE, AS_TRAINED, start.network
    yield DENSE, LONGER, fine_tune(start.network, start.data, start.plan)
    yield INT8, "8 bits", methods.quantize(start.network)


def by_magnitude(start: Start) -> Made:
    """Small weights set to zero, without and with fine-tuning, and then int8."""
    for share in (0.2, 0.5, 0.9) if start.quick else (0.1, 0.2, 0.3, 0.5, 0.8, 0.9, 0.95, 0.98):
        yield PLAIN, f"{100 * share:g} %", methods.prune(start.network, share)
    for share in (0.5, 0.9) if start.quick else (0.5, 0.8, 0.9, 0.95, 0.98):
        tuned = methods.prune_and_tune(start.network, share, start.data, start.plan)
        yield TUNED, f"{100 * share:g} %", tuned
        yield TUNED_INT8, f"{100 * share:g} %", methods.quantize(tuned)


def by_l1(start: Start) -> Made:
    """L1 at each strength, in units of the learning rate a step."""
    for strength in (0.4,) if start.quick else (0.2, 0.4, 0.8):
        yield L1, f"strength {strength:g}", methods.tune_with_l1(start.network, strength, start.data, start.plan)


def by_schedule(start: Start) -> Made:
    """The callback's schedule to each share of zeros."""
    for share in (0.9,) if start.quick else (0.9, 0.98):
        yield SCHEDULE, f"{100 * share:g} %", prune_by_schedule(start.network, share, start.data, start.plan)


def by_rank(start: Start) -> Made:
    """Factors of each rank."""
    for rank in (16,) if start.quick else (32, 16, 8):
        yield LOW_RANK, f"rank {rank}", fine_tune(methods.factorize(start.network, rank), start.data, start.plan)


def by_activity(start: Start) -> Made:
    """Sparse activations at each strength."""
    for strength in (0.03,) if start.quick else (0.0, 0.3):
        network = methods.sparsely_active(start.network, strength, start.data, start.plan)
        yield ACTIVE, f"strength {strength:g}", network


def students(start: Start) -> Made:
    """Narrower networks, taught by the trained one and by themselves."""
    plan = QUICK_STUDENT_PLAN if start.quick else STUDENT_PLAN
    for width in (50,) if start.quick else (50, 25):
        student = methods.make_student(start.settings, start.data.image_shape, start.network, width)
        yield TAUGHT, f"width {width}", methods.train_student(student, start.network, start.data, plan)
        yield UNTAUGHT, f"width {width}", fine_tune(student, start.data, plan)


def figures(network: nn.Module, data: ImageData) -> Measured:
    """Of one network; empty if its weights are not finite."""
    if not all(bool(parameter.isfinite().all()) for parameter in network.parameters()):
        return {}
    weights = {name: layer.weight.detach() for name, layer in linear_layers(network).items()}
    zeros = {name: int((weight == 0).sum()) for name, weight in weights.items()}
    total = sum(weight.numel() for weight in weights.values())
    images, _ = next(iter(data.val_dataloader()))
    return {
        "zeros": sum(zeros.values()) / total,
        "weights": total,
        "layers": [zeros[name] / weight.numel() for name, weight in weights.items()],
        "idle": methods.share_of_zeros(network, images),
        "bytes": size_of(network),
        "val_acc": evaluate(network, data.val_dataloader()).accuracy,
        "test_acc": evaluate(network, data.test_dataloader()).accuracy,
    }


def size_of(network: nn.Module) -> int:
    """Bytes of the file that ``network`` is written to and read back from."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        size = storage.write(path, network)
        assert storage.same(storage.read(path), network.state_dict())
    return size


def measure_by(make: Callable[[Start], Made]) -> Callable[[Evidence], Measured]:
    """A measurement: method -> setting -> seed -> figures."""

    def take(evidence: Evidence) -> Measured:
        found: Measured = {}
        for start in load_starts(evidence):
            for method, setting, network in make(start):
                of_seed = found.setdefault(method, {}).setdefault(setting, {})
                of_seed[str(start.seed)] = figures(network, start.data)
        return found

    return take


def load_starts(evidence: Evidence) -> list[Start]:
    """The networks that all methods start from, by seed."""
    runs = [run for _, run in sorted(evidence.group(START).runs.items())]
    loaded = zip(runs, _load(tuple(run.folder for run in runs)), strict=True)
    quick = evidence.setting.quick
    return [Start(run.seed, run.settings, network, data, quick) for run, (network, data) in loaded]


@lru_cache(maxsize=1)  # the images are read once for all measurements
def _load(folders: Sequence[Path]) -> list[tuple[nn.Module, ImageData]]:
    found: list[tuple[nn.Module, ImageData]] = []
    for folder in folders:
        data = load_data(folder)
        if found:
            data.share(found[0][1])
        found.append((load_network(folder), data))
    return found


MEASUREMENTS = tuple(
    Measurement(f"question_6_{name}", measure_by(make))
    for name, make in {
        "dense": dense,
        "magnitude": by_magnitude,
        "l1": by_l1,
        "schedule": by_schedule,
        "low_rank": by_rank,
        "activity": by_activity,
        "students": students,
    }.items()
)
