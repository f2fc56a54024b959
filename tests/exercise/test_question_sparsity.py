"""The claims of question 6 from figures that are made up."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from exercise.questions.sparsity import sections as m
from exercise.questions.sparsity.sections import SECTION, answer, points_of
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts

SEEDS = range(1, 7)
WHERE = {"dense": (m.DENSE, m.INT8), "zeroed": (m.ZEROED, m.TUNED, m.TUNED_INT8, m.GRADUAL), "l1": (m.L1,)}
WHERE |= {"smaller": (m.LOW_RANK, m.ACTIVE, m.TAUGHT, m.UNTAUGHT)}
Figures = dict[tuple[str, str], tuple[float, float, float]]  # zeros, kB, validation accuracy
USUAL: Figures = {
    (m.DENSE, m.AS_TRAINED): (0, 2000, 0.54),
    (m.DENSE, m.LONGER): (0, 2000, 0.541),
    (m.INT8, "8 bits"): (0.01, 520, 0.54),
    (m.ZEROED, "50%"): (0.5, 1100, 0.42),
    (m.ZEROED, m.AS_L1): (0.91, 250, 0.10),
    (m.TUNED, "50%"): (0.5, 1100, 0.54),
    (m.TUNED, "90%"): (0.9, 260, 0.48),
    (m.TUNED, m.AS_L1): (0.91, 250, 0.48),
    (m.TUNED_INT8, "90%"): (0.9, 115, 0.48),
    (m.L1, "0.4"): (0.5, 1100, 0.51),
    (m.L1, "0.8"): (0.91, 250, 0.43),
    (m.GRADUAL, "90%"): (0.9, 260, 0.49),
    (m.LOW_RANK, "8"): (0, 200, 0.51),
    (m.ACTIVE, "0.3"): (0, 2000, 0.49),
    (m.TAUGHT, "25"): (0, 370, 0.5),
    (m.UNTAUGHT, "25"): (0, 370, 0.48),
}


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., Evidence]:
    """Evidence of these figures, with noise that methods do not share; ``lost``: not finite for the first seed."""

    def kept(changes: Figures | None = None, noise: float = 1.0, lost: tuple[str, str] | None = None) -> Evidence:
        evidence = Evidence(tmp_path, Setting())
        taken: dict[str, Any] = {measurement.name: {} for measurement in m.MEASUREMENTS}
        for i, ((method, setting), (zeros, size, accuracy)) in enumerate((USUAL | (changes or {})).items()):
            draws = Random(i)
            name = next(f"question_6_{name}" for name, methods in WHERE.items() if method in methods)
            taken[name].setdefault(method, {})[setting] = {
                str(seed): {
                    **{"zeros": zeros, "weights": 498200, "idle": 0.6, "bytes": size * 1000},
                    **{"val_acc": accuracy + draws.gauss(0, noise / 1000), "test_acc": accuracy - 0.002},
                }
                if (seed, (method, setting)) != (1, lost)
                else {}
                for seed in SEEDS
            }
        for name, of in taken.items():
            evidence.keep(name, of)
        return evidence

    return kept


YES, NO, OPEN = "confirmed", "contradicted", "undecided"


@pytest.mark.parametrize(
    ("changes", "noise", "wanted"),
    [
        ({}, 1, [YES, NO, YES, YES]),
        ({(m.L1, "0.8"): (0.91, 250, 0.5)}, 1, [YES, YES, YES, YES]),
        ({(m.TUNED, "50%"): (0.5, 1100, 0.5)}, 1, [NO, NO, YES, YES]),
        ({(m.INT8, "8 bits"): (0, 520, 0.51), (m.GRADUAL, "90%"): (0.9, 260, 0.47)}, 1, [YES, NO, NO, NO]),
        ({}, 200, [OPEN] * 4),
    ],
)
def test_the_claims(keep: Callable[..., Evidence], changes: Figures, noise: float, wanted: list[str]):
    found = answer(keep(changes, noise))
    assert verdicts(found) == wanted
    text_of(SECTION, found)


def test_each_network_is_compared_with_one_of_as_much_training_or_as_many_zeros(keep: Callable[..., Evidence]):
    assert [(one.a, one.b) for one in answer(keep()).contrasts] == [
        ("tuned 50%", "dense trained on"),
        ("L1 0.8", "tuned as L1"),
        ("gradual 90%", "tuned 90%"),
        ("int8 8 bits", "dense as trained"),
    ]


def test_what_is_shown(keep: Callable[..., Evidence]):
    found = answer(keep(noise=0.01))
    text = text_of(SECTION, found)
    assert "half of them for -0.1 points (-12.0 without tuning), 90% for -6.1" in text
    assert "a file 3.8 times smaller for " in text
    assert "L1 at 91 % zeros is +33.0 points from zeroing without tuning" in text
    assert "Half of the weights take 1,100 of 2,000 kB" in text
    with_zeros, others = ([[cell[0] for cell in row] for row in table.rows] for _, table in found.tables)
    # Each network once; one row for each share of zeros: what was zeroed, tuned, by L1, gradually, in 8 bits, and kB.
    assert sum("/" in cell for row in with_zeros for cell in row) + len(others) == len(USUAL)
    assert [row[0] for row in with_zeros] == sorted({row[0] for row in with_zeros}, key=float)
    tuned, eight_bits, kilobytes, of_eight_bits = (with_zeros[-2][i] for i in (2, 5, 6, 7))
    assert with_zeros[-2][0] == "90.0" and tuned.startswith("48.0") and eight_bits.startswith("48.0")
    assert (kilobytes, of_eight_bits) == ("260", "115")
    assert next(row for row in others if row[0] == m.ACTIVE)[:3] == [m.ACTIVE, "0.3: 60 %", "2,000"]


def test_nothing_is_claimed_of_a_network_that_was_lost(keep: Callable[..., Evidence]):
    found = answer(keep(lost=(m.L1, "0.8")))
    assert verdicts(found)[1] == "undecided"
    assert found.contrasts[1].note == "the weights of a network did not stay finite"


def test_without_a_run_there_is_no_answer(tmp_path: Path):
    evidence = Evidence(tmp_path, Setting())
    for measurement in m.MEASUREMENTS:
        evidence.keep(measurement.name, {})
    with pytest.raises(NotAvailable, match="no trained network"):
        points_of(evidence)
