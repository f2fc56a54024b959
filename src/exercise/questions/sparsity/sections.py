"""Question 6: three ways to a sparse model, and others that only make one smaller."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf, nan
from typing import Any

from torch import Tensor, nn

from exercise.contrast import POINTS, Contrast, contrast_values, judge_claims
from exercise.formatting import format_list, mean_cell, number_cell, text_cells
from exercise.plots import marked
from exercise.questions.sparsity import methods
from exercise.questions.sparsity.methods import Plan, fine_tune, linear_layers
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import untrained_network
from exercise.store import Evidence, Measured, NotAvailable
from exercise.trainings import Sweep
from trainlab import load_data, load_network
from trainlab.data import ImageData
from trainlab.inference import evaluate
from trainlab.report import Cell, Plot, Table, canvas, legend_below, render
from trainlab.statistics import Interval, interval

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
HALF, HIGH, EXTREME = "50%", "90%", "98%"
SPARSE = (ZEROED, TUNED, L1, GRADUAL)
COLUMNS = (*SPARSE, TUNED_INT8)  # of the table of networks with zeros, which has the dense ones, too
PLACES = {(DENSE, AS_TRAINED): ZEROED, (DENSE, LONGER): TUNED, (INT8, "8 bits"): TUNED_INT8}
DRAWN = (*SPARSE, LOW_RANK, INT8, TUNED_INT8, TAUGHT)
TICKS, SIZES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98), (50, 100, 200, 500, 1000, 2000)
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
        yield ACTIVE, f"{strength:g}", methods.sparsely_active(start.network, strength, start.data, start.plan)
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


def measure_by(make: Callable[[Start], Made], evidence: Evidence) -> Measured:
    """Method -> setting -> seed -> figures."""
    found: Measured = {}
    first: ImageData | None = None
    for seed, run in evidence.group(START).runs.items():
        data = load_data(run)
        if first:
            data.share(first)  # its images, which are read once
        first = first or data
        for method, setting, made in make(Start(run.settings, load_network(run), data, evidence.setting.quick)):
            found.setdefault(method, {}).setdefault(setting, {})[str(seed)] = figures(made, data)
    return found


_MINUTES = {dense: 1, zeroed: 6, l1: 4, smaller: 4}
MEASUREMENTS = tuple(Measurement(f"question_6_{of.__name__}", partial(measure_by, of), n) for of, n in _MINUTES.items())


Point = Mapping[str, Mapping[str, float]]  # figures by seed, empty where the weights did not stay finite
Points = Mapping[tuple[str, str], Point]  # by method and setting


def values(of: Point, figure: str, scale: float = 100) -> dict[int, float]:
    """A figure by seed, of shares in %."""
    return {int(seed): scale * figures[figure] for seed, figures in of.items() if figures}


def mean(of: Point, figure: str, scale: float = 100) -> Interval:
    """Its mean over the seeds."""
    return interval([*values(of, figure, scale).values()])


def points_of(evidence: Evidence) -> Points:
    """All that was measured."""
    found = {
        (method, setting): of
        for measurement in MEASUREMENTS
        for method, settings in evidence.measured(measurement.name).items()
        for setting, of in settings.items()
    }
    if not found:
        raise NotAvailable("no run was completed, so there is no trained network to make sparse")
    return found


def answer(evidence: Evidence) -> Answer:
    """How sparse and how small the network gets, at what cost, and by which way.

    Each network is compared with one that has as many zeros, or was trained for as long.
    """
    points = points_of(evidence)
    start, longer, int8 = (DENSE, AS_TRAINED), (DENSE, LONGER), (INT8, "8 bits")
    l1 = max((key for key in points if key[0] == L1), key=lambda key: mean(points[key], "zeros").mean)

    def compare(a: tuple[str, str], b: tuple[str, str], direction: str) -> Contrast:
        ours, theirs = ((" ".join(key), values(points[key], "val_acc")) for key in (a, b))
        found = contrast_values(ours, theirs, direction, "accuracy", POINTS)
        if all(figures for key in (a, b) for figures in points[key].values()):
            return found
        return replace(found, low=-inf, high=inf, tested=None, note="the weights of a network did not stay finite")

    claims = judge_claims(
        {
            f"With fine-tuning, {HALF} zeros cost less than a point": [compare((TUNED, HALF), longer, "not lower")],
            "L1 beats zeroing with as much fine-tuning": [compare(l1, (TUNED, AS_L1), "higher")],
            f"Zeroing {HIGH} gradually beats zeroing at once": [compare((GRADUAL, HIGH), (TUNED, HIGH), "higher")],
            "Weights of 8 bits cost less than a point": [compare(int8, start, "not lower")],
        }
    )
    tuned, l1_tuned, gradual, of_int8 = (claim.contrasts[0] for claim in claims)
    changes = {
        **{"tuned_half": tuned, "int8": of_int8, "gradual": gradual},
        "half": compare((ZEROED, HALF), start, "not lower"),
        "tuned_high": compare((TUNED, HIGH), longer, "not lower"),
    }
    dense_kb, int8_kb, half_kb = (mean(points[key], "bytes", 1e-3).mean for key in (start, int8, (TUNED, HALF)))
    figures: dict[str, Any] = {
        **{name: f"{of.mean:+z.1f}" for name, of in changes.items()},
        **{"dense_kb": f"{dense_kb:,.0f}", "half_kb": f"{half_kb:,.0f}", "int8_times": f"{dense_kb / int8_kb:.1f}"},
        **{"l1_zeros": f"{mean(points[l1], 'zeros').mean:.0f} %", "l1_tuned": l1_tuned},
        **{"l1": compare(l1, (ZEROED, AS_L1), "higher"), "gradual_at": HIGH, "extreme": EXTREME},
        "at_extreme": compare((GRADUAL, EXTREME), (TUNED, EXTREME), "higher") if (GRADUAL, EXTREME) in points else None,
        "l1_strengths": format_list([setting for method, setting in points if method == L1]),
        **{"steps": PLAN.epochs * PLAN.batches, "student_steps": STUDENT_PLAN.epochs * STUDENT_PLAN.batches},
    }
    return Answer(figures, claims, plot(points), tables(points))


def tables(points: Points) -> list[tuple[str, Table]]:
    """Networks with zeros, one row for each share of them; and the others."""
    by_zeros, others = dict[float, dict[str, Point]](), list[list[Cell]]()
    for (method, setting), of in points.items():
        if (column := PLACES.get((method, setting), method)) in COLUMNS:
            by_zeros.setdefault(round(mean(of, "zeros").mean, 1), {})[column] = of
        else:
            own = f"{mean(of, 'idle').mean:.0f} %" if method == ACTIVE else f"{mean(of, 'weights', 1).mean:,.0f}"
            others.append([*text_cells(method, f"{setting}: {own}"), _kilobytes(of), _accuracies(of)])
    rows = []
    for zeros, made in sorted(by_zeros.items()):
        sizes = [
            _kilobytes(*(of for name, of in made.items() if (name == TUNED_INT8) is int8)) for int8 in (False, True)
        ]
        rows.append([number_cell(zeros), *(_accuracies(made.get(name, {})) for name in COLUMNS), *sizes])
    weights = mean(points[DENSE, AS_TRAINED], "weights", 1).mean
    note = f"Validation/test † %; {weights:,.0f} weights. 0 tuned: dense, trained on; 1.1 int8: as trained."
    with_zeros = Table(["zeros %", *COLUMNS, "kB", "kB, int8"], rows, note)
    note = "Rank or width: weights; strength of a penalty: outputs that are zero."
    without = Table(["method", "setting", "kB", "validation/test † %"], others, note)
    return [("Networks with zeros", with_zeros), ("Others", without)]


def _kilobytes(*points: Point) -> Cell:
    sizes = [size for of in points for size in values(of, "bytes", 1e-3).values()]
    return number_cell(interval(sizes).mean, 0) if sizes else ("", nan)


def _accuracies(of: Point) -> Cell:
    found, test = mean(of, "val_acc"), mean(of, "test_acc").mean
    return (f"{mean_cell(found)[0]}/{test:.1f}", found.mean) if found.n else ("", nan)


def plot(points: Points) -> Plot:
    """Validation accuracy against share of zeros and against bytes."""
    with canvas(7.4, 3.2, 2, scale_a_row=True) as (figure, (by_zeros, by_bytes)):
        for i, name in enumerate(DRAWN):
            mine = [of for (method, _), of in points.items() if method == name and values(of, "zeros")]
            mine.sort(key=lambda of: mean(of, "bytes").mean)
            scores = [mean(of, "val_acc") for of in mine]
            left = [max(1 - mean(of, "zeros", 1).mean, 1e-4) for of in mine]
            for axes, x in ((by_zeros, left), (by_bytes, [mean(of, "bytes", 1e-3).mean for of in mine])):
                if axes is by_bytes or name in SPARSE:
                    y, spread = [of.mean for of in scores], [of.half_width for of in scores]
                    axes.errorbar(x, y, yerr=spread, label=name, capsize=3, **marked(i))
        for axes in (by_zeros, by_bytes):
            dense_acc = mean(points[DENSE, AS_TRAINED], "val_acc").mean
            axes.axhline(dense_acc, color="#7F7F7F", linewidth=1.2, label="dense", zorder=1)
            axes.set_xscale("log")
            axes.invert_xaxis()
            axes.minorticks_off()
        by_zeros.set_xticks([1 - share for share in TICKS], [f"{100 * share:g} %" for share in TICKS], fontsize=8)
        by_bytes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
        by_zeros.set(ylabel="validation accuracy, %", xlabel="share of zeros", ylim=(0, None))
        by_bytes.set_xlabel("kB")
        legend_below(figure, by_bytes)
        return Plot("6_trade_off", "Sparser and smaller to the right", "Grey: dense network.", *render(figure))


SECTION = Section("6", "6", answer, [START], MEASUREMENTS)
