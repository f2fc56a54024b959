"""The answers of question 8, from results that are made up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from conftest import first
from exercise.questions import variants
from exercise.questions.tuning import sections as tuning
from exercise.section import Answer
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_results import MC, Leave, leave_part
from trainlab.config.resolvers import PROJECT, register_resolvers
from trainlab.runs.result import Result


@pytest.fixture
def evidence(tmp_path: Path) -> Callable[[], Evidence]:
    return lambda: Evidence(tmp_path, Setting())


def answer(key: str, evidence: Evidence, **steps: float) -> Answer:
    """That of a section, where a step takes so many milliseconds by part, and otherwise 2."""
    ms = {part: steps.get(part.replace(", ", "_"), 2.0) for part in tuning.PARTS}
    evidence.keep(tuning.STEPS, {part: [v, (1 + 0.001 * i) * v, v] for i, (part, v) in enumerate(ms.items())})
    sections = tuning.SECTIONS
    (section,) = (section for section in sections if section.key == key)
    return section.answer(evidence)


def test_a_part_has_no_answer_before_both_sides_have_ended(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8c", [0.52, 0.525, 0.53])
    with pytest.raises(NotAvailable, match="has not begun"):
        answer("8c", evidence())


def test_faster_better_and_dearer_is_what_the_textbook_has(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501], epoch_s=2.0, epochs=12)
    leave_part(leave, "8c", [0.530, 0.533, 0.531], epochs=4)
    found = answer("8c", evidence(), **{"8c": 3.0})
    assert found.agrees is True
    assert found.sentences[0].startswith("batch norm: validation accuracy 53.1 ± 0.4 % (3 seeds), test accuracy † 25.0")
    assert found.sentences[1].startswith(
        "batch norm is better than plain ELU by 3.0 ± 0.1 points (95 %; paired t over seeds"
    )
    assert "batch norm takes 0.29 times the epochs" in found.sentences[2]
    assert found.sentences[3] == (
        "A training step of batch norm takes 1.50 times as long as one of plain ELU (95 % over 3 rounds, alternately: "
        "1.50 to 1.51): 3.0 against 2.0 ms of processor time, each on one thread."
    )
    assert found.sentences[4] == (
        "Confirmed: batch norm takes fewer epochs than plain ELU to as low a loss; batch norm is better than plain "
        "ELU; a step of batch norm takes longer."
    )
    assert [picture.name for picture in found.figures] == ["8c_loss_by_epoch"]


def test_what_is_clearly_worse_contradicts_it(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8c", [0.480, 0.483, 0.481], epochs=4)
    found = answer("8c", evidence(), **{"8c": 3.0})
    assert found.agrees is False
    assert found.sentences[1].startswith("plain ELU is better than batch norm by 2.0")


def test_no_significant_difference_leaves_it_undecided(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8c", [0.480, 0.523, 0.501], epochs=4)
    found = answer("8c", evidence(), **{"8c": 3.0})
    assert found.agrees is None
    assert found.sentences[1].startswith("No significant difference between batch norm and plain ELU with 3 seeds")


@pytest.mark.parametrize(
    ("selu", "step", "agrees"),
    [
        ([0.500, 0.503, 0.501], 2.0, True),  # worse and cheaper
        ([0.540, 0.543, 0.541], 2.0, False),  # better
        ([0.500, 0.503, 0.501], 4.0, False),  # dearer
        ([0.500, 0.563, 0.531], 2.0, None),
    ],
)
def test_selu_compared_with_batch_normalization(
    leave: Leave, evidence: Callable[[], Evidence], selu: Sequence[float], step: float, agrees: bool | None
):
    leave_part(leave, "8c", [0.530, 0.532, 0.531])
    leave_part(leave, "8d, plain", selu)
    with pytest.raises(NotAvailable, match="part_8d_selu"):
        answer("8d", evidence())
    leave_part(leave, "8d", [0.510, 0.511, 0.512])
    assert answer("8d", evidence(), **{"8c": 3.0, "8d_plain": step}).agrees is agrees


def test_what_larger_batches_and_weight_decay_do(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.490, 0.492, 0.491])
    leave_part(leave, "8b", [0.500, 0.503, 0.501])
    found = answer("8b", evidence())
    assert found.sentences[0].startswith("ELU with decay: validation accuracy 50.1 ± 0.4 % (3 seeds)")
    assert found.sentences[2].startswith(
        "ELU with decay is trained in batches of 128 with a weight decay of 3e-3, plain ELU in batches of 32 without. "
        "ELU with decay is better than plain ELU by 1.0"
    )
    leave_part(leave, "8c", [0.530, 0.532, 0.531])
    leave_part(leave, "8d, plain", [0.500, 0.503, 0.501])
    leave_part(leave, "8d", [0.490, 0.503, 0.512])
    said = answer("8d", evidence()).sentences
    assert said[-2].startswith("SELU with decay: validation accuracy 50.2 ± 2.7 % (3 seeds)")
    assert "No significant difference between SELU with decay and plain SELU with 3 seeds" in said[-1]


@pytest.mark.parametrize(
    ("dropout", "agrees"),
    [([0.530, 0.533, 0.531], True), ([0.480, 0.483, 0.481], False), ([0.480, 0.523, 0.501], None)],
)
def test_alpha_dropout_generalizes_better_or_not(
    leave: Leave, evidence: Callable[[], Evidence], dropout: Sequence[float], agrees: bool | None
):
    leave_part(leave, "8d", [0.500, 0.502, 0.501])
    leave_part(leave, "8e", dropout)
    assert answer("8e", evidence()).agrees is agrees


@pytest.mark.parametrize(
    ("accuracies", "epochs", "step", "agrees", "time"),
    [
        # Better, in 4 epochs instead of 13, 14 and 15: logarithms of the ratios -1.251 with a deviation of 0.0716,
        # times 4.303 / sqrt(3).
        ([0.530, 0.533, 0.531], 4, 2.0, True, "Confirmed: 1cycle {} (0.29 times (95 %: 0.24 to 0.34) as long"),
        ([0.530, 0.533, 0.531], 12, 2.0, None, "Undecided: 1cycle {} (1.00 times as long"),  # better, in as many
        # better, in fewer epochs that take ten times as long
        ([0.530, 0.533, 0.531], 4, 20.0, False, "Contradicted: 1cycle {} (2.86 times (95 %: 2.40 to 3.42) as long"),
        ([0.480, 0.483, 0.481], 4, 2.0, False, "Confirmed: 1cycle {} (0.29 times "),  # sooner, and worse
        ([0.480, 0.523, 0.501], 4, 2.0, None, "Confirmed: 1cycle {} (0.29 times "),  # no more accurate than by chance
    ],
)
def test_1cycle_is_to_be_sooner_and_better(
    leave: Leave,
    evidence: Callable[[], Evidence],
    accuracies: Sequence[float],
    epochs: int,
    step: float,
    agrees: bool | None,
    time: str,
):
    leave_part(leave, "8e", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8f", accuracies, epochs=epochs)
    found = answer("8f", evidence(), **{"8f": step})
    assert found.agrees is agrees
    assert time.format("takes less time to as low a loss") in found.sentences[-1]
    assert " as long: ratio of epochs, over seeds, times that of a step, over rounds)" in found.sentences[-1]


def test_seconds_of_seeds_that_share_a_clock_have_no_interval(
    leave: Leave, tmp_path: Path, evidence: Callable[[], Evidence]
):
    for i, key in enumerate(tuning.PARTS):
        leave_part(leave, key, [0.50 + 0.01 * i, 0.501 + 0.01 * i, 0.503 + 0.01 * i], epoch_s=2.0 + i)
    for path in tmp_path.glob("*/*/result.json"):
        result = Result.read(path.parent)
        assert result
        result.time["population"] = {"members": 3, "wall_s": 60.0}
        result.write(path.parent)
    assert answer("8b", evidence()).sentences[1].endswith("An epoch took 3.0 s.")
    _, (_, table) = answer("8", evidence()).tables
    assert [row[7][0] for row in table.rows] == ["2.0", "3.0", "4.0", "5.0", "6.0", "7.0", "8.0"]


def test_mc_dropout_that_changes_nothing_leaves_the_claim_open(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8e", [0.5, 0.5, 0.5])
    evidence().keep(tuning.MC, MC)
    found = answer("8e_mc", evidence())
    assert found.agrees is None
    assert found.sentences[0].startswith(
        "No significant difference in test accuracy † between MC dropout and the same networks without (0.00 ± 0.25 "
        "points"
    )
    assert found.sentences[1].startswith(
        "Test negative log-likelihood † of MC dropout is 0.048 ± 0.007 nats lower than of the same networks without"
    )


def test_mc_dropout_that_helps_agrees(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8e", [0.5, 0.5, 0.5])
    better = {"1": 51.0, "2": 51.5, "3": 51.1}
    evidence().keep(tuning.MC, MC | {"accuracy": MC["accuracy"] | {"mc_dropout": better}})
    assert answer("8e_mc", evidence()).agrees is True


def test_all_parts_compared_with_reported_results(leave: Leave, evidence: Callable[[], Evidence]):
    for i, key in enumerate(tuning.PARTS):
        noise = 0.0002 * (i % 3)
        leave_part(leave, key, [0.50 + 0.01 * i, 0.501 + 0.01 * i + noise, 0.503 + 0.01 * i])
    found = answer("8", evidence())
    assert found.sentences[0] == (
        "Worth it by accuracy, more than the noise: batch norm (8c), 2.0 ± 0.1 points ahead of plain ELU; plain SELU "
        "(8d), 1.0 ± 0.1 points ahead of batch norm; alpha dropout (8e), 1.0 ± 0.0 points ahead of SELU with decay; "
        "1cycle (8f), 1.0 ± 0.1 points ahead of alpha dropout. Noise is judged by Holm over 4 pairs; ± is of one alone."
    )
    assert found.sentences[1] == "1cycle has the highest validation accuracy: 56.1 ± 0.4 % (3 seeds)."
    # Means from 50.1 to 56.1 with ± 0.4: 8c's interval lies below 52.74.
    assert found.details[0].startswith(
        "Validation accuracy compared with the best that others report: plain ELU 50.1 ± 0.4 % (3 seeds), not clearly "
        "apart from the 50.06 % reported; ELU with decay 51.1 ± 0.4 % (3 seeds), above the 50.06 % reported; batch "
        "norm 52.1 ± 0.4 % (3 seeds), below the 52.74 % reported; "
    )
    assert len(found.sentences) == 2
    assert found.details[1].endswith("Networks with decay are trained otherwise than theirs.")
    assert found.details[2].startswith("ELU with decay is better than plain ELU by 1.01 ± 0.03 points")
    assert ". SELU with decay is better than plain SELU by 1.01 ± 0.03 points" in found.details[2]
    (_, gains), (_, table) = found.tables
    assert [row[0][0] for row in gains.rows] == ["8c", "8d", "8e", "8f"]
    assert [cell[0] for cell in gains.rows[0][1:4]] == ["batch norm", "plain ELU", "+2.0 ± 0.1"]
    assert gains.rows[0][-1][0] == "1.00 (1.00 to 1.00)"
    assert [row[0][0] for row in table.rows] == ["8b, plain", "8b", "8c", "8d, plain", "8d", "8e", "8f"]
    assert [cell[0] for cell in table.rows[0][-3:]] == ["50.06", "42.4 (CNN 70.43)", "46.76"]


def test_what_costs_accuracy_and_what_is_open_is_said_to(leave: Leave, evidence: Callable[[], Evidence]):
    levels = {"8b, plain": 0.5, "8c": 0.48, "8d, plain": 0.48}
    for key in tuning.PARTS:
        level, noise = levels.get(key, 0.5), {"8c": 0.0002, "8d, plain": 0.02}.get(key, 0.0)
        leave_part(leave, key, [level - noise, level + 0.001, level + 0.003 + noise])
    said = answer("8", evidence()).sentences
    assert said[0] == "At a cost in accuracy, more than the noise: batch norm (8c), 2.0 ± 0.0 points behind plain ELU."
    assert said[1].startswith("Not shown to matter with these seeds: plain SELU (8d), ")


def test_comparisons_are_corrected_for_each_other(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.500, 0.506, 0.501])
    leave_part(leave, "8c", [0.530, 0.528, 0.531], epochs=12)
    alone = answer("8c", evidence())
    assert "better than plain ELU" in alone.sentences[1]
    for key, accuracies in {
        "8d, plain": (0.52, 0.50),
        "8d": (0.50, 0.52),
        "8e": (0.52, 0.50),
        "8f": (0.50, 0.52),
    }.items():
        leave_part(leave, key, [*accuracies, 0.51])
    beside_others = answer("8c", evidence())
    assert "by Holm over 4 pairs" in beside_others.sentences[1]


def test_a_part_without_a_completed_run_says_so(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.5, 0.5, 0.5])
    for seed in (1, 2, 3):
        overrides = (f"experiment=exercise/{tuning.PARTS['8c'].experiment}", f"seed={seed}")
        leave(f"question_8/c{seed}", [2.3], [0.1], seed=seed, status="diverged", overrides=overrides, part="8c")
    found = answer("8c", evidence())
    assert found.agrees is None
    assert found.sentences == ["batch norm: no run was completed, 3 of 3 diverged."]


def test_runs_that_diverged_leave_the_others_without_a_claim(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8c", [0.530, 0.533], epochs=4)
    overrides = (f"experiment=exercise/{tuning.PARTS['8c'].experiment}", "seed=3")
    leave("question_8/c3", [2.3], [0.1], seed=3, status="diverged", overrides=overrides, name_of_part="8c")
    found = answer("8c", evidence(), **{"8c": 3.0})
    assert found.agrees is None
    assert "1 of 3 runs diverged: means are of the others, so no claim is made of it." in found.sentences[0]
    assert found.sentences[-1].startswith("Undecided: batch norm takes fewer epochs")


def test_claims_of_which_some_hold(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8c", [0.480, 0.523, 0.501], epochs=4)
    found = answer("8c", evidence())
    assert found.sentences[-1] == (
        "Confirmed: batch norm takes fewer epochs than plain ELU to as low a loss. Undecided: batch norm is better "
        "than plain ELU; a step of batch norm takes longer."
    )


def differing(*experiments: str) -> set[str]:
    """Settings in which two differ; the rate is searched for each."""
    register_resolvers()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        old, new = (
            leaves(compose("train", [f"experiment=exercise/{name}", "name=x", "run_dir=x"])) for name in experiments
        )
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
            ("8b, plain", "8b", {"data.batch_size", "optim.weight_decay"}),
            ("8d, plain", "8d", {"data.batch_size", "optim.weight_decay"}),
            (*tuning.COMPARED["8c"], {"model.batch_norm"}),
            (
                *tuning.COMPARED["8d"],
                {"model.batch_norm", "model.activation", "model.initializer", "model.standardize"},
            ),
            (*tuning.COMPARED["8e"], {"model.dropout"}),
        ],
    ),
)
def test_what_is_compared_differs_in_the_change_alone(before: str, after: str, changes: set[str]):
    assert differing(*(tuning.PARTS[key].experiment for key in (before, after))) == changes


def test_1cycle_differs_in_optimizer_schedule_and_length_alone():
    found = differing(*(tuning.PARTS[key].experiment for key in tuning.COMPARED["8f"]))
    length = {key for key in found if key == "trainer.max_epochs" or key.startswith("callbacks.early_stopping")}
    assert {key.partition(".")[0] for key in found - length} == {"optim", "scheduler"}
    assert "optim.weight_decay" not in found


@pytest.mark.parametrize("experiment", variants.VARIANTS)
def test_a_variant_is_trained_as_its_part(experiment: str):
    part = tuning.PARTS[variants.VARIANTS[experiment].part].experiment
    assert {key.partition(".")[0] for key in differing(part, experiment)} == {"model"}
