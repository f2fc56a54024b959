"""The answer to question 6 from fabricated figures: every branch of its rules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainlab.exercise.contents import SECTIONS, chosen
from trainlab.exercise.evidence import Evidence
from trainlab.exercise.page import page
from trainlab.exercise.questions.sparsity import measuring as m
from trainlab.exercise.questions.sparsity.points import baseline, keeps, largest_kept, points_of, smallest_kept
from trainlab.exercise.questions.sparsity.question import answer
from trainlab.exercise.section import Answer
from trainlab.exercise.trainings import Setting

NOISE = {1: 0.001, 2: -0.001, 3: 0.0005}
WHERE = {
    **{m.DENSE: "dense", m.INT8: "dense", m.PLAIN: "magnitude", m.TUNED: "magnitude", m.TUNED_INT8: "magnitude"},
    **{m.L1: "l1", m.SCHEDULE: "schedule", m.LOW_RANK: "low_rank", m.ACTIVE: "activity", m.TAUGHT: "students"},
    m.UNTAUGHT: "students",
}
# method -> setting -> (zeros, kB, validation accuracy, share of zero activations)
Figures = dict[str, dict[str, tuple[float, float, float, float]]]
USUAL: Figures = {
    m.DENSE: {m.AS_TRAINED: (0, 2000, 0.53, 0), m.LONGER: (0, 2000, 0.54, 0)},
    m.INT8: {"8 bits": (0.03, 520, 0.539, 0)},
    m.PLAIN: {"50 %": (0.5, 1100, 0.54, 0), "90 %": (0.9, 260, 0.20, 0), "98 %": (0.98, 80, 0.1, 0)},
    m.TUNED: {"50 %": (0.5, 1100, 0.545, 0), "90 %": (0.9, 260, 0.54, 0), "98 %": (0.98, 80, 0.50, 0)},
    m.TUNED_INT8: {"90 %": (0.9, 115, 0.539, 0), "98 %": (0.98, 50, 0.50, 0)},
    m.L1: {"strength 0.1": (0.7, 660, 0.541, 0), "strength 0.4": (0.95, 150, 0.46, 0)},
    m.SCHEDULE: {"90 %": (0.9, 260, 0.53, 0)},
    m.LOW_RANK: {"rank 8": (0, 200, 0.51, 0)},
    m.ACTIVE: {"strength 0": (0, 2000, 0.52, 0.6), "strength 0.03": (0, 2000, 0.49, 0.9)},
    m.TAUGHT: {"width 25": (0, 370, 0.5, 0)},
    m.UNTAUGHT: {"width 25": (0, 370, 0.48, 0)},
}


def figures_of(zeros: float, kilobytes: float, accuracy: float, idle: float, aside: float) -> dict[str, Any]:
    return {
        **{"zeros": zeros, "weights": 498200, "layers": [zeros, zeros / 2], "idle": idle, "bytes": kilobytes * 1000},
        **{"val_acc": accuracy + aside, "test_acc": accuracy - 0.002 + aside},
    }


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., Evidence]:
    """Evidence with what each method came to; noise that methods do not share."""

    def kept(changes: Figures | None = None, seeds: tuple[int, ...] = (1, 2, 3), noise: float = 1.0) -> Evidence:
        evidence = Evidence(tmp_path, Setting())
        taken: dict[str, Any] = {measurement.name: {} for measurement in m.MEASUREMENTS}
        for i, (method, settings) in enumerate((USUAL | (changes or {})).items()):
            for j, (setting, figures) in enumerate(settings.items()):
                by_seed = {
                    str(s): figures_of(*figures, noise * (1 + i / 10) * NOISE[(s + i + j) % 3 + 1]) for s in seeds
                }
                taken[f"question_6_{WHERE[method]}"].setdefault(method, {})[setting] = by_seed
        for name, of in taken.items():
            evidence.keep(name, of)
        return evidence

    return kept


def said(evidence: Evidence) -> str:
    return " ".join(answer(evidence).sentences)


def test_the_measure_is_the_better_dense_network_on_validation_images(keep: Callable[..., Evidence]):
    chosen_by = baseline(points_of(keep()))
    assert chosen_by is not None and chosen_by.setting == m.LONGER
    worse: Figures = {m.DENSE: {m.AS_TRAINED: (0, 2000, 0.55, 0), m.LONGER: (0, 2000, 0.54, 0)}}
    chosen_by = baseline(points_of(keep(worse)))
    assert chosen_by is not None and chosen_by.setting == m.AS_TRAINED


def test_the_known_answer(keep: Callable[..., Evidence]):
    found = answer(keep())
    text = " ".join(found.sentences)
    assert "Zeroing the smallest weights loses nothing up to 50 % zeros (+0.0 ± 0.5 points)" in text
    assert "; the same with fine-tuning loses nothing up to 90 % zeros (" in text
    assert "; L1 loses nothing up to 70 % zeros (" in text
    assert "; pruning by Lightning's schedule loses nothing up to 90 % zeros (" not in text  # a point is lost
    assert "pruning by Lightning's schedule loses accuracy at every setting." in text
    assert "Validation accuracy of fine-tuned networks with 90 % zeros is 34.0 ± 0.6 points higher than of" in text
    assert "The smallest file that loses nothing is magnitude, tuned, int8 at 90 %: 115 kB beside 2,000 kB" in text
    assert "17.4 times smaller, with test accuracy † 53.7 ± 0.4 % (3 seeds) beside 53.8 ± 0.3 % (3 seeds)." in text
    assert "smaller, not sparse: at most 3 % of their weights are zero (int8, 8 bits)." in text
    assert "Sparse activations leave the file as it is (2,000 kB): up to 90 % of the hidden units' outputs" in text
    assert [picture.name for picture in found.figures] == ["6_trade_off", "6_zeros_by_layer"]
    assert sum(len(picture.svg) for picture in found.figures) < 200_000
    (_, table), *_ = found.tables
    assert len(table.rows) == sum(map(len, USUAL.values()))
    verdicts = {(row[0][0], row[1][0]): row[7][0] for row in table.rows}
    assert verdicts[m.DENSE, m.LONGER] == "the measure"
    assert verdicts[m.TUNED, "90 %"] == "nothing lost" and verdicts[m.TUNED, "98 %"] == "loses"


@pytest.mark.parametrize(
    ("l1", "plain", "agrees"),
    [(0.7, 0.5, True), (0.5, 0.7, False), (0.7, 0.7, False), (None, 0.5, False), (0.5, None, True), (None, None, None)],
)
def test_the_textbook_is_right_where_l1_gets_to_more_zeros(
    keep: Callable[..., Evidence], l1: float | None, plain: float | None, agrees: bool | None
):
    changes: Figures = {
        method: {"only": (share or 0.5, 900, 0.54 if share else 0.4, 0)}
        for method, share in ((m.L1, l1), (m.PLAIN, plain))
    }
    assert answer(keep(changes)).agrees is agrees


def test_a_point_that_keeps_after_one_that_loses_does_not_count(keep: Callable[..., Evidence]):
    lucky: Figures = {m.L1: {"a": (0.3, 1500, 0.54, 0), "b": (0.6, 900, 0.4, 0), "c": (0.9, 260, 0.54, 0)}}
    points = points_of(keep(lucky))
    base = baseline(points)
    assert base is not None
    best = largest_kept(points, m.L1, base)
    assert best is not None and best.setting == "a"


@pytest.mark.parametrize(
    ("accuracy", "noise", "verdict"),
    [
        (0.54, 1.0, "keeps"),
        (0.56, 1.0, "keeps"),  # better is no loss
        (0.536, 1.0, "keeps"),
        (0.536, 0.1, "loses"),  # a small loss, larger than the noise
        (0.50, 30.0, "loses"),  # a loss that the noise could hide, but more than a point
        (0.535, 30.0, "keeps"),
    ],
)
def test_what_counts_as_a_loss(keep: Callable[..., Evidence], accuracy: float, noise: float, verdict: str):
    points = points_of(keep({m.SCHEDULE: {"90 %": (0.9, 260, accuracy, 0)}}, noise=noise))
    base = baseline(points)
    (point,) = (point for point in points if point.method == m.SCHEDULE)
    assert base is not None and keeps(point, base) == verdict


def test_one_seed_claims_nothing(keep: Callable[..., Evidence]):
    evidence = keep(seeds=(1,))
    points = points_of(evidence)
    base = baseline(points)
    assert base is not None and smallest_kept([p for p in points if p is not base], base) is None
    text = said(evidence)
    assert "Of zeroing the smallest weights nothing can be claimed; of the same with fine-tuning nothing" in text
    assert "No file smaller than the 2,000 kB of the dense network can be said to lose nothing." in text
    assert answer(evidence).agrees is None


def test_all_that_loses(keep: Callable[..., Evidence]):
    bad: Figures = {
        method: {setting: (zeros, kilobytes, 0.3, idle) for setting, (zeros, kilobytes, _, idle) in settings.items()}
        for method, settings in USUAL.items()
        if method != m.DENSE
    }
    text = said(keep(bad))
    assert text.startswith("Zeroing the smallest weights loses accuracy at every setting;")
    assert "No file smaller than" in text


def test_fine_tuning_has_nothing_to_give_back_where_nothing_is_lost(keep: Callable[..., Evidence]):
    assert "fine-tuned networks with" not in said(keep({m.PLAIN: {"50 %": (0.5, 1100, 0.54, 0)}}))


def test_networks_whose_weights_are_not_finite_count_nowhere(keep: Callable[..., Evidence]):
    evidence = keep()
    measured = evidence.measured("question_6_l1")
    for setting in measured[m.L1].values():
        setting.update({seed: {} for seed in setting})
    evidence.keep("question_6_l1", measured)
    found = answer(evidence)
    assert "L1 has no network with finite weights" in " ".join(found.sentences)
    rows = [row for row in found.tables[0][1].rows if row[0][0].startswith(m.L1)]
    assert [row[0][0] for row in rows] == ["L1 (3 diverged)", "L1 (3 diverged)"]
    assert len({len(row) for row in found.tables[0][1].rows}) == 1


def test_no_completed_run(tmp_path: Path):
    evidence = Evidence(tmp_path, Setting())
    for measurement in m.MEASUREMENTS:
        evidence.keep(measurement.name, {})
    found: Answer = answer(evidence)
    assert found.sentences == ["No run was completed, so there is no trained network to make sparse."]


def test_it_is_a_part_of_the_page(keep: Callable[..., Evidence]):
    assert [section.key for section in chosen(["6"])] == ["6"]
    text = page([section for section in SECTIONS if section.part == "6"], keep(), {})
    assert "contradicts the textbook" in text or "as the textbook has it" in text
    assert "question_6_l1 is not measured" in page(chosen(["6"]), _without(keep(), "question_6_l1"), {})


def _without(evidence: Evidence, name: str) -> Evidence:
    (evidence.folder / "measured" / f"{name}.json").unlink()
    return evidence
