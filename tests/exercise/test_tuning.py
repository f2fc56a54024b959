"""The answers of question 8, from results that are made up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from conftest import compose_settings, first
from exercise.contrast import Contrast
from exercise.questions import tuning, variants
from exercise.section import Answer
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_results import MC, THREE_SEEDS, Leave, leave_decisions_of, leave_part
from exercise_texts import text_of, verdicts
from left_decisions import with_spread

YES, NO, OPEN = "confirmed", "contradicted", "undecided"
ALL = {key: [0.50 + 0.01 * i, 0.501 + 0.01 * i, 0.503 + 0.01 * i + 0.0002 * i] for i, key in enumerate(tuning.PARTS)}


@pytest.fixture
def evidence(tmp_path: Path) -> Callable[[], Evidence]:
    return lambda: Evidence(tmp_path, THREE_SEEDS)


def answer(key: str, evidence: Evidence, **steps: float) -> Answer:
    """That of a section, where a step takes so many milliseconds by part, and otherwise 2; its texts can be made."""
    ms = {part: steps.get(part.replace(", ", "_"), 2.0) for part in tuning.PARTS}
    evidence.keep(tuning.STEPS, {part: [v, (1 + 0.001 * i) * v, v] for i, (part, v) in enumerate(ms.items())})
    (section,) = (section for section in tuning.SECTIONS if section.key == key)
    found = section.answer(evidence)
    assert text_of(section, found)
    return found


def test_a_part_has_no_answer_before_both_sides_have_ended(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8c", [0.52, 0.525, 0.53])
    with pytest.raises(NotAvailable, match="has not begun"):
        answer("8c", evidence())


@pytest.mark.parametrize(
    ("accuracies", "epochs", "step", "found"),
    [
        ([0.530, 0.533, 0.531], 4, 3.0, [YES, YES, YES]),  # as the textbook has it
        ([0.480, 0.483, 0.481], 4, 3.0, [YES, NO, YES]),
        ([0.480, 0.523, 0.501], 4, 2.0, [YES, OPEN, NO]),
        ([0.530, 0.533, 0.531], 20, 3.0, [NO, YES, YES]),
        ([0.530, 0.533, None], 4, 3.0, [OPEN, OPEN, YES]),  # those that are left are a choice
        ([None, None, None], 4, 3.0, [OPEN, OPEN, YES]),
    ],
)
def test_batch_normalization_has_a_verdict_for_each_claim(
    leave: Leave,
    evidence: Callable[[], Evidence],
    accuracies: Sequence[float | None],
    epochs: int,
    step: float,
    found: list[str],
):
    leave_part(leave, "8b", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8c", accuracies, epochs=epochs)
    assert verdicts(answer("8c", evidence(), **{"8c": step})) == found


def test_its_figures_are_those_of_the_runs(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8c", [0.530, 0.533, 0.531], epochs=4)
    figures = answer("8c", evidence(), **{"8c": 3.0}).figures
    assert (figures["val"], figures["old_val"], figures["best_epochs"]) == ("53.1 %", "50.1 %", "4")
    assert figures["accuracy"].amount == "+3.0 (2.9 to 3.2) points"
    assert figures["epochs"].mean == pytest.approx(0.29, abs=0.005)  # 4 instead of 13, 14 and 15
    assert figures["step"].amount == "1.50 times (1.50 to 1.51)"


@pytest.mark.parametrize(
    ("selu", "step", "found"),
    [
        ([0.500, 0.503, 0.501], 2.0, [YES, YES]),
        ([0.540, 0.543, 0.541], 2.0, [NO, YES]),
        ([0.500, 0.503, 0.501], 4.0, [YES, NO]),
        ([0.500, 0.563, 0.531], 2.0, [OPEN, YES]),
    ],
)
def test_selu_compared_with_batch_normalization(
    leave: Leave, evidence: Callable[[], Evidence], selu: Sequence[float], step: float, found: list[str]
):
    leave_part(leave, "8c", [0.530, 0.532, 0.531])
    leave_part(leave, "8d", selu)
    leave_part(leave, "8d, decay", [0.510, 0.511, 0.513])
    assert verdicts(answer("8d", evidence(), **{"8c": 3.0, "8d": step})) == found


@pytest.mark.parametrize(
    ("accuracies", "found"),
    [([0.530, 0.533, 0.531], YES), ([0.480, 0.483, 0.481], NO), ([0.480, 0.523, 0.501], OPEN)],
)
@pytest.mark.parametrize(("key", "before"), [("8e", "8d, decay"), ("8b, decay", "8b")])
def test_what_one_change_is_said_to_improve(
    leave: Leave, evidence: Callable[[], Evidence], key: str, before: str, accuracies: Sequence[float], found: str
):
    leave_part(leave, before, [0.500, 0.502, 0.501])
    leave_part(leave, key, accuracies)
    assert verdicts(answer(key.partition(",")[0], evidence())) == [found]


@pytest.mark.parametrize(
    ("accuracies", "epochs", "step", "found"),
    [
        ([0.530, 0.533, 0.531], 4, 2.0, [YES, YES]),
        ([0.530, 0.533, 0.531], 4, 20.0, [NO, YES]),  # in fewer epochs that take ten times as long
        ([0.480, 0.483, 0.481], 4, 2.0, [YES, NO]),  # sooner, and worse
        ([0.480, 0.523, 0.501], 4, 2.0, [YES, OPEN]),
    ],
)
def test_1cycle_is_to_be_sooner_and_better(
    leave: Leave,
    evidence: Callable[[], Evidence],
    accuracies: Sequence[float],
    epochs: int,
    step: float,
    found: list[str],
):
    leave_part(leave, "8e", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8f", accuracies, epochs=epochs)
    assert verdicts(answer("8f", evidence(), **{"8f": step})) == found


def test_mc_dropout_is_that_of_the_dropout_network(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8e", [0.5, 0.5, 0.5])
    evidence().keep(tuning.MC, MC)
    found = answer("8e_mc", evidence())
    assert verdicts(found) == [NO, YES]  # a gain of a point is ruled out; 0.048 ± 0.007 nats
    assert found.figures["loss"].amount == "-0.048 (-0.056 to -0.041) nats"


def test_all_parts_are_compared_with_what_others_report(leave: Leave, evidence: Callable[[], Evidence]):
    for key, accuracies in (ALL | {"8d": [0.48, 0.482, 0.481], "8e": [0.52, 0.561, 0.54]}).items():
        leave_part(leave, key, accuracies)
    found = answer("8", evidence())
    sides = {side: [one.a for one in found.figures[side]] for side in ("gains", "losses", "neither", "open")}
    assert sides["losses"] == ["SELU"] and sides["open"] == ["alpha dropout", "1cycle"]
    assert sides["gains"] == ["batch norm", "ELU, decay", "SELU, decay"] and not sides["neither"]
    assert found.figures["best"] == "1cycle" and not found.claims
    (_, gains), (_, parts) = found.tables
    assert [row[0][0] for row in gains.rows] == [tuning.PARTS[key].name for key in tuning.COMPARED]
    assert gains.rows[0][1][0] == "ELU"
    assert [row[0][0] for row in parts.rows] == [part.name for part in tuning.PARTS.values()]
    assert [cell[0] for cell in parts.rows[0][-2:]] == ["50.06", "46.76"]


def test_seeds_that_are_added_until_it_is_decided(leave: Leave, tmp_path: Path):
    """The interval is that of the decision, and what has three seeds is compared with the first three of the others."""
    for key, mean in (("8b", 0.50), ("8c", 0.53), ("8d", 0.50)):
        leave_part(leave, key, with_spread(mean, 8, 1.0 if key == "8c" else -1.0), epochs=12)
    leave_part(leave, "8b, decay", [0.52, 0.523, 0.521])
    now = Evidence(tmp_path, Setting())
    with pytest.raises(NotAvailable, match="question_8_plain is not through"):
        answer("8c", now)
    leave_decisions_of(tmp_path, tuning.PLAIN, "part_8c_bn")
    better: Contrast = answer("8c", Evidence(tmp_path, Setting())).figures["accuracy"]
    assert (better.seeds, better.verdict, better.tested) == (8, YES, None)
    assert answer("8b", Evidence(tmp_path, Setting())).figures["accuracy"].seeds == 3


def differing(*experiments: str) -> set[str]:
    """Settings in which two differ; the rate is searched for each."""
    old, new = (leaves(compose_settings(f"experiment=exercise/{name}", "name=x", "run_dir=x")) for name in experiments)
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)} - {"optim.lr"}


def leaves(node: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(node, DictConfig):
        return {path: node}
    return {name: value for key in node for name, value in leaves(node[key], f"{path}.{key}".strip(".")).items()}


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    first(
        2,
        [
            ("8b", "8b, decay", {"data.batch_size", "optim.weight_decay"}),
            ("8d", "8d, decay", {"data.batch_size", "optim.weight_decay"}),
            (tuning.COMPARED["8c"], "8c", {"model.batch_norm"}),
            (
                *(tuning.COMPARED["8d"], "8d"),
                {"model.batch_norm", "model.activation", "model.initializer", "model.standardize"},
            ),
            (tuning.COMPARED["8e"], "8e", {"model.dropout"}),
        ],
    ),
)
def test_what_is_compared_differs_in_the_change_alone(before: str, after: str, changes: set[str]):
    assert differing(*(tuning.PARTS[key].experiment for key in (before, after))) == changes


def test_1cycle_differs_in_optimizer_schedule_and_length_alone():
    found = differing(*(tuning.PARTS[key].experiment for key in (tuning.COMPARED["8f"], "8f")))
    length = {key for key in found if key == "trainer.max_epochs" or key.startswith("callbacks.early_stopping")}
    assert {key.partition(".")[0] for key in found - length} == {"optim", "scheduler"}
    assert "optim.weight_decay" not in found


@pytest.mark.parametrize("key", variants.VARIANTS)
def test_a_variant_is_trained_as_its_part(key: str):
    network, part, *_ = variants.VARIANTS[key]
    assert {key.partition(".")[0] for key in differing(tuning.PARTS[part].experiment, network.experiment)} == {"model"}
