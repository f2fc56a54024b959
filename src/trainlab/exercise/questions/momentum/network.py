"""The deep network under SGD with six momenta, at one learning rate and at rates that keep the pace."""

from collections.abc import Mapping

from trainlab.cli import same_pace
from trainlab.exercise.evidence import Evidence
from trainlab.exercise.questions.mistakes.price import price
from trainlab.exercise.trainings import Sweep
from trainlab.exercise.wording import named, pair_of, signed, verdict
from trainlab.report.groups import Group

MOMENTA = (0.0, 0.5, 0.9, 0.99, 0.999, 0.99999)
USUAL, EXTREME = 0.9, 0.99999
RATE, PACE = 0.001, 0.01  # of a step; of the sum of the steps that equal gradients come to. They meet at 0.9
ALL = Sweep(
    "question_5_momentum",
    (
        *("model=selu", "optim=sgd", f"optim.momentum={','.join(f'{m:g}' for m in MOMENTA)}"),
        f"optim.lr={RATE},'${{same_pace:{PACE},${{optim.momentum}}}}'",
        *("seed=1,2,3", "trainer.max_epochs=6", "trainer.limit_train_batches=200", "callbacks.early_stopping=null"),
        *("callbacks.pictures=null", "logger.tensorboard=null", "sweep.population=10"),
    ),
    quick=("optim.momentum=0,0.9,0.99999", "model.depth=3", "trainer.limit_train_batches=20"),
)
ByMomentum = Mapping[float, Group]


def at_one_rate(evidence: Evidence) -> dict[float, Group]:
    """Groups with the learning rate ``RATE``, by momentum.

    Raises:
        NotYet: a run has not ended.
    """
    return _where(evidence, dict.fromkeys(MOMENTA, RATE))


def at_one_pace(evidence: Evidence) -> dict[float, Group]:
    """Groups whose learning rate makes equal gradients add up to ``PACE`` of them, by momentum.

    Raises:
        NotYet: a run has not ended.
    """
    return _where(evidence, {momentum: same_pace(PACE, momentum) for momentum in MOMENTA})


def _where(evidence: Evidence, rates: Mapping[float, float]) -> dict[float, Group]:
    found = {
        (float(group.settings["optim.momentum"]), float(group.settings["optim.lr"])): group
        for group in evidence.ended_groups(ALL)
    }
    return {m: named(found[m, lr], f"momentum {m:g}") for m, lr in rates.items() if (m, lr) in found}


def extreme(groups: ByMomentum) -> tuple[str, bool | None]:
    """What the extreme momentum costs beside the usual one, and whether it clearly does."""
    if USUAL not in groups or EXTREME not in groups:
        return f"There are no runs with {USUAL:g} and {EXTREME:g}.", None
    return price(groups[EXTREME], groups[USUAL])


def extreme_told(rate: ByMomentum, pace: ByMomentum) -> str:
    """The same at one rate and at one pace, in words."""
    return (
        f"The deep network with {EXTREME:g} in the place of {USUAL:g}, at a learning rate of {RATE:g} for all: "
        f"{_lower_case(extreme(rate)[0])} At {PACE:g} (1 - momentum), which keeps the pace: "
        f"{_lower_case(extreme(pace)[0])}"
    )


def _lower_case(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def due(rate: ByMomentum, pace: ByMomentum) -> str:
    """What of the gain by a usual momentum is left where the pace is kept."""
    if not all(groups.get(momentum) and groups[momentum].runs for groups in (rate, pace) for momentum in (0.0, USUAL)):
        return "What is due to the momentum and what to the pace cannot be said: runs without or with 0.9 are missing."
    gains = [pair_of(groups[USUAL], groups[0.0]).difference for groups in (rate, pace)]
    at_rate, at_pace = (verdict(gain) for gain in gains)
    told = [f"{signed(gain)} points" for gain in gains]
    if at_rate == "higher":
        rest = {
            "higher": f"{told[1]} of it stay where the pace is kept: momentum helps by more than a higher rate",
            "lower": f"none of it stays where the pace is kept ({told[1]}): it was the higher pace alone",
            "not distinguishable": f"whether any of it stays where the pace is kept is not shown ({told[1]})",
            "unknown": f"what stays of it where the pace is kept cannot be told ({told[1]})",
        }[at_pace]
        return f"At one learning rate a momentum of {USUAL:g} gains {told[0]} over no momentum; {rest}."
    word = {"lower": "behind", "not distinguishable": "not told apart from", "unknown": "not tested against"}[at_rate]
    kept = {"higher": "ahead of", "lower": "behind"}.get(at_pace, "not told apart from")
    return (
        f"At one learning rate a momentum of {USUAL:g} is {word} no momentum ({told[0]}), and where the pace is kept "
        f"{kept} it ({told[1]})."
    )
