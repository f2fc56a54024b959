"""The answer to question 4 follows from the figures by rules."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from exercise.questions.activations import comparison, trained
from exercise.questions.activations.comparison import ORDER, claims
from exercise.questions.activations.trained import ALL, groups_by_activation
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from trainlab.config.resolvers import PROJECT
from trainlab.report.groups import Group
from trainlab.statistics import Ratio

Groups = dict[str, Group]
SPREAD = (0.0, 0.002, 0.001)
TIMES = {"relu": [8.0, 8.1, 8.2], "selu": [8.8, 8.9, 9.1], "sigmoid": [7.9, 8.2, 8.1], "elu": [4.0, 4.1, 4.05]}


@pytest.fixture
def groups_of(leave: Callable[..., Path], tmp_path: Path) -> Callable[..., Groups]:
    """Groups of three seeds by activation, from a mean each, or from accuracies; None for runs that diverged."""

    def made(**accuracies: float | tuple[float, ...] | None) -> Groups:
        for place, (name, given) in enumerate(accuracies.items()):
            wiggle = [(1 + 0.1 * place) * by for by in SPREAD]  # no two have the same differences
            values = given if isinstance(given, tuple) else [(given or 0.1) + w for w in wiggle]
            status = "diverged" if given is None else "completed"
            for seed, value in enumerate(values, 1):
                more = {"initializer": "he_normal", "num_classes": 10}
                leave(f"{ALL.name}/{name}{seed}", [1 - value], [value], seed, name, status=status, **more)
        return groups_by_activation(Evidence(tmp_path, Setting()))

    return made


def test_the_best_and_those_with_a_significant_difference_to_it(groups_of: Callable[..., Groups]):
    groups = groups_of(selu=0.46, elu=(0.459, 0.464, 0.458), relu=0.40)
    # selu - elu: 0.001, -0.002, 0.003: mean 0.067 points, sd 0.25, 4.303 * 0.25 / sqrt(3) = 0.63
    said = comparison.describe_best(comparison.ranking(groups))
    assert said == (
        "SELU is ahead with 46.1 ± 0.2 % (3 seeds) validation accuracy; in points, clearly behind it (p below 0.05 by "
        "Holm over 3 pairs): ReLU (6.0 ± 0.0); no significant difference from it: ELU (0.07 ± 0.6). ± is half the 95 % "
        "interval of one pair alone, not corrected for the others, paired by seed."
    )


# selu less elu: 1, 2 and 1.5 points: mean 1.5, sd 0.5, t = 1.5 / (0.5 / sqrt(3)) = 5.20, p = 0.035 with 2 degrees
NEAR = {"selu": (0.46, 0.462, 0.461), "elu": (0.45, 0.442, 0.446)}


def test_differences_that_are_not_significant_after_correction(groups_of: Callable[..., Groups]):
    said = comparison.describe_best(comparison.ranking(groups_of(**NEAR, tanh=(0.4588, 0.4631, 0.4582))))
    assert "; in points, behind it, but among 3 pairs that may be chance: ELU (1.5 ± 1.2; p 0.035 alone, 0.1" in said
    assert "by Holm); no significant difference from it: tanh (" in said
    assert "clearly" not in said


def test_a_single_pair_is_not_corrected(groups_of: Callable[..., Groups]):
    said = comparison.describe_best(comparison.ranking(groups_of(**NEAR)))
    assert said.endswith("in points, clearly behind it: ELU (1.5 ± 1.2). ± is half the 95 % interval, paired by seed.")


def test_of_equal_differences_nothing_is_claimed(groups_of: Callable[..., Groups]):
    said = comparison.describe_best(comparison.ranking(groups_of(selu=(0.46, 0.461, 0.462), elu=(0.45, 0.451, 0.452))))
    assert said.endswith("; in points, behind it in the mean, of which nothing can be claimed: ELU (1.0).")


def test_one_alone_is_compared_with_nothing(groups_of: Callable[..., Groups]):
    groups = groups_of(selu=0.46)
    said = comparison.describe_best(comparison.ranking(groups))
    assert said == "SELU is ahead with 46.1 ± 0.2 % (3 seeds) validation accuracy."
    assert comparison.recommend(comparison.ranking(groups), {}, groups) == ""


LONGER = "Longer trainings, which may rank them otherwise, were not made."


def test_which_to_use_as_far_as_the_figures_carry_it(groups_of: Callable[..., Groups]):
    groups = groups_of(selu=0.46, elu=(0.459, 0.464, 0.458), relu=0.40)
    costs = {"selu": Ratio(1.2, 1.15, 1.3), "elu": Ratio(1.12, 1.05, 1.2)}
    assert comparison.recommend(comparison.ranking(groups), costs, groups) == (
        "After two passes over the images these runs speak for SELU in this network, with 46.1 ± 0.2 % (3 seeds) "
        "validation accuracy; ELU is not clearly different and may do as well; ReLU is clearly behind. Only SELU is "
        f"shown to take more than 10 % more time a step than ReLU. {LONGER}"
    )
    cheap = {"elu": Ratio(1.0, 0.9, 1.1)}
    said = comparison.recommend(comparison.ranking(groups), cheap, groups)
    assert said.endswith(f"None is shown to take more than 10 % more time a step than ReLU. {LONGER}")
    assert comparison.recommend(comparison.ranking(groups), {}, groups).endswith(f"ReLU is clearly behind. {LONGER}")


def test_what_may_be_chance_is_no_advice(groups_of: Callable[..., Groups]):
    groups = groups_of(**NEAR, tanh=(0.4588, 0.4631, 0.4582))
    assert comparison.recommend(comparison.ranking(groups), {}, groups) == (
        "After two passes over the images these runs do not say which activation to use in this network: none is "
        "clearly behind SELU, which is ahead with 46.1 ± 0.2 % (3 seeds) validation accuracy."
    )


def test_what_is_clearly_behind_is_advice(groups_of: Callable[..., Groups]):
    groups = groups_of(**NEAR, mish=(0.30, 0.302, 0.3015))
    said = comparison.recommend(comparison.ranking(groups), {}, groups)
    assert (
        "% (3 seeds) validation accuracy; ELU and Mish are clearly behind. Longer" in said
    )  # 0.035, the larger of two


def test_what_is_clearly_behind_and_what_may_be_chance(groups_of: Callable[..., Groups]):
    groups = groups_of(**NEAR, mish=(0.30, 0.302, 0.3015), silu=(0.4588, 0.4631, 0.4582))
    said = comparison.recommend(comparison.ranking(groups), {}, groups)
    assert (
        "; Swish is not clearly different and may do as well; that ELU is behind it may be chance among 6 pairs; Mish "
        "is clearly behind. " in said
    )


def test_what_learned_nothing_and_what_diverged(groups_of: Callable[..., Groups]):
    groups = groups_of(selu=0.46, sigmoid=0.10, tanh=None)
    assert comparison.describe_failures(groups) == [
        "Next to nothing (at most 1.5 times the 10 % of guessing) was learned with logistic (10.1 ± 0.3 % (3 seeds)).",
        "Not all runs completed with tanh (3 runs diverged).",
    ]


def searched(group: Group, lr: float, **settings: Any) -> Group:
    """The group, with a rate that was searched from 1e-4 to 1e-2."""
    found = {"method": "grid", "lr": lr, "curve": {"lr": [1e-4, 1e-3, 1e-2], "losses": [[2.0], [1.9], [1.8]]}}
    runs = {
        seed: replace(run, result=replace(run.result, lr_search=found)) if run.result else run
        for seed, run in group.runs.items()
    }
    return replace(group, runs=runs, settings=group.settings | settings)


def test_a_rate_at_an_end_of_the_range_is_flagged(groups_of: Callable[..., Groups]):
    groups = groups_of(selu=0.46, tanh=0.40, sigmoid=0.10)
    inside = searched(groups["selu"], 1e-3, **{"lr_search.epochs": 2, "trainer.limit_train_batches": 300})
    high, low = searched(groups["sigmoid"], 1e-2), searched(groups["tanh"], 1e-4)
    assert trained.describe_rates_at_ends([inside, groups["tanh"]]) == []  # the other was given
    assert trained.describe_rates_at_ends([inside, high]) == [
        "The rate found for logistic (0.01) lies at the end of the range searched: beyond it there may be a better one."
    ]
    assert trained.describe_rates_at_ends([high, low])[0].startswith(
        "The rates found for logistic (0.01) and tanh (0.0001) lie at"
    )
    assert trained.describe_search([inside]) == (
        "The rate is the one with the lowest validation loss among several from 0.0001 to 0.01, each trained for 2 "
        "epochs of 300 batches at most."
    )
    assert trained.describe_search([high]).endswith(
        "0.01; * at an end of the range, beyond which a better one may lie."
    )
    assert trained.describe_search([groups["tanh"]]) == ""
    row = comparison._row("elu", high, [1.0, 1.1], {})
    assert row[2] == ("0.01 *", 0.01)
    assert comparison._row("elu", inside, [1.0, 1.1], {})[2] == ("0.001", 1e-3)
    over = {claim.statement: claim.figures for claim in claims({"tanh": low, "sigmoid": high}, {})}
    assert over["tanh is better than logistic"].endswith(
        "; the rate of tanh and logistic is at the end of the range searched"
    )


def test_what_is_said_of_the_search_is_what_is_set():
    conf = yaml.safe_load((PROJECT / "conf" / "lr_search" / "coarse.yaml").read_text())
    experiment = yaml.safe_load(
        (PROJECT / "conf" / "experiment" / "exercise" / "question_4_activations.yaml").read_text()
    )
    assert (conf["num_rates"], conf["min_lr"], conf["max_lr"], conf["epochs"]) == (6, "3e-5", "1e-2", 2)
    assert experiment["trainer"]["limit_train_batches"] == 300
    note, _ = comparison.SECTION.notes
    assert "six rates from 3e-5 to 1e-2, and one on each side of the best, for 2 epochs of 300 batches" in note


def test_the_book_is_held_against_each_neighbour(groups_of: Callable[..., Groups]):
    groups = groups_of(
        selu=0.46, elu=0.40, leaky_relu=(0.43, 0.44, 0.435), relu=(0.434, 0.431, 0.440), tanh=0.40, sigmoid=0.10
    )
    found = {claim.statement: claim for claim in claims(groups, {})}
    assert [*found] == [
        "no other is better than SELU",
        *(
            "SELU is better than ELU",
            "ELU is better than leaky ReLU",
            "leaky ReLU is better than ReLU",
            "ReLU is better than tanh",
            "tanh is better than logistic",
        ),
    ]
    assert {name: claim.holds for name, claim in found.items()} == {
        "no other is better than SELU": True,
        "SELU is better than ELU": True,
        "ELU is better than leaky ReLU": False,
        "leaky ReLU is better than ReLU": None,
        "ReLU is better than tanh": True,
        "tanh is better than logistic": True,
    }
    assert found["ELU is better than leaky ReLU"].figures.endswith("points behind")
    assert found["leaky ReLU is better than ReLU"].figures == "the same"


def test_a_neighbour_that_may_be_ahead_by_chance_says_so(groups_of: Callable[..., Groups]):
    found = {claim.statement: claim for claim in claims(groups_of(**NEAR, leaky_relu=(0.445, 0.447, 0.441)), {})}
    near = found["SELU is better than ELU"]
    assert near.figures == "1.5 ± 1.2 points ahead, but among 2 pairs that may be chance (p 0.035 alone, 0.070 by Holm)"
    assert near.holds is None


@pytest.mark.parametrize(
    ("mish", "holds", "said"),
    [
        (0.40, True, "is 6.0 ± 0.0 points behind"),
        (0.50, False, "is 4.0 ± 0.0 points ahead"),
        ((0.465, 0.455, 0.470), None, "points ahead"),
        ((0.452, 0.471, 0.455), None, "is 0.2 ± 2.3 points behind"),  # with room for one that is better
        ((0.458, 0.463, 0.459), True, "is 0.1 ± 0.4 points behind"),
        ((0.463, 0.462, 0.464), True, "is 0.2 ± 0.4 points ahead"),  # nothing clear, and at most 0.6 points
    ],
)
def test_whether_selu_is_a_good_default(groups_of: Callable[..., Groups], mish, holds: bool | None, said: str):
    (found,) = claims(groups_of(selu=0.46, mish=mish), {})
    assert found.statement == "no other is better than SELU"
    assert found.figures.startswith("the best of the others, Mish, is ")
    assert said in found.figures
    assert found.holds is holds


def test_what_was_not_trained_is_left_out_of_the_order(groups_of: Callable[..., Groups]):
    found = claims(groups_of(selu=0.46, relu=0.40, tanh=None), {})
    assert [claim.statement for claim in found] == ["no other is better than SELU", "SELU is better than ReLU"]
    assert ORDER[0] == "selu"


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(0.91, 0.95, True), (0.8, 0.89, False), (0.85, 1.05, None), (float("nan"), 1.0, None)]
)
def test_whether_relu_is_the_fastest(low: float, high: float, holds: bool | None):
    (found,) = claims({}, {"tanh": Ratio((low + high) / 2, low, high), "rrelu": Ratio(1.9, 1.8, 2.0)})
    assert (found.statement, found.holds) == ("ReLU is fast", holds)


def test_all_activations_are_timed(groups_of: Callable[..., Groups], tmp_path: Path):
    groups_of(selu=0.46, relu=0.40, tanh=None)
    evidence = Evidence(tmp_path, Setting(quick=True))
    found = trained.measure_steps(evidence)
    assert found.keys() == {"ms"}
    assert {name: len(of) for name, of in found["ms"].items()} == {"selu": 3, "relu": 3}
    evidence.keep(trained.TIMES, found)
    assert comparison.answer(evidence).details[1].startswith("A training step with ReLU takes ")


def test_one_activation_is_named_once(groups_of: Callable[..., Groups], tmp_path: Path):
    groups_of(selu=0.46)
    evidence = Evidence(tmp_path, Setting())
    evidence.keep(trained.TIMES, {"ms": {"selu": TIMES["selu"]}})
    answer = comparison.answer(evidence)
    assert answer.sentences[0] == "SELU is ahead with 46.1 ± 0.2 % (3 seeds) validation accuracy."
    assert not any("is ahead" in paragraph for paragraph in answer.details)


def test_what_a_step_costs(groups_of: Callable[..., Groups]):
    groups = groups_of(selu=0.46, elu=0.45, relu=0.40, sigmoid=0.1)
    costs = trained.relative_to_relu(TIMES)
    # the geometric mean of 8.8 / 8, 8.9 / 8.1 and 9.1 / 8.2
    assert costs["selu"].value == pytest.approx((8.8 / 8 * 8.9 / 8.1 * 9.1 / 8.2) ** (1 / 3))
    start = (
        "A training step with ReLU takes 8.1 ± 0.2 ms of processor time (mean of 3 rounds; ± and 95 % are over these, "
        "not over seeds). Compared with it, "
    )
    assert trained.describe_costs(groups, TIMES, costs) == [
        f"{start}dearer, but whether by more than 10 % is not shown: SELU 1.10 times (95 %: 1.09 to 1.12); within 10 "
        "%: logistic 1.00 times (95 %: 0.96 to 1.03); cheaper by more than 10 %: ELU 0.50 times (95 %: 0.48 to 0.52)."
    ]
    assert trained.relative_to_relu({"selu": [1.0, 2.0]}) == {}
    assert trained.describe_costs(groups, {}, {}) == []


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1.4, 1.6, "dearer by more than 10 %"),
        (1.05, 1.15, "dearer, but whether by more than 10 % is not shown"),
        (0.91, 1.09, "within 10 %"),
        (0.85, 0.95, "cheaper, but whether by more than 10 % is not shown"),
        (0.5, 0.6, "cheaper by more than 10 %"),
        (0.8, 1.05, "too uncertain to be called dearer or cheaper"),
        (float("nan"), float("nan"), "too uncertain to be called dearer or cheaper"),
    ],
)
def test_on_which_side_a_cost_is(groups_of: Callable[..., Groups], low: float, high: float, said: str):
    (found,) = trained.describe_costs(groups_of(selu=0.46), TIMES, {"selu": Ratio(1.0, low, high)})
    assert f"Compared with it, {said}: SELU 1.00 times" in found


def test_the_whole_answer(groups_of: Callable[..., Groups], tmp_path: Path):
    groups_of(selu=0.46, elu=0.40, relu=0.43, sigmoid=0.10)
    evidence = Evidence(tmp_path, Setting())
    with pytest.raises(NotAvailable, match="not measured"):
        comparison.answer(evidence)
    evidence.keep(trained.TIMES, {"ms": TIMES})
    answer = comparison.answer(evidence)
    assert "these runs speak for SELU in this network, with 46.1 ± 0.2 % (3 seeds) validation" in answer.sentences[0]
    assert answer.sentences[1] == (
        "Confirmed: no other is better than SELU; SELU is better than ELU; ReLU is better than logistic. "
        "Contradicted: ELU is better than ReLU; ReLU is fast."
    )
    assert answer.details[0].startswith("SELU is ahead with 46.1 ± ")
    assert answer.details[1].startswith("A training step with ReLU takes 8.1 ± 0.2 ms")
    assert answer.agrees is False
    assert [name for name, _ in answer.tables] == ["All activations", "What is usually said"]
    assert [cells[0][0] for cells in answer.tables[0][1].rows] == ["SELU", "ReLU", "ELU", "logistic"]
    assert all(len(picture.svg) < 100_000 for picture in answer.figures)
    beside_relu = [cells[-1][0] for cells in answer.tables[0][1].rows]
    assert beside_relu[1] == "1"
    assert "-" not in beside_relu
    evidence.keep(trained.TIMES, {"ms": {key: TIMES[key] for key in ("relu", "selu", "elu")}})
    assert [cells[-1][0] for cells in comparison.answer(evidence).tables[0][1].rows][1::2] == ["1", "-"]


def test_no_run_was_completed(groups_of: Callable[..., Groups], tmp_path: Path):
    groups_of(selu=None, relu=None)
    evidence = Evidence(tmp_path, Setting())
    evidence.keep(trained.TIMES, {"ms": {}})
    said = comparison.answer(evidence)
    assert said.sentences == ["No run was completed: SELU: 3 runs diverged; ReLU: 3 runs diverged."]
    assert said.agrees is None
