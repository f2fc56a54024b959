"""What is claimed of other solutions' networks, from results that are made up."""

from pathlib import Path

import pytest

from exercise.questions import variants
from exercise.store import Evidence, NotAvailable
from exercise_results import THREE_SEEDS, Leave, leave_part
from exercise_texts import text_of, verdicts

YES, NO, OPEN = "confirmed", "contradicted", "undecided"
LEVELS = {"swish": 0.53, "bn_input": 0.53, "elu_alpha_dropout": 0.1, "bn_elu_alpha_dropout": 0.17}


def leave_variants(leave: Leave, levels: dict[str, float], status: str = "completed") -> None:
    leave_part(leave, "8b", [0.500, 0.502, 0.501])
    leave_part(leave, "8c", [0.530, 0.531, 0.533])
    networks = {of.experiment: (of.sweep, levels[name]) for name, (of, *_) in variants.VARIANTS.items()}
    for name, (sweep, level) in networks.items():
        for seed in (1, 2, 3):
            accuracy = level + 0.001 * seed + 0.0001 * seed**2 * (seed + len(name) % 3)
            leave(
                f"{sweep.name}/{name},{seed}",
                [2.0, 1.5],
                [accuracy / 2, accuracy],
                seed=seed,
                status=status if "dropout" in name else "completed",
                overrides=(f"experiment=exercise/{name}", f"seed={seed}"),
                name_of_network=name,
            )


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        (LEVELS, [YES, NO, YES, YES]),
        (LEVELS | {"swish": 0.48, "bn_elu_alpha_dropout": 0.56}, [NO, NO, YES, NO]),
    ],
)
def test_each_is_compared_with_the_part_that_it_varies(
    leave: Leave, tmp_path: Path, levels: dict[str, float], found: list[str]
):
    leave_variants(leave, levels)
    evidence = Evidence(tmp_path, THREE_SEEDS)
    with pytest.raises(NotAvailable, match="variants_steps"):
        variants.answer(evidence)
    evidence.keep(variants.STEPS, {name: [3.0, 3.1, 3.0] for name in variants.VARIANTS} | {"8b": [2.0, 2.1, 2.0]})
    answer = variants.answer(evidence)
    assert verdicts(answer) == found
    assert "a rate of 0.5" in text_of(variants.SECTION, answer)
    ((_, table),) = answer.tables
    by_name = {row[0][0]: [cell[0] for cell in row] for row in table.rows}
    assert by_name["Swish"][-1] == "1.49 times (1.46 to 1.53)" and by_name["batch norm, input too"][-1] == "no figure"


def test_what_diverged_is_claimed_nothing_of(leave: Leave, tmp_path: Path):
    leave_variants(leave, LEVELS, "diverged")
    evidence = Evidence(tmp_path, THREE_SEEDS)
    evidence.keep(variants.STEPS, {})
    answer = variants.answer(evidence)
    assert verdicts(answer) == [YES, NO, OPEN, OPEN]
    assert "lost seeds that the other has" in answer.claims[2].remark
    assert text_of(variants.SECTION, answer)
