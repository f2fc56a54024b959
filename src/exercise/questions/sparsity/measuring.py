"""What comes of each method: share of zeros, size of the file, accuracy, for each seed."""

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


@dataclass(frozen=True)
class Strengths:
    """What each method is tried at.

    Attributes:
        plan: of fine-tuning, the same for all.
        student: of training a student.
        shares: of zeros, of magnitude pruning without fine-tuning.
        tuned_shares: those that are fine-tuned, too.
        scheduled: the same of the callback's schedule.
        l1: strengths, in units of the learning rate a step.
        activity: strengths.
        ranks: of the factors.
        widths: of students.
    """

    plan: Plan
    student: Plan
    shares: tuple[float, ...]
    tuned_shares: tuple[float, ...]
    scheduled: tuple[float, ...]
    l1: tuple[float, ...]
    activity: tuple[float, ...]
    ranks: tuple[int, ...]
    widths: tuple[int, ...]


FULL = Strengths(
    plan=Plan(epochs=4, batches=88, lr=2e-3),
    student=Plan(epochs=8, batches=88, lr=4e-3),
    shares=(0.1, 0.2, 0.3, 0.5, 0.8, 0.9, 0.95, 0.98),
    tuned_shares=(0.5, 0.8, 0.9, 0.95, 0.98),
    scheduled=(0.9, 0.98),
    l1=(0.2, 0.4, 0.8),
    activity=(0.0, 0.3),
    ranks=(32, 16, 8),
    widths=(50, 25),
)
QUICK = Strengths(
    Plan(2, 8, 1e-3), Plan(2, 8, 4e-3), (0.2, 0.5, 0.9), (0.5, 0.9), (0.9,), (0.4,), (0.03,), (16,), (50,)
)


@dataclass(frozen=True)
class Start:
    """A trained network, on the CPU, and its data."""

    seed: int
    settings: Mapping[str, Any]
    network: nn.Module
    data: ImageData


Made = Iterator[tuple[str, str, nn.Module]]  # method, setting, network


def dense(start: Start, strengths: Strengths) -> Made:
    """The network as it is, and trained on for as long as others are fine-tuned."""
    yield DENSE, AS_TRAINED, start.network
    yield DENSE, LONGER, fine_tune(start.network, start.data, strengths.plan)
    yield INT8, "8 bits", methods.quantize(start.network)


def by_magnitude(start: Start, strengths: Strengths) -> Made:
    """Small weights set to zero, without and with fine-tuning, and then int8."""
    for share in strengths.shares:
        yield PLAIN, f"{100 * share:g} %", methods.prune(start.network, share)
    for share in strengths.tuned_shares:
        tuned = methods.prune_and_tune(start.network, share, start.data, strengths.plan)
        yield TUNED, f"{100 * share:g} %", tuned
        yield TUNED_INT8, f"{100 * share:g} %", methods.quantize(tuned)


def by_l1(start: Start, strengths: Strengths) -> Made:
    """L1 at each strength."""
    for strength in strengths.l1:
        yield L1, f"strength {strength:g}", methods.tune_with_l1(start.network, strength, start.data, strengths.plan)


def by_schedule(start: Start, strengths: Strengths) -> Made:
    """The callback's schedule to each share."""
    for share in strengths.scheduled:
        pruned = prune_by_schedule(start.network, share, start.data, strengths.plan)
        yield SCHEDULE, f"{100 * share:g} %", pruned


def by_rank(start: Start, strengths: Strengths) -> Made:
    """Factors of each rank."""
    for rank in strengths.ranks:
        yield LOW_RANK, f"rank {rank}", fine_tune(methods.factorize(start.network, rank), start.data, strengths.plan)


def by_activity(start: Start, strengths: Strengths) -> Made:
    """Sparse activations at each strength."""
    for strength in strengths.activity:
        network = methods.sparsely_active(start.network, strength, start.data, strengths.plan)
        yield ACTIVE, f"strength {strength:g}", network


def students(start: Start, strengths: Strengths) -> Made:
    """Narrower networks, taught by the trained one and by themselves."""
    for width in strengths.widths:
        student = methods.make_student(start.settings, start.data.image_shape, start.network, width)
        taught = methods.train_student(student, start.network, start.data, strengths.student)
        yield TAUGHT, f"width {width}", taught
        yield UNTAUGHT, f"width {width}", fine_tune(student, start.data, strengths.student)


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
        "val_acc": evaluate(network, data.val_dataloader(), len(data.classes)).accuracy,
        "test_acc": evaluate(network, data.test_dataloader(), len(data.classes)).accuracy,
    }


def size_of(network: nn.Module) -> int:
    """Bytes of the file that ``network`` is written to and read back from."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        size = storage.write(path, network)
        assert storage.same(storage.read(path), network.state_dict())
    return size


def measure_by(make: Callable[[Start, Strengths], Made]) -> Callable[[Evidence], Measured]:
    """A measurement: method -> setting -> seed -> figures."""

    def take(evidence: Evidence) -> Measured:
        found: Measured = {}
        for start in load_starts(evidence):
            for method, setting, network in make(start, QUICK if evidence.setting.quick else FULL):
                of_seed = found.setdefault(method, {}).setdefault(setting, {})
                of_seed[str(start.seed)] = figures(network, start.data)
        return found

    return take


def load_starts(evidence: Evidence) -> list[Start]:
    """The networks that all methods start from, by seed."""
    runs = [run for _, run in sorted(evidence.group(START).runs.items())]
    loaded = zip(runs, _load(tuple(run.folder for run in runs)), strict=True)
    return [Start(run.seed, run.settings, network, data) for run, (network, data) in loaded]


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
