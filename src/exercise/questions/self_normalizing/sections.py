"""Question 3: SELU, ELU and ReLU in the same deep network. What is better about those that go below zero?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

from exercise.claims import Claim, all_claims_hold, claims_table, describe_claims
from exercise.formatting import format_accuracy, with_label
from exercise.layer_summary import figure_by_seed
from exercise.questions.self_normalizing.claims import (
    FLOW,
    KEPT,
    NAMES,
    SELU,
    claims,
    dead,
    describe_gradients,
    describe_keeping,
    flow,
    flow_at_end,
    from_one,
    from_zero,
    of,
)
from exercise.section import Answer, Section
from exercise.store import Evidence, diverged_runs
from exercise.trainings import Sweep
from trainlab.report import TEST_NOTE, Cell, Group, Table, format_mean, plot_layers, plot_learning_curves
from trainlab.statistics import interval

SWEEP = Sweep(
    "question_3",
    (
        *("model=selu_lecun,elu_he,relu_he", "model.standardize=true", "optim.lr=3e-4,1e-3", "seed=1,2,3"),
        *("data.batch_size=128", "trainer.max_epochs=7", "trainer.limit_train_batches=160"),
        *("callbacks.layer_statistics.every_n_epochs=1", "callbacks.figures=null"),
    ),
    ("trainer.limit_train_batches=10", "model.depth=5", "optim.lr=1e-3"),
)
CLAIMS = (
    "After the last epoch, mean over the hidden layers; p paired by seed, by Holm's correction over the two "
    f"comparisons of a claim. {SELU} keeps mean and deviation where the whole intervals of both are within {KEPT:g} of "
    "0 and 1, a margin that is a choice, and its deviation is nearer 1 than that of the others."
)
SEE_LAYERS = (
    "See in the two upper rows how far each activation leaves the dashed lines, and in the lowest one whether the "
    "gradient grows or shrinks towards the first layer."
)
SEE_CURVES = "Compare which line falls first, and the heights at which they level off."


def answer(evidence: Evidence) -> Answer:
    """Means and deviations layer by layer, dead units, gradients, and who learns faster."""
    all_groups = evidence.ended_groups(SWEEP)
    groups = {name: _best(all_groups, activation, name) for activation, name in NAMES.items()}
    table = ("Each activation at each rate", _table(all_groups, groups))
    lost = [_lost(group) for group in all_groups if diverged_runs(group)]
    done = {name: group for name, group in groups.items() if group and group.runs}
    if not done:
        return Answer([*lost, "No run was completed."], tables=[table])
    rate = shared_rate(all_groups)
    at_rate = [group for group in all_groups if group.settings.get("optim.lr") == rate]
    alike = {n: group for a, n in NAMES.items() if (group := _best(at_rate, a, n)) and group.runs}
    found = claims(done, alike)
    usual, ps = [claim for claim, _ in found], [p for _, p in found]
    reached = "; ".join(
        f"{name} {format_accuracy(group.summary('metrics', 'val_acc'))}" for name, group in done.items()
    )
    details = [
        describe_keeping(alike),
        describe_gradients(alike),
        f"Layers are compared at a learning rate of {rate:g} for all, speed at the better rate of each. At the better "
        f"rates the validation accuracy is: {reached}.",
    ]
    curves = plot_learning_curves([*done.values()], "loss", "epochs")
    figures = [replace(curves, name="3_loss_by_epoch", caption=f"{curves.caption} {SEE_CURVES}")]
    if any(of(alike, dead).values()):
        layers = plot_layers([*alike.values()])
        caption = f"{layers.caption} {_before(alike)} {SEE_LAYERS}"
        figures.insert(0, replace(layers, name="3_layers", caption=caption))
    return Answer(
        [" ".join([*lost, describe_claims([format_with_p(claim, p) for claim, p in found])])],
        all_claims_hold(usual),
        figures,
        [claims_table(usual, CLAIMS, ps), table],
        details,
    )


def format_with_p(claim: Claim, p: str) -> Claim:
    """One that is open with what leaves it open, since intervals can lie apart and yet not be told apart by Holm."""
    return replace(claim, found=f"{claim.found}; p by Holm: {p}") if p and claim.holds is None else claim


def shared_rate(groups: Sequence[Group]) -> float:
    """The learning rate at which the sum of all mean validation losses is the lowest."""
    rates = sorted({float(group.settings["optim.lr"]) for group in groups})
    return min(rates, key=lambda rate: sum(g.val_loss for g in groups if g.settings["optim.lr"] == rate))


def _before(groups: Mapping[str, Group]) -> str:
    """How much of the gradient came through before training."""
    parts = [
        f"{format_mean(interval([*values.values()]), 2)} with {name}"
        for name, group in groups.items()
        if (values := figure_by_seed(group, lambda layers: flow(layers, 0)))
    ]
    return f"Before training the norm of the first layer's gradient over the last hidden one's is {'; '.join(parts)}."


def _best(groups: Sequence[Group], activation: str, name: str) -> Group | None:
    """At the learning rate with the lowest mean validation loss."""
    found = [group for group in groups if group.settings.get("model.activation") == activation]
    return with_label(min(found, key=lambda group: group.val_loss), name) if found else None


def _lost(group: Group) -> str:
    name = NAMES.get(str(group.settings.get("model.activation")), group.label)
    runs = len(diverged_runs(group))
    return f"{runs} run{'' if runs == 1 else 's'} of {name} at {group.settings.get('optim.lr'):g} diverged."


def _table(groups: Sequence[Group], best: Mapping[str, Group | None]) -> Table:
    chosen = {id(group.runs) for group in best.values() if group}
    rows = [_row(group, id(group.runs) in chosen) for group in groups]
    headings = ["activation", "learning rate", "mean from 0", "deviation from 1", "dead units, %", "gradient"]
    return Table(
        [*headings, "validation loss", "validation accuracy", "test accuracy †"],
        rows,
        "After the last epoch, mean over the hidden layers; gradient: its norm in the first layer over that in the "
        "last hidden one. Accuracies at the epoch with the lowest validation loss. * the rate with the lower "
        f"validation loss, at which it is said who learns faster. {TEST_NOTE}",
    )


def _row(group: Group, is_chosen: bool) -> list[Cell]:
    name = NAMES.get(str(group.settings.get("model.activation")), group.label)
    rate = group.settings.get("optim.lr", nan)
    cells: list[Cell] = [(name, name), (f"{rate:g}{' *' if is_chosen else ''}", rate)]
    for figure, digits in ((from_zero, 2), (from_one, 2), (dead, 1), (flow_at_end, 2)):
        found = interval([*figure_by_seed(group, figure).values()])
        cells.append((format_mean(found, digits), found.mean))
    loss = group.summary("metrics", "val_loss")
    cells.append((format_mean(loss, 3), loss.mean))
    for metric in ("val_acc", "test_acc"):
        found = group.summary("metrics", metric)
        cells.append((format_accuracy(found), found.mean))
    return cells


SECTIONS = (
    Section(
        "3",
        "3",
        "3. SELU, ELU and ReLU",
        "What is better about SELU and ELU than about ReLU?",
        "They go below zero, so the mean of a layer stays nearer zero; their gradient for negative inputs lets no unit "
        "die; and SELU keeps mean and deviation by itself, layer after layer. So deep networks learn faster with them.",
        answer,
        [SWEEP],
        notes=(
            "The same standardized inputs for all three; LeCun initialization for SELU, He's for the others; 7 epochs "
            "of 160 batches of 128 images at two learning rates. Layers are compared at the rate at which the three "
            "together have the lower validation loss, speed at the better rate for each. Figures of layers are of 256 "
            "validation images, after the last epoch, over the hidden layers. Each claim is two comparisons, paired by "
            "seed, with Holm's correction over them. A gradient is said to vanish or to explode where its norm differs "
            f"by more than {FLOW} times between the first and the last hidden layer, a factor that is a choice.",
        ),
    ),
)
