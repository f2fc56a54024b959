"""The figures of each method: share of zeros, bytes, accuracy, for each seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from exercise.questions.sparsity import methods
from exercise.questions.sparsity.methods import Plan, fine_tune, linear_layers
from exercise.section import Measurement
from exercise.step_costs import untrained_network
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep
from trainlab import load_data, load_network
from trainlab.data import ImageData
from trainlab.inference import evaluate

START = Sweep(
    "question_6",
    (
        *("model=bn", "model.standardize=true", "optim=adamw", "optim.lr=4e-3", "scheduler=one_cycle"),
        *("data.batch_size=256", "trainer.max_epochs=8", "seed=1,2,3,4,5,6"),
    ),
    ("model.depth=4",),
    minutes=3,
)
DENSE, INT8, ZEROED, TUNED, TUNED_INT8 = "dense", "int8", "zeroed", "tuned", "tuned, int8"
L1, GRADUAL, LOW_RANK, ACTIVE = "L1", "gradual", "low rank", "sparse activations"
TAUGHT, UNTAUGHT = "distilled", "student"
AS_TRAINED, LONGER, AS_L1 = "as trained", "trained on", "as L1"
PLAN, STUDENT_PLAN = Plan(epochs=4, batches=88, lr=2e-3), Plan(epochs=8, batches=88, lr=4e-3)
QUICK_PLAN, QUICK_STUDENT_PLAN = Plan(epochs=2, batches=8, lr=1e-3), Plan(epochs=2, batches=8, lr=4e-3)
Made = Iterator[tuple[str, str, nn.Module]]  # method, setting, network


@dataclass(frozen=True)
class Start:
    """A trained network, on the CPU, and its data. ``quick``: each method is tried at few settings, and briefly."""

    settings: Mapping[str, Any]
    network: nn.Module
    data: ImageData
    quick: bool

    @property
    def plan(self) -> Plan:
        """Of fine-tuning, the same for all methods."""
        return QUICK_PLAN if self.quick else PLAN


def dense(start: Start) -> Made:
    """The network as it is, trained on for as long as others are fine-tuned, and in 8 bits."""
    yield DENSE, AS_TRAINED, start.network
    yield DENSE, LONGER, fine_tune(start.network, start.data, start.plan)
    yield INT8, "8 bits", methods.quantize(start.network)


def zeroed(start: Start) -> Made:
    """Small weights set to zero: at once, with fine-tuning, then in 8 bits; and gradually."""
    for share in (0.5, 0.9) if start.quick else (0.1, 0.2, 0.3, 0.5, 0.8, 0.9, 0.95, 0.98):
        setting = f"{100 * share:g}%"
        yield ZEROED, setting, methods.prune(start.network, share)
        if share >= 0.5:
            tuned = methods.prune_and_tune(start.network, share, start.data, start.plan)
            yield TUNED, setting, tuned
            yield TUNED_INT8, setting, methods.quantize(tuned)
        if share in (0.9, 0.98):
            yield GRADUAL, setting, methods.prune_gradually(start.network, share, start.data, start.plan)


def l1(start: Start) -> Made:
    """L1 at each strength, in units of the learning rate a step; zeroing to just as many zeros as the strongest has."""
    for strength in (0.4,) if start.quick else (0.2, 0.4, 0.8):
        network = methods.tune_with_l1(start.network, strength, start.data, start.plan)
        yield L1, f"{strength:g}", network
    share = zeros_of(network)
    yield ZEROED, AS_L1, methods.prune(start.network, share)
    yield TUNED, AS_L1, methods.prune_and_tune(start.network, share, start.data, start.plan)


def smaller(start: Start) -> Made:
    """What is smaller, or has sparse activations, and no zeros among its weights."""
    for rank in (16,) if start.quick else (32, 16, 8):
        yield LOW_RANK, f"{rank}", fine_tune(methods.factorize(start.network, rank), start.data, start.plan)
    for strength in (0.03,) if start.quick else (0.0, 0.3):
        network = methods.sparsely_active(start.network, strength, start.data, start.plan)
        yield ACTIVE, f"{strength:g}", network
    plan = QUICK_STUDENT_PLAN if start.quick else STUDENT_PLAN
    for width in (50,) if start.quick else (50, 25):
        student = untrained_network(start.settings, start.data.image_shape, width=width)
        student.scaling.load_state_dict(start.network.get_submodule("scaling").state_dict())
        yield TAUGHT, f"{width}", methods.distill(student, start.network, start.data, plan)
        yield UNTAUGHT, f"{width}", fine_tune(student, start.data, plan)


def figures(network: nn.Module, data: ImageData) -> Measured:
    """Of one network; empty if its weights are not finite."""
    if not all(bool(parameter.isfinite().all()) for parameter in network.parameters()):
        return {}
    images, _ = next(iter(data.val_dataloader()))
    return {
        "zeros": zeros_of(network),
        "weights": sum(layer.weight.numel() for layer in linear_layers(network).values()),
        "idle": methods.share_of_zeros(network, images),
        "bytes": sum(stored_bytes(tensor.detach()) for tensor in network.state_dict().values()),
        "val_acc": evaluate(network, data.val_dataloader()).accuracy,
        "test_acc": evaluate(network, data.test_dataloader()).accuracy,
    }


def zeros_of(network: nn.Module) -> float:
    """Share of the weights of all layers that are zero."""
    weights = [layer.weight for layer in linear_layers(network).values()]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def stored_bytes(tensor: Tensor) -> int:
    """What a tensor takes in the smallest form that gives back the same numbers.

    Its values as they are or, of a matrix where that is the same, as int8 with a bfloat16 scale a row. All of them, or
    those that are not zero: with a bit each for where they are, or with the 16-bit column of each and 32 bits a row.
    """
    kept, rows = int((tensor != 0).sum()), len(tensor) if tensor.ndim == 2 else 0
    is_int8 = rows > 0 and bool((methods.round_weight(tensor) == tensor).all())
    value, scales = (1, 2 * rows) if is_int8 else (tensor.element_size(), 0)
    forms = [tensor.numel() * value, ceil(tensor.numel() / 8) + kept * value]
    if rows > 0 and tensor.shape[1] <= 2**16:
        forms.append(4 * rows + kept * (2 + value))
    return min(forms) + scales


def measure_by(make: Callable[[Start], Made]) -> Callable[[Evidence], Measured]:
    """A measurement: method -> setting -> seed -> figures."""

    def take(evidence: Evidence) -> Measured:
        found: Measured = {}
        runs = evidence.group(START).runs
        for seed, (network, data) in zip(runs, _load(tuple(run.folder for run in runs.values())), strict=True):
            start = Start(runs[seed].settings, network, data, evidence.setting.quick)
            for method, setting, made in make(start):
                found.setdefault(method, {}).setdefault(setting, {})[str(seed)] = figures(made, data)
        return found

    return take


@lru_cache(maxsize=1)  # the images are read once for all measurements
def _load(folders: Sequence[Path]) -> list[tuple[nn.Module, ImageData]]:
    found: list[tuple[nn.Module, ImageData]] = []
    for folder in folders:
        data = load_data(folder)
        if found:
            data.share(found[0][1])
        found.append((load_network(folder), data))
    return found


_MINUTES = {dense: 1, zeroed: 6, l1: 4, smaller: 4}
MEASUREMENTS = tuple(Measurement(f"question_6_{of.__name__}", measure_by(of), n) for of, n in _MINUTES.items())
