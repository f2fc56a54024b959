"""Question 7: the words that follow from times and epochs which are made up."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from exercise.formatting import format_ratio
from exercise.questions import dropout
from exercise.step_costs import one_thread, random_batch, time_alternately, time_ratio, training_step
from exercise.store import Evidence
from exercise.trainings import Setting
from trainlab.statistics import Ratio

Leave = Callable[..., Path]
EPOCHS = {0.0: (4, 4, 5), 0.1: (5, 5, 6), 0.2: (6, 6, 7), 0.5: (8, 9, 10)}


def around(value: float) -> list[float]:
    """Three rounds whose mean logarithm is that of ``value``."""
    return [value / 1.01, value, value * 1.01]


def taken(last: float, every: float) -> dict[str, list[float]]:
    return {
        "none": around(2.0)[::-1],
        **{f"last, {kind}": around(2.0 * last) for kind in ("standard", "alpha")},
        **{f"every, {kind}": around(2.0 * every) for kind in ("standard", "alpha")},
    }


def predicted(off: float = 1.0, last: Sequence[float] = (1.1, 2, 12), every: Sequence[float] = (1.2, 11, 110)):
    passes = {f"{name}, one pass": around(3.0)[::-1] for name in ("last", "every")}
    sampled = {
        f"{name}, {n}": around(3.0 * factor)
        for name, factors in (("last", last), ("every", every))
        for n, factor in zip((1, 10, 100), factors, strict=True)
    }
    inference = {"none, one pass": around(3.0)[::-1], **{f"{n}, one pass": around(3 * off) for n in ("last", "every")}}
    return {"inference": inference, "mc_dropout": {**passes, **sampled}}


def leave_rates(leave: Leave, epochs: dict[float, Sequence[int]] = EPOCHS, after: int = 2) -> None:
    for rate, bests in epochs.items():
        for seed, best in enumerate(bests, 1):
            falls = [2.0 - 0.01 * i for i in range(best)]
            losses = [*falls, *[falls[-1] + 0.1] * after]
            accuracies = [0.4 + 0.001 * seed] * len(losses)
            overrides = (f"model.dropout={rate}", f"seed={seed}")
            leave(f"question_7/{rate},{seed}", losses, accuracies, seed=seed, overrides=overrides, dropout=rate)


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    found = Evidence(tmp_path, Setting())
    found.keep(dropout.STEPS, taken(1.1, 2.0))
    found.keep(dropout.PREDICTIONS, predicted())
    return found


def test_slower_free_and_cheaper_than_its_samples(leave: Leave, evidence: Evidence):
    leave_rates(leave)
    found = dropout.answer(evidence)
    # ten samples after the last layer cost two passes, not ten
    assert found.agrees is False
    (steps, usual), (epochs, cheap) = found.sentences, found.details
    assert steps.startswith(
        "With alpha dropout after the last hidden layer a training step takes 1.10 times (95 %: 1.05 to 1.16) as long "
        "as without any dropout; with it after each of the 20 layers 2.00 times (95 %: 1.90 to 2.10), and with standard"
    )
    # 8/4, 9/4, 10/5: the cube root of 9 is 2.08
    assert epochs.startswith("The lowest validation loss came after 9.0 ± 2.5 epochs with rate 0.5, after 4.3 ± 1.4 w")
    assert (
        ": 2.08 times (95 %: " in epochs
        and "as many, more (3 seeds). Multiplied by the time of a step, that makes 2.29 times" in epochs
    )
    # epochs 2.08 times and steps 1.10 times: 1.92 to 2.73, which is within 1.41 to 2.83
    claims = (
        "training takes about twice as long (2.29 times (95 %: 1.92 to 2.73) the time to the lowest validation loss, "
        "at a dropout rate of 0.5)",
        "predictions take no longer (1.00 times (95 %: 0.95 to 1.05) as long with dropout that is off as without any; "
        "up to 5 % more counts as none)",
        "10 samples of MC dropout after every hidden layer take about 10 times as long as one prediction (11.00 times "
        "(95 %: 10.47 to 11.56); about 10 is from 7.1 to 14.1)",
        "10 samples of MC dropout after the last hidden layer take about 10 times as long as one prediction (2.00 "
        "times (95 %: 1.90 to 2.10); about 10 is from 7.1 to 14.1)",
    )
    assert all(claim in usual for claim in claims)
    assert "the samples share all layers before it, which are computed once; a loop over whole pred" in cheap
    assert cheap.endswith(
        "over 3 rounds, those of predictions over 3, those of MC dropout over 3, those of epochs over seeds."
    )
    assert [picture.name for picture in found.figures] == ["7_loss_by_epoch", "7_costs"]
    assert "See after how many epochs each line is lowest" in found.figures[0].caption
    (_, rates), (_, variants) = found.tables
    assert [row[0][0] for row in rates.rows] == ["0", "0.1", "0.2", "0.5"]
    assert [row[0][0] for row in variants.rows] == [
        *("step, no dropout", "step, standard dropout after the last hidden layer"),
        *("step, alpha dropout after the last hidden layer", "step, standard dropout after every hidden layer"),
        *("step, alpha dropout after every hidden layer", "prediction, no dropout"),
        *("prediction, dropout after the last hidden layer, off", "prediction, dropout after every hidden layer, off"),
        *("MC dropout after the last hidden layer, 1 sample", "MC dropout after the last hidden layer, 10 samples"),
        *("MC dropout after the last hidden layer, 100 samples", "MC dropout after every hidden layer, 1 sample"),
        *("MC dropout after every hidden layer, 10 samples", "MC dropout after every hidden layer, 100 samples"),
    ]
    # 1.98, 2 and 2.02 ms: deviation 0.02, times 4.303 / sqrt(3)
    assert [cell[0] for cell in variants.rows[0]] == ["step, no dropout", "2.00 ± 0.05", "3", "-"]


AS_IT_SAYS = predicted(off=0.98, last=(1.1, 10.5, 101))
NO_STEP = taken(1.0, 2.0)  # dropout after the last layer costs a step nothing


def test_all_that_the_textbook_has(leave: Leave, evidence: Evidence):
    leave_rates(leave)
    evidence.keep(dropout.STEPS, NO_STEP)
    evidence.keep(dropout.PREDICTIONS, AS_IT_SAYS)
    found = dropout.answer(evidence)
    # epochs 2, 2.25 and 2 times: 1.76 to 2.46; with steps of 0.95 to 1.05 times 1.74 to 2.48
    assert found.details[0].endswith("2.08 times (95 %: 1.74 to 2.48) the time: about twofold.")
    assert found.agrees is True
    assert "samples share" not in found.details[1]


def test_undecided_without_a_significant_difference_in_epochs(leave: Leave, evidence: Evidence):
    leave_rates(leave, EPOCHS | {0.5: (3, 9, 4)})
    evidence.keep(dropout.PREDICTIONS, AS_IT_SAYS)
    found = dropout.answer(evidence)
    assert found.agrees is None
    assert "as many, no difference that these runs show (3 seeds)." in found.details[0]
    assert found.details[0].endswith("the time: whether that is about twofold is not shown.")


@pytest.mark.parametrize(
    ("none", "half", "word"), [((8, 9, 10), (4, 4, 5), "fewer"), ((2, 2, 2), (11, 12, 13), "more")]
)
def test_far_from_twofold_contradicts_it(leave: Leave, evidence: Evidence, none, half, word: str):
    leave_rates(leave, {0.0: none, 0.1: (5, 5, 6), 0.2: (6, 6, 7), 0.5: half})
    evidence.keep(dropout.PREDICTIONS, AS_IT_SAYS)
    found = dropout.answer(evidence)
    assert found.agrees is False
    assert f"as many, {word} (3 seeds)." in found.details[0]
    assert found.details[0].endswith("the time: not about twofold.")


@pytest.mark.parametrize(
    ("low", "high", "is_about"),
    [
        (1.5, 2.7, True),
        (1.3, 2.7, None),
        (1.5, 2.9, None),
        (1.0, 1.4, False),  # below the root of two
        (2.9, 4.0, False),  # above twice that
        (float("nan"), float("nan"), None),
    ],
)
def test_about_twofold_is_a_range(low: float, high: float, is_about: bool | None):
    assert dropout.about(Ratio((low + high) / 2, low, high), 2) is is_about


def test_a_training_that_ends_at_its_best_says_so(leave: Leave, evidence: Evidence):
    leave_rates(leave, after=0)
    evidence.keep(dropout.PREDICTIONS, AS_IT_SAYS)
    found = dropout.answer(evidence)
    assert "(the training ended before it rose again with rate 0.5 and no dropout)" in found.details[0]
    assert "the time" not in found.details[0] and found.agrees is None
    assert (
        "training takes about twice as long (no time to the lowest validation loss can be given)" in found.sentences[1]
    )


def test_equal_ratios_claim_nothing(leave: Leave, evidence: Evidence):
    leave_rates(leave, EPOCHS | {0.0: (4, 4, 4), 0.5: (8, 8, 8)})
    assert "2.00 times as many, nothing can be claimed (3 seeds)." in dropout.answer(evidence).details[0]


def test_runs_that_diverged(leave: Leave, evidence: Evidence):
    leave_rates(leave, {rate: epochs for rate, epochs in EPOCHS.items() if rate < 0.5})
    for seed in (1, 2, 3):
        overrides = ("model.dropout=0.5", f"seed={seed}")
        leave(f"question_7/x{seed}", [2.3], [0.1], seed=seed, status="diverged", overrides=overrides, dropout=0.5)
    found = dropout.answer(evidence)
    assert found.details[0] == "No run with rate 0.5 was completed, so epochs cannot be compared."
    assert found.agrees is False  # since samples share work


NO_TIME = Ratio(float("nan"), float("nan"), float("nan"))


@pytest.mark.parametrize(("off", "free"), [(1.2, False), (0.98, True), (1.04, None)])
def test_whether_predictions_are_free(off: float, free: bool | None):
    """Three rounds a percent apart, each against others in another order: an interval of about 5 % to each side."""
    inference = predicted(off=off)["inference"]
    assert dropout.is_free(inference) is free
    claim = dropout.claims(NO_TIME, inference, predicted()["mc_dropout"])[1]
    assert claim.holds is free
    assert claim.figures.startswith(f"{off:.2f} times (95 %: ")


@pytest.mark.parametrize(("ten", "holds"), [(2.0, False), (10.0, True), (7.8, True), (7.2, None), (20.0, False)])
def test_whether_samples_cost_passes(ten: float, holds: bool | None):
    found = predicted(last=(1, ten, 100), every=(1, ten, 100))
    *_, last, every = dropout.claims(NO_TIME, found["inference"], found["mc_dropout"])
    assert (
        last.statement
        == "10 samples of MC dropout after the last hidden layer take about 10 times as long as one prediction"
    )
    assert "after every hidden layer" in every.statement
    assert last.holds is every.holds is holds
    assert bool(dropout.why_cheap(found["mc_dropout"])) is (ten == 2.0)


def test_actions_take_turns_the_shortest_of_each_counts_and_the_first_round_does_not():
    now, order = [0.0], []

    def action(name: str, lasts: float) -> Callable[[], None]:
        def act() -> None:
            order.append(name)
            seldom = 3 if len(order) % 2 else 1  # something else has the core the first time of two
            now[0] += lasts * (0.125 if len(order) <= 4 else seldom)  # the first round is of another machine

        return act

    found = time_alternately({"a": action("a", 1.0), "b": action("b", 2.0)}, rounds=3, times=2, clock=lambda: now[0])
    assert found == {"a": [1000.0] * 3, "b": [2000.0] * 3}
    assert "".join(order[4:]) == "aabb" + "bbaa" + "aabb"
    assert time_ratio(found["b"], found["a"]).value == pytest.approx(2)


def test_one_thread_and_then_as_many_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_words_for_ratios():
    nan = float("nan")
    assert format_ratio(Ratio(1.4321, 1.4, 1.5)) == "1.43 times (95 %: 1.40 to 1.50)"
    assert format_ratio(Ratio(2.0, nan, nan)) == "2.00 times"
    assert format_ratio(Ratio(nan, nan, nan)) == "an unknown number of times"


@pytest.mark.slow
def test_what_is_timed_is_what_it_is_called(tmp_path: Path):
    found = dropout.measure_predictions(Evidence(tmp_path, Setting(quick=True)))
    assert set(found["mc_dropout"]) == {f"{p}, {n}" for p in ("last", "every") for n in ("one pass", 1, 10)}
    steps = dropout.measure_steps(Evidence(tmp_path, Setting(quick=True)))
    assert list(steps) == ["none", "last, standard", "last, alpha", "every, standard", "every, alpha"]
    assert all(len(rounds) == 5 and min(rounds) > 0 for rounds in steps.values())


def test_the_timed_step_trains_and_draws_new_masks():
    network = dropout.make_network(dropout=0.5, dropout_after="every", dropout_kind="standard")
    before = network.module.linear_1.weight.clone()
    step = training_step(network, partial(torch.optim.NAdam, lr=1e-6), *random_batch(8))
    step()
    step()
    assert not torch.equal(network.module.linear_1.weight, before)
    assert int(network.module.dropout_1.draws.step) == 2
