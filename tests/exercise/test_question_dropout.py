"""Question 7 from times and epochs that are made up."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from exercise.questions import dropout
from exercise.step_costs import (
    one_thread,
    random_batch,
    time_alternately,
    training_step,
    untrained_network,
)
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts

Leave = Callable[..., Path]
SEEDS = range(1, 25)


def around(value: float) -> list[float]:
    """Ten rounds whose mean logarithm is that of ``value``."""
    return [value / 1.01, value * 1.01] * 5


def taken(last: float = 1.1, every: float = 2.0) -> dict[str, list[float]]:
    of = {"none": 1.0, "last": last, "every": every}
    return {name: around(2.0 * of[name.partition(",")[0]])[:: -1 if name == "none" else 1] for name in dropout.VARIANTS}


def predicted(off: float = 1.0, last: Sequence[float] = (1.1, 2, 12), every: Sequence[float] = (1.2, 11, 110)):
    passes = {f"{name}, one pass": around(3.0)[::-1] for name in ("last", "every")}
    sampled = {
        f"{name}, {n}": around(3.0 * factor)
        for name, factors in (("last", last), ("every", every))
        for n, factor in zip((1, 10, 100), factors, strict=True)
    }
    inference = {"none, one pass": around(3.0)[::-1], **{f"{n}, one pass": around(3 * off) for n in ("last", "every")}}
    return {"inference": inference, "mc_dropout": {**passes, **sampled}}


def leave_rates(leave: Leave, without: int = 4, half: int = 8, after: int = 2, status: str = "completed") -> None:
    for rate, best in {0.0: without, 0.1: 5, 0.2: 6, 0.5: half}.items():
        sweep = dropout.SWEEP if rate in (0.0, 0.5) else dropout.BETWEEN
        for seed in SEEDS if sweep is dropout.SWEEP else (1, 2, 3):
            epochs = best + (seed + round(10 * rate)) % 2
            losses = [*[2.0 - 0.01 * i for i in range(epochs)], *[2.1] * after]
            leave(
                f"{sweep.name}/{rate},{seed}",
                *(losses, [0.4 + 0.001 * (seed % 3)] * len(losses), seed),
                overrides=(f"model.dropout={rate}", f"seed={seed}"),
                status=status if rate == 0.5 else "completed",
                dropout=rate,
            )


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    found = Evidence(tmp_path, Setting())
    found.keep(dropout.STEPS, taken())
    found.keep(dropout.PREDICTIONS, predicted())
    return found


def test_samples_that_share_work_are_cheaper_than_predictions(leave: Leave, evidence: Evidence):
    leave_rates(leave)
    found = dropout.answer(evidence)
    assert verdicts(found) == ["confirmed", "confirmed", "confirmed", "contradicted"]
    text = text_of(dropout.SECTION, found)
    assert (
        "before the output layer a step takes 1.10 times as long, a prediction 1.00 times, 10 MC samples 2.00" in text
    )
    assert "100 cost 12.00 times a prediction." in text
    # epochs of 8 and 9 to 4 and 5, of opposite parity: mean log of 9/4 and 8/5 is that of 1.90, times 1.10
    assert found.contrasts[0].mean == pytest.approx(2.09, abs=0.01)
    assert "takes 1.90 times the epochs (8.5, not 4.5) and 2.09 times" in text
    rates, times = (table.rows for _, table in found.tables)
    assert [row[0][0] for row in rates] == ["0", "0.1", "0.2", "0.5"]
    assert len(times) == 5 + 3 + 6


@pytest.mark.parametrize(
    ("without", "half", "after", "wanted"),
    [(4, 8, 2, "confirmed"), (8, 8, 2, "contradicted"), (2, 12, 2, "contradicted"), (4, 8, 0, "undecided")],
)
def test_whether_training_takes_twice_as_long(leave: Leave, evidence: Evidence, without, half, after, wanted: str):
    leave_rates(leave, without, half, after)
    found = dropout.answer(evidence)
    assert verdicts(found)[0] == wanted
    assert found.contrasts[0].note == ("a training ended at its lowest loss" if after == 0 else "")
    text_of(dropout.SECTION, found)


@pytest.mark.parametrize(("off", "wanted"), [(1.3, "contradicted"), (0.98, "confirmed"), (1.09, "undecided")])
def test_whether_predictions_are_free(leave: Leave, evidence: Evidence, off: float, wanted: str):
    leave_rates(leave)
    evidence.keep(dropout.PREDICTIONS, predicted(off=off))
    assert verdicts(dropout.answer(evidence))[1] == wanted


@pytest.mark.parametrize(
    ("ten", "wanted"), [(2.0, "contradicted"), (7.0, "confirmed"), (6.6, "undecided"), (16.0, "contradicted")]
)
def test_whether_samples_cost_predictions(leave: Leave, evidence: Evidence, ten: float, wanted: str):
    leave_rates(leave)
    evidence.keep(dropout.PREDICTIONS, predicted(last=(1, ten, 100), every=(1, ten, 100)))
    found = dropout.answer(evidence)
    assert verdicts(found)[2:] == [wanted] * 2
    assert ("If only the last layer drops" in text_of(dropout.SECTION, found)) is (wanted == "contradicted")


def test_there_is_no_answer_where_all_runs_of_a_rate_diverged(leave: Leave, evidence: Evidence):
    leave_rates(leave, status="diverged")
    with pytest.raises(NotAvailable, match=r"dropout 0\.5: no run was completed"):
        dropout.answer(evidence)


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


def test_one_thread_and_then_as_many_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.mark.slow
def test_what_is_timed_is_what_it_is_called(leave: Leave, tmp_path: Path):
    for seed in (1, 2):
        overrides = ("model.dropout=0", f"seed={seed}")
        more = {"initializer": "lecun_normal", "standardize": True, "dropout": 0.0}
        leave(f"{dropout.SWEEP.name}/{seed}", [1.0], [0.5], seed, "selu", overrides=overrides, **more)
    found = dropout.measure_predictions(Evidence(tmp_path, Setting(quick=True)))
    assert set(found["inference"]) == {"none, one pass", "last, one pass", "every, one pass"}
    assert set(found["mc_dropout"]) == {f"{p}, {n}" for p in ("last", "every") for n in ("one pass", 1, 10)}
    steps = dropout.measure_steps(Evidence(tmp_path, Setting(quick=True)))
    assert list(steps) == ["none", "last, standard", "last, alpha", "every, standard", "every, alpha"]
    assert all(len(rounds) == 5 and min(rounds) > 0 for rounds in steps.values())


def test_the_timed_step_trains_and_draws_new_masks():
    network = untrained_network({"model.dropout": 0.5, "model.dropout_after": "every", "model.activation": "elu"})
    before = network.module.linear_1.weight.clone()
    step = training_step(network, partial(torch.optim.NAdam, lr=1e-6), *random_batch(8))
    step()
    step()
    assert not torch.equal(network.module.linear_1.weight, before)
    assert int(network.module.dropout_1.draws.step) == 2
