"""The answer to question 4 follows from the figures by rules."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trainlab.exercise.claims import Claim, told
from trainlab.exercise.evidence import Evidence, NotYet
from trainlab.exercise.questions.activations import sections, steps
from trainlab.exercise.questions.activations.claims import ORDER, claims
from trainlab.exercise.questions.activations.trained import ALL, groups_by_activation
from trainlab.exercise.trainings import Setting
from trainlab.report.groups import Group
from trainlab.report.statistics import Ratio

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


def test_who_is_ahead_and_who_is_told_apart_from_it(groups_of: Callable[..., Groups]):
    groups = groups_of(selu=0.46, elu=(0.459, 0.464, 0.458), relu=0.40)
    # selu - elu: 0.001, -0.002, 0.003: mean 0.067 points, sd 0.25, 4.303 * 0.25 / sqrt(3) = 0.63
    said = sections.ahead(sections.ranking(groups))
    assert said == (
        "SELU is ahead with 46.1 ± 0.2 % (3 seeds) validation accuracy; not told apart from it, in points: ELU (0.07 ± "
        "0.6); clearly behind it: ReLU by 6.0 ± 0.0 points (95 %, paired by seed, Holm over 2 pairs)."
    )


def test_many_that_are_behind_share_a_figure(groups_of: Callable[..., Groups]):
    said = sections.ahead(sections.ranking(groups_of(selu=0.46, elu=0.44, relu=0.40)))
    assert "; clearly behind it by 2.0 ± 0.0 points and more: ELU and ReLU (95 %, paired by seed, Holm" in said


def test_one_alone_is_compared_with_nothing(groups_of: Callable[..., Groups]):
    said = sections.ahead(sections.ranking(groups_of(selu=0.46)))
    assert said == "SELU is ahead with 46.1 ± 0.2 % (3 seeds) validation accuracy."


def test_what_learned_nothing_and_what_diverged(groups_of: Callable[..., Groups]):
    groups = groups_of(selu=0.46, sigmoid=0.10, tanh=None)
    assert sections.failed(groups) == [
        "At most 1.5 times the 10 % of guessing: logistic (10.1 ± 0.3 % (3 seeds)).",
        "Not all runs came to the end with tanh (3 runs diverged).",
    ]


def test_the_book_is_held_against_each_neighbour(groups_of: Callable[..., Groups]):
    groups = groups_of(
        selu=0.46, elu=0.40, leaky_relu=(0.43, 0.44, 0.435), relu=(0.434, 0.431, 0.440), tanh=0.40, sigmoid=0.10
    )
    found = {claim.says: claim for claim in claims(groups, {})}
    assert [*found] == [
        "no other is better than SELU",
        *("SELU over ELU", "ELU over leaky ReLU", "leaky ReLU over ReLU", "ReLU over tanh", "tanh over logistic"),
    ]
    assert {name: claim.holds for name, claim in found.items()} == {
        "no other is better than SELU": True,
        "SELU over ELU": True,
        "ELU over leaky ReLU": False,
        "leaky ReLU over ReLU": None,
        "ReLU over tanh": True,
        "tanh over logistic": True,
    }
    assert found["ELU over leaky ReLU"].found.endswith("points behind")


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
    assert found.says == "no other is better than SELU"
    assert found.found.startswith("the best of the others, Mish, is ")
    assert said in found.found
    assert found.holds is holds


def test_what_was_not_trained_is_left_out_of_the_order(groups_of: Callable[..., Groups]):
    found = claims(groups_of(selu=0.46, relu=0.40, tanh=None), {})
    assert [claim.says for claim in found] == ["no other is better than SELU", "SELU over ReLU"]
    assert ORDER[0] == "selu"


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(0.91, 0.95, True), (0.8, 0.89, False), (0.85, 1.05, None), (float("nan"), 1.0, None)]
)
def test_whether_relu_is_the_fastest(low: float, high: float, holds: bool | None):
    (found,) = claims({}, {"tanh": Ratio((low + high) / 2, low, high), "rrelu": Ratio(1.9, 1.8, 2.0)})
    assert (found.says, found.holds) == ("none is a tenth faster than ReLU", holds)


def test_claims_in_one_sentence():
    found = [Claim("a over b", "x", True), Claim("b over c", "y", False), Claim("c over d", "z", None)]
    assert told(found) == "Of what the book says, holds: a over b (x); contradicted: b over c (y); open: c over d (z)."
    assert told([]) == "There is nothing to hold the book against."


def test_what_a_step_costs(groups_of: Callable[..., Groups]):
    groups = groups_of(selu=0.46, elu=0.45, relu=0.40, sigmoid=0.1)
    costs = steps.relative(TIMES)
    # the geometric mean of 8.8 / 8, 8.9 / 8.1 and 9.1 / 8.2
    assert costs["selu"].value == pytest.approx((8.8 / 8 * 8.9 / 8.1 * 9.1 / 8.2) ** (1 / 3))
    assert sections.cost(groups, TIMES, costs) == [
        "A training step with ReLU takes 8.1 ± 0.2 ms (3 rounds); within 10 %: logistic 1.00 times (95 %: 0.96 to "
        "1.03); cheaper: ELU 0.50 times (95 %: 0.48 to 0.52); not to be told: SELU 1.10 times (95 %: 1.09 to 1.12)."
    ]
    slow = {"selu": Ratio(1.5, 1.4, 1.6)}
    assert sections.cost(groups, TIMES, slow)[0].endswith("(3 rounds); dearer: SELU 1.50 times (95 %: 1.40 to 1.60).")
    assert steps.relative({"selu": [1.0, 2.0]}) == {}
    assert sections.cost(groups, {}, {}) == []


def test_the_whole_answer(groups_of: Callable[..., Groups], tmp_path: Path):
    groups_of(selu=0.46, elu=0.40, relu=0.43, sigmoid=0.10)
    evidence = Evidence(tmp_path, Setting())
    with pytest.raises(NotYet, match="not measured"):
        sections.answer(evidence)
    evidence.keep(steps.NAME, {"ms": TIMES})
    answer = sections.answer(evidence)
    assert len(answer.sentences) == 3
    assert answer.agrees is False
    assert [name for name, _ in answer.tables] == ["All activations", "What the book says"]
    assert [cells[0][0] for cells in answer.tables[0][1].rows] == ["SELU", "ReLU", "ELU", "logistic"]
    assert all(len(picture.svg) < 100_000 for picture in answer.figures)


def test_no_run_was_completed(groups_of: Callable[..., Groups], tmp_path: Path):
    groups_of(selu=None, relu=None)
    evidence = Evidence(tmp_path, Setting())
    evidence.keep(steps.NAME, {"ms": {}})
    said = sections.answer(evidence)
    assert said.sentences == ["No run was completed: SELU: 3 runs diverged; ReLU: 3 runs diverged."]
    assert said.agrees is None
