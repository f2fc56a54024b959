"""The answer to question 4, from figures that are made up."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from exercise.questions.activations import comparison
from exercise.questions.activations.comparison import LOWER, OTHERS, SECTION, UPPER, answer, groups_by_activation
from exercise.section import TEMPLATES
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting, overrides_of
from exercise_texts import text_of, verdicts
from trainlab.config.resolvers import PROJECT
from trainlab.report import Group

SPREAD = (0.0, 0.002, 0.001)
USUAL = {"selu": 0.46, "elu": 0.45, "leaky_relu": 0.42, "relu": 0.40, "tanh": 0.38, "sigmoid": 0.10}
TIMES = {"relu": [8.0, 8.1, 8.2], "selu": [8.8, 8.9, 9.1], "sigmoid": [7.9, 8.2, 8.1], "elu": [8.5, 8.7, 8.7]}
SETTING = Setting(quick=True, overrides=("seed=1,2,3",))  # in which only logistic has no neighbour
ACTIVATIONS = {
    UPPER: ("selu", "elu", "leaky_relu"),
    LOWER: ("leaky_relu", "relu", "tanh"),
    OTHERS: ("sigmoid", "mish"),
}


@pytest.fixture
def made(leave: Callable[..., Path], tmp_path: Path) -> Callable[..., Evidence]:
    """Three seeds of each activation from a mean accuracy; None for runs that diverged. Mish only if it is given."""

    def leave_all(times=TIMES, **accuracies: float | None) -> Evidence:
        given = USUAL | accuracies
        for sweep, names in ACTIVATIONS.items():
            for place, name in enumerate(name for name in names if name in given):
                for seed, by in enumerate(SPREAD, 1):
                    value = (given[name] or 0.1) + (1 + 0.1 * place) * by  # no two have the same differences
                    status = "completed" if given[name] else "diverged"
                    more = {"initializer": "he_normal", "num_classes": 10}
                    leave(f"{sweep.name}/{name}{seed}", [1 - value], [value], seed, name, status=status, **more)
        evidence = Evidence(tmp_path, SETTING)
        evidence.keep(comparison.TIMES, {"ms": times})
        return evidence

    return leave_all


def test_the_usual_order(made: Callable[..., Evidence]):
    found = answer(made(mish=0.44))
    assert [claim.statement for claim in found.claims] == [
        *("SELU over ELU", "ELU over leaky ReLU", "leaky ReLU over ReLU", "ReLU over tanh", "tanh over logistic"),
        "ReLU faster than ELU, SELU",
    ]
    assert verdicts(found) == ["confirmed"] * 6
    text = text_of(SECTION, found)
    assert "SELU reaches 46.1 ± 0.2 % after two passes" in text
    assert "images, ELU 45.1 %, Mish 44.1 %, ReLU" in text
    assert "logistic 10.1 %, as guessing." in text
    [(_, table)] = found.tables
    assert [row[0][0] for row in table.rows] == ["SELU", "ELU", "Mish", "leaky ReLU", "ReLU", "tanh", "logistic"]
    # The geometric mean of 8.8 / 8, 8.9 / 8.1 and 9.1 / 8.2.
    assert table.rows[0][-1][1] == pytest.approx((8.8 / 8 * 8.9 / 8.1 * 9.1 / 8.2) ** (1 / 3))
    assert [row[-1][0] for row in table.rows][2:5] == ["-", "-", "-"]


def test_neighbours_the_other_way_round(made: Callable[..., Evidence]):
    found = answer(made(elu=0.47, tanh=0.43, sigmoid=0.2, times=TIMES | {"elu": [4.0, 4.1, 4.05]}))
    assert verdicts(found) == ["contradicted", "confirmed", "confirmed", "contradicted", "confirmed", "contradicted"]
    text = text_of(SECTION, found)
    assert "Even tanh is 3.0 points ahead of ReLU" in text
    assert "a step with ELU takes 0.50 times as long" in text
    assert "as guessing" not in text


def test_of_a_rate_at_the_end_of_its_range_nothing_is_claimed(
    made: Callable[..., Evidence], monkeypatch: pytest.MonkeyPatch
):
    evidence = made()
    groups_of = comparison.groups_of

    def searched(of: Group) -> Group:
        lr = 1e-2 if of.label == "logistic" else 1e-3
        search = {"method": "grid", "lr": lr, "curve": {"lr": [1e-4, 1e-3, 1e-2], "losses": [[2.0], [1.9], [1.8]]}}
        runs = {seed: replace(run, result=replace(run.result, lr_search=search)) for seed, run in of.runs.items()}
        return replace(of, runs=runs)

    def found(evidence, sweep):
        return {key: searched(group) for key, group in groups_of(evidence, sweep).items()}

    monkeypatch.setattr(comparison, "groups_of", found)
    result = answer(evidence)
    assert verdicts(result)[4] == "undecided"
    assert "logistic lies at the end" in result.claims[4].remark
    assert "learning rate of logistic lies at the end of the range" in text_of(SECTION, result)
    assert [row[1][0] for row in result.tables[0][1].rows][-2:] == ["0.001", "0.01 *"]


def test_a_neighbour_without_a_completed_run_leaves_no_answer(made: Callable[..., Evidence]):
    with pytest.raises(NotAvailable, match="tanh: no run was completed"):
        answer(made(tanh=None))


def test_another_one_that_diverged_is_listed_last(made: Callable[..., Evidence]):
    [(_, table)] = answer(made(mish=None)).tables
    assert [text for text, _ in table.rows[-1][:3]] == ["Mish", "0.0001", "0"]


def test_all_activations_are_timed(made: Callable[..., Evidence], tmp_path: Path):
    made(mish=None)
    found = comparison.measure_steps(Evidence(tmp_path, Setting(True, ("seed=1,2,3",))))
    assert {name: len(of) for name, of in found["ms"].items()} == dict.fromkeys(USUAL, 3)


def test_a_group_of_each_activation(made: Callable[..., Evidence]):
    evidence = made()
    groups = groups_by_activation(evidence)
    assert {*groups} == {*USUAL}
    assert all(UPPER.name in str(folder) for folder in groups["leaky_relu"].folders)


def test_without_a_search_it_has_no_settings():
    assert not any(word.startswith("lr_search.") for word in overrides_of(UPPER, Setting(quick=True)))


def test_what_is_said_of_the_search_is_what_is_set():
    conf = yaml.safe_load((PROJECT / "conf" / "lr_search" / "coarse.yaml").read_text())
    experiment = yaml.safe_load(
        (PROJECT / "conf" / "experiment" / "exercise" / "question_4_activations.yaml").read_text()
    )
    assert (conf["min_lr"], conf["epochs"]) == ("3e-5", 2)
    assert all({"lr_search.max_lr=1e-1", "lr_search.num_rates=8"} <= {*sweep.overrides} for sweep in ACTIVATIONS)
    assert (experiment["trainer"]["max_epochs"], experiment["trainer"]["limit_train_batches"]) == (10, 300)
    notes = (TEMPLATES / "questions" / "4.html.j2").read_text()
    assert (
        "300 batches (two passes). Rates: best of eight from 3e-5 to 1e-1, then of two beside it, in up to 2 epochs"
        in notes
    )
