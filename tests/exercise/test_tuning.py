"""The answers of question 8, from results that are made up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from exercise_results import MC, Leave, leave_part
from trainlab.cli import PROJECT, register_resolvers
from trainlab.exercise.evidence import Evidence, NotYet
from trainlab.exercise.questions import parts, tuning, variants
from trainlab.exercise.section import Answer
from trainlab.exercise.trainings import Setting
from trainlab.results import Result


@pytest.fixture
def evidence(tmp_path: Path) -> Callable[[], Evidence]:
    return lambda: Evidence(tmp_path, Setting())


def answer(key: str, evidence: Evidence) -> Answer:
    (section,) = (section for section in tuning.SECTIONS if section.key == key)
    return section.answer(evidence)


def test_a_part_has_no_answer_before_both_sides_have_ended(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8c", [0.52, 0.525, 0.53])
    with pytest.raises(NotYet, match="has not begun"):
        answer("8c", evidence())


def test_faster_better_and_dearer_is_what_the_textbook_has(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501], epoch_s=2.0, epochs=12)
    leave_part(leave, "8c", [0.530, 0.533, 0.531], epoch_s=3.0, epochs=4)
    found = answer("8c", evidence())
    assert found.agrees is True
    assert found.sentences[0].startswith("batch norm: validation accuracy 53.1 ± 0.4 % (3 seeds), test accuracy † 25.0")
    assert found.sentences[1].startswith(
        "batch norm is better than plain ELU by 3.0 ± 0.1 points (95 %; paired t over seeds"
    )
    assert "batch norm takes 0.29 times the epochs" in found.sentences[2]
    assert found.sentences[3].startswith("An epoch of batch norm takes 1.50 times as long as one of plain ELU")
    assert [picture.name for picture in found.figures] == ["8c_loss_by_epoch"]


def test_what_is_clearly_worse_contradicts_it(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8c", [0.480, 0.483, 0.481], epoch_s=3.0, epochs=4)
    found = answer("8c", evidence())
    assert found.agrees is False
    assert found.sentences[1].startswith("plain ELU is better than batch norm by 2.0")


def test_what_cannot_be_told_apart_leaves_it_open(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8c", [0.480, 0.523, 0.501], epoch_s=3.0, epochs=4)
    found = answer("8c", evidence())
    assert found.agrees is None
    assert found.sentences[1].startswith("batch norm and plain ELU cannot be told apart with 3 seeds")


@pytest.mark.parametrize(
    ("selu", "epoch_s", "agrees"),
    [
        ([0.500, 0.503, 0.501], 2.0, True),  # worse and cheaper
        ([0.540, 0.543, 0.541], 2.0, False),  # better
        ([0.500, 0.503, 0.501], 4.0, False),  # dearer
        ([0.500, 0.563, 0.531], 2.0, None),
    ],
)
def test_selu_beside_batch_normalization(
    leave: Leave, evidence: Callable[[], Evidence], selu: Sequence[float], epoch_s: float, agrees: bool | None
):
    leave_part(leave, "8c", [0.530, 0.532, 0.531], epoch_s=3.0)
    leave_part(leave, "8d, plain", selu, epoch_s=epoch_s)
    with pytest.raises(NotYet, match="part_8d_selu"):
        answer("8d", evidence())
    leave_part(leave, "8d", [0.510, 0.511, 0.512])
    assert answer("8d", evidence()).agrees is agrees


def test_what_larger_batches_and_weight_decay_do(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.490, 0.492, 0.491])
    leave_part(leave, "8b", [0.500, 0.503, 0.501])
    found = answer("8b", evidence())
    assert found.sentences[0].startswith("ELU: validation accuracy 50.1 ± 0.4 % (3 seeds)")
    assert found.sentences[2].startswith(
        "ELU is trained in batches of 128 with a weight decay of 3e-3, plain ELU in batches of 32 without. ELU is "
        "better than plain ELU by 1.0"
    )
    leave_part(leave, "8c", [0.530, 0.532, 0.531])
    leave_part(leave, "8d, plain", [0.500, 0.503, 0.501])
    leave_part(leave, "8d", [0.490, 0.503, 0.512])
    said = answer("8d", evidence()).sentences
    assert said[-2].startswith("SELU: validation accuracy 50.2 ± 2.7 % (3 seeds)")
    assert "SELU and plain SELU cannot be told apart with 3 seeds" in said[-1]


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
    ("accuracies", "epochs", "epoch_s", "agrees"),
    [
        ([0.530, 0.533, 0.531], 4, 2.0, True),  # better, in 4 epochs instead of 13 to 15
        ([0.530, 0.533, 0.531], 12, 2.0, None),  # better, in as many
        ([0.530, 0.533, 0.531], 4, 20.0, False),  # better, in fewer epochs that take ten times as long
        ([0.480, 0.483, 0.481], 4, 2.0, False),  # sooner, and worse
        ([0.480, 0.523, 0.501], 4, 2.0, None),  # sooner, and no more accurate than by chance
    ],
)
def test_1cycle_is_to_be_sooner_and_better(
    leave: Leave,
    evidence: Callable[[], Evidence],
    accuracies: Sequence[float],
    epochs: int,
    epoch_s: float,
    agrees: bool | None,
):
    leave_part(leave, "8e", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8f", accuracies, epoch_s=epoch_s, epochs=epochs)
    assert answer("8f", evidence()).agrees is agrees


def test_seconds_of_seeds_that_share_a_clock_have_no_interval(
    leave: Leave, tmp_path: Path, evidence: Callable[[], Evidence]
):
    for i, key in enumerate(parts.PARTS):
        leave_part(leave, key, [0.50 + 0.01 * i, 0.501 + 0.01 * i, 0.503 + 0.01 * i], epoch_s=2.0 + i)
    for path in tmp_path.glob("*/*/result.json"):
        result = Result.read(path.parent)
        assert result
        result.time["population"] = {"members": 3, "wall_s": 60.0}
        result.write(path.parent)
    assert answer("8b", evidence()).sentences[1] == "The lowest validation loss came at epoch 4; an epoch took 3.0 s."
    ((_, table),) = answer("8", evidence()).tables
    assert [row[7][0] for row in table.rows] == ["2.0", "3.0", "4.0", "5.0", "6.0", "7.0", "8.0"]


def test_mc_dropout_that_changes_nothing_leaves_the_claim_open(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8e", [0.5, 0.5, 0.5])
    evidence().keep(tuning.MC, MC)
    found = answer("8e_mc", evidence())
    assert found.agrees is None
    assert found.sentences[0].startswith(
        "Test accuracy † of MC dropout and the same networks without cannot be told apart (0.00 ± 0.25 points"
    )
    assert found.sentences[1].startswith(
        "Test negative log-likelihood † of MC dropout is 0.048 ± 0.007 nats lower than of the same networks without"
    )


def test_mc_dropout_that_helps_agrees(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8e", [0.5, 0.5, 0.5])
    better = {"1": 51.0, "2": 51.5, "3": 51.1}
    evidence().keep(tuning.MC, MC | {"accuracy": MC["accuracy"] | {"mc_dropout": better}})
    assert answer("8e_mc", evidence()).agrees is True


def test_all_parts_beside_what_others_report(leave: Leave, evidence: Callable[[], Evidence]):
    for i, key in enumerate(parts.PARTS):
        leave_part(leave, key, [0.50 + 0.01 * i, 0.501 + 0.01 * i, 0.503 + 0.01 * i])
    found = answer("8", evidence())
    assert found.sentences[0] == "1cycle is ahead with 56.1 ± 0.4 % (3 seeds) validation accuracy."
    # Means from 50.1 to 56.1 with ± 0.4: 8c's interval lies below 52.74.
    assert found.sentences[1].startswith(
        "Validation accuracy beside the best that others report: 8b (ELU) 51.1 ± 0.4 % (3 seeds), above the 50.06 "
        "% reported; 8c (batch norm) 52.1 ± 0.4 % (3 seeds), below the 52.74 % reported; 8d (SELU) 54.1 ± 0.4 % (3 "
        "seeds), above the 50.26 % reported; "
    )
    assert len(found.sentences) == 3 + 3 + 6  # pairs of three plain networks, and of the four others
    ((_, table),) = found.tables
    assert [row[0][0] for row in table.rows] == ["8b, plain", "8b", "8c", "8d, plain", "8d", "8e", "8f"]
    assert [cell[0] for cell in table.rows[0][-3:]] == ["", "", ""]
    assert [cell[0] for cell in table.rows[1][-3:]] == ["50.06", "42.4 (CNN 70.43)", "46.76"]


def test_a_part_without_a_completed_run_says_so(leave: Leave, evidence: Callable[[], Evidence]):
    leave_part(leave, "8b, plain", [0.5, 0.5, 0.5])
    for seed in (1, 2, 3):
        overrides = (f"experiment={parts.PARTS['8c'].experiment}", f"seed={seed}")
        leave(f"question_8/c{seed}", [2.3], [0.1], seed=seed, status="diverged", overrides=overrides, part="8c")
    found = answer("8c", evidence())
    assert found.agrees is None
    assert found.sentences == ["batch norm: no run was completed, 3 of 3 diverged."]


def differing(*experiments: str) -> set[str]:
    """Settings in which two differ; the rate is searched for each."""
    register_resolvers()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        old, new = (leaves(compose("train", [f"experiment={name}", "name=x", "run_dir=x"])) for name in experiments)
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)} - {"optim.lr"}


def leaves(node: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(node, DictConfig):
        return {path: node}
    return {name: value for key in node for name, value in leaves(node[key], f"{path}.{key}".strip(".")).items()}


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("8b, plain", "8b", {"data.batch_size", "optim.weight_decay"}),
        ("8d, plain", "8d", {"data.batch_size", "optim.weight_decay"}),
        (*parts.COMPARED["8c"], {"model.batch_norm"}),
        (
            *parts.COMPARED["8d"],
            {"model.batch_norm", "model.activation", "model.initializer", "model.standardize"},
        ),
        (*parts.COMPARED["8e"], {"model.dropout"}),
    ],
)
def test_what_is_compared_differs_in_the_change_alone(before: str, after: str, changes: set[str]):
    assert differing(*(parts.PARTS[key].experiment for key in (before, after))) == changes


def test_1cycle_differs_in_optimizer_schedule_and_length_alone():
    found = differing(*(parts.PARTS[key].experiment for key in parts.COMPARED["8f"]))
    length = {key for key in found if key == "trainer.max_epochs" or key.startswith("callbacks.early_stopping")}
    assert {key.partition(".")[0] for key in found - length} == {"optim", "scheduler"}
    assert "optim.weight_decay" not in found


@pytest.mark.parametrize("experiment", variants.VARIANTS)
def test_a_variant_is_trained_as_its_part(experiment: str):
    part = parts.PARTS[variants.VARIANTS[experiment].part].experiment
    assert {key.partition(".")[0] for key in differing(part, experiment)} == {"model"}
