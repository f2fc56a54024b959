"""The answer to question 6 from fabricated figures: every branch of its rules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exercise.page import write_page
from exercise.questions.sparsity import measuring as m
from exercise.questions.sparsity import sections as chart
from exercise.questions.sparsity.points import (
    Point,
    baseline,
    first_lost,
    keeps,
    largest_kept,
    points_of,
    smallest_kept,
)
from exercise.questions.sparsity.sections import answer, describe_high_share, describe_sparsity
from exercise.registry import SECTIONS, choose_sections
from exercise.section import Answer
from exercise.store import Evidence
from exercise.trainings import Setting

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
    found = answer(evidence)
    return " ".join([*found.sentences, *found.details])


def test_the_measure_is_the_better_dense_network_on_validation_images(keep: Callable[..., Evidence]):
    chosen_by = baseline(points_of(keep()))
    assert chosen_by is not None and chosen_by.setting == m.LONGER
    worse: Figures = {m.DENSE: {m.AS_TRAINED: (0, 2000, 0.55, 0), m.LONGER: (0, 2000, 0.54, 0)}}
    chosen_by = baseline(points_of(keep(worse)))
    assert chosen_by is not None and chosen_by.setting == m.AS_TRAINED


def test_the_known_answer(keep: Callable[..., Evidence]):
    found = answer(keep())
    text = " ".join([*found.sentences, *found.details])
    assert len(found.sentences) == 3
    ((_, table),) = found.tables
    assert text.startswith(
        "The dense network has a validation accuracy of 54.0 ± 0.3 % (3 seeds); zeroing the smallest weights keeps it "
        "up to 50 % zeros (+0.0 ± 0.5 points) and loses it from 90 % on (-34.0 ± "
    )
    assert "; zeroing with fine-tuning keeps it up to 90 % zeros (" in text
    assert "; L1 keeps it up to 70 % zeros (" in text
    assert "; pruning by Lightning's schedule loses it at 90 % zeros, the only share tried, already (-1.0 ± " in text
    assert "With about 90 % zeros the change in points is: zeroing the smallest weights -34.0 ± " in text
    # L1 at 70 % compared with zeroing at 50 % is no better, and at 95 % it is worse than tuned zeroing at 98 %.
    assert "Contradicted: L1 is more accurate than zeroing with as much training at as many zeros (" in text
    assert text.index("Contradicted: ") < len(" ".join(found.sentences[:2]))
    assert found.agrees is False
    assert "L1 is put on the trained network here, which is trained on with it, at 2 strengths; training" in text
    assert (
        "The smallest file that keeps it is that of magnitude, tuned, int8 at 90 %: 115 kB compared with 2,000 kB"
        in text
    )
    # Differences -0.08, -0.06 and -0.14 points: mean -0.093, sd 0.042, times 4.303 / sqrt(3).
    assert "17.4 times smaller, with -0.1 ± 0.1 points of test accuracy † (3 seeds)." in text
    assert "smaller, not sparse: at most 3 % of their weights are zero (int8, 8 bits)." in text
    assert (
        "Sparse activations leave all weights in the file (2,000 kB). Up to 90 % of the hidden units' outputs" in text
    )
    assert "ReLU in the place of ELU alone, without a penalty, makes it 60 % (-2.0 ± " in text
    assert [picture.name for picture in found.figures] == ["6_trade_off", "6_zeros_by_layer"]
    assert sum(len(picture.svg) for picture in found.figures) < 200_000
    assert len(table.rows) == sum(map(len, USUAL.values()))
    verdicts = {(row[0][0], row[1][0]): row[7][0] for row in table.rows}
    assert verdicts[m.DENSE, m.LONGER] == "the measure"
    assert verdicts[m.TUNED, "90 %"] == "kept" and verdicts[m.TUNED, "98 %"] == "lost"


Shares = dict[float, float]  # validation accuracy by share of zeros


def shares_of(l1: Shares, plain: Shares, tuned: Shares) -> Figures:
    return {
        method: {f"{share:g}": (share, 900, accuracy, 0) for share, accuracy in given.items()}
        for method, given in ((m.L1, l1), (m.PLAIN, plain), (m.TUNED, tuned))
    }


@pytest.mark.slow
def test_the_answer_agrees_where_l1_is_better_than_zeroing_with_and_without_fine_tuning(keep: Callable[..., Evidence]):
    better = keep(shares_of({0.7: 0.5}, {0.7: 0.4}, {0.7: 0.45}))
    assert answer(better).agrees is True
    assert "Confirmed: " in said(
        better
    ) and "L1 is more accurate than zeroing with as much training at as many" in said(better)
    assert answer(keep(shares_of({0.7: 0.5}, {0.7: 0.4}, {0.7: 0.55}))).agrees is False
    assert answer(keep(shares_of({0.7: 0.5}, {0.7: 0.4}, {0.7: 0.5}))).agrees is None
    one = said(keep(shares_of({0.7: 0.5}, {0.7: 0.4}, {0.7: 0.5})))
    assert "at 1 strength; training with L1 from the start was not tried." in one


def with_l1(keep: Callable[..., Evidence], accuracies: Shares, noise: float = 1.0) -> str:
    """What is said of L1 at these shares."""
    evidence = keep({m.L1: {f"{share:g}": (share, 900, of, 0) for share, of in accuracies.items()}}, noise=noise)
    points = points_of(evidence)
    base = baseline(points)
    assert base is not None
    (part,) = (part for part in describe_sparsity(points, base).split("; L1 ")[1:])
    return part.partition("; pruning")[0]


def test_how_sparse_in_words(keep: Callable[..., Evidence]):
    lowest = with_l1(keep, {0.166: 0.52, 0.5: 0.5})
    assert lowest.startswith("loses it at 16.6 % zeros, the lowest share tried, already (-2.0 ± ")
    assert with_l1(keep, {0.3: 0.54, 0.5: 0.54}).startswith("keeps it up to 50 % zeros, the highest share tried (")
    assert " and loses it from 50 % on (" in with_l1(keep, {0.3: 0.54, 0.5: 0.5})
    open_between = with_l1(keep, {0.3: 0.54, 0.4: 0.54, 0.5: 0.3, 0.6: 0.54, 0.9: 0.3})
    assert open_between.startswith("keeps it up to 40 % zeros (") and " and loses it from 90 % on (" in open_between
    assert open_between.endswith("; at 50 % and 60 % that is undecided")
    none = with_l1(keep, {0.3: 0.54, 0.5: 0.54}, noise=10.0)
    assert none == "is not shown to keep it or lose it at any share tried (30 % and 50 % zeros)"
    only_open = with_l1(keep, {0.3: 0.54, 0.5: 0.2}, noise=10.0)
    assert only_open.startswith("loses it from 50 % on (") and only_open.endswith("; at 30 % that is undecided")


def test_all_methods_compared_near_90_percent(keep: Callable[..., Evidence]):
    points = points_of(keep({m.L1: {"a": (0.885, 300, 0.5, 0), "b": (0.95, 150, 0.46, 0)}}))
    base = baseline(points)
    assert base is not None
    text = describe_high_share(points, base)
    assert text.startswith("With about 90 % zeros the change in points is: zeroing the smallest weights -34.0 ± ")
    assert " (90 %); L1 -4.0 ± " in text and " (88.5 %); pruning by Lightning's schedule -1.0 ± " in text
    far = [point for point in points if point.method in (m.DENSE, m.L1)]
    assert describe_high_share(far, base) == ""
    without = describe_high_share(points_of(keep({m.L1: {"a": (0.87, 300, 0.5, 0)}})), base)
    assert "L1" not in without and "fine-tuning" in without


@pytest.mark.parametrize(
    ("settings", "said_of_it"),
    [
        ({"strength 0.03": (0, 2000, 0.49, 0.9)}, "outputs are zero (strength 0.03, -5.0 ± "),
        ({m.NO_PENALTY: (0, 2000, 0.52, 0.6)}, "; that is the effect of ReLU in place of ELU alone."),
    ],
)
def test_sparse_activations_with_and_without_relu_alone(keep: Callable[..., Evidence], settings, said_of_it: str):
    text = said(keep({m.ACTIVE: settings}))
    assert said_of_it in text
    assert "alone, without a penalty" not in text


def test_the_chart_is_of_what_the_answer_is_of(keep: Callable[..., Evidence], monkeypatch: pytest.MonkeyPatch):
    read: list[str] = []
    summary = Point.summary
    monkeypatch.setattr(Point, "summary", lambda self, figure: (read.append(figure), summary(self, figure))[1])
    points = points_of(keep())
    base = baseline(points)
    assert base is not None
    assert chart.plot_trade_off(points, base).caption.startswith("Validation accuracy, as in the answer.")
    assert "val_acc" in read and "test_acc" not in read


def test_a_point_that_keeps_after_one_that_loses_does_not_count(keep: Callable[..., Evidence]):
    lucky: Figures = {m.L1: {"a": (0.3, 1500, 0.54, 0), "b": (0.6, 900, 0.4, 0), "c": (0.9, 260, 0.54, 0)}}
    points = points_of(keep(lucky))
    base = baseline(points)
    assert base is not None
    best = largest_kept(points, m.L1, base)
    assert best is not None and best.setting == "a"


def test_a_point_that_loses_before_one_that_keeps_does_not_count(keep: Callable[..., Evidence]):
    unlucky: Figures = {m.L1: {"a": (0.3, 1500, 0.4, 0), "b": (0.6, 900, 0.54, 0), "c": (0.9, 260, 0.4, 0)}}
    points = points_of(keep(unlucky))
    base = baseline(points)
    assert base is not None
    first = first_lost(points, m.L1, base)
    assert first is not None and first.setting == "c"
    assert largest_kept(points, m.L1, base) is None


@pytest.mark.parametrize(
    ("accuracy", "noise", "kept"),
    [
        (0.54, 1.0, True),
        (0.56, 1.0, True),  # better is no loss
        (0.536, 1.0, True),
        (0.536, 0.1, False),  # a small loss, larger than the noise
        (0.54, 10.0, None),  # no loss is shown, but there is room for one of more than a point
        (0.50, 30.0, None),
    ],
)
def test_what_counts_as_a_loss(keep: Callable[..., Evidence], accuracy: float, noise: float, kept: bool | None):
    points = points_of(keep({m.SCHEDULE: {"90 %": (0.9, 260, accuracy, 0)}}, noise=noise))
    base = baseline(points)
    (point,) = (point for point in points if point.method == m.SCHEDULE)
    assert base is not None and keeps(point, base) is kept


def test_a_setting_that_diverged_for_a_seed_does_not_keep_the_accuracy(keep: Callable[..., Evidence]):
    points = points_of(keep({m.SCHEDULE: {"90 %": (0.9, 260, 0.56, 0)}}))
    base = baseline(points)
    (point,) = (point for point in points if point.method == m.SCHEDULE)
    assert base is not None and keeps(point, base) is True
    assert keeps(Point(point.method, point.setting, point.seeds, diverged=1), base) is None


def test_one_seed_claims_nothing(keep: Callable[..., Evidence]):
    evidence = keep(seeds=(1,))
    points = points_of(evidence)
    base = baseline(points)
    assert base is not None and smallest_kept([p for p in points if p is not base], base) is None
    text = said(evidence)
    assert "zeroing the smallest weights is not shown to keep it or lose it at any share tried (50 %, 90 % and" in text
    assert "No file smaller than the 2,000 kB of the dense network is shown to keep the accuracy." in text
    assert answer(evidence).agrees is None


def test_all_that_loses(keep: Callable[..., Evidence]):
    bad: Figures = {
        method: {setting: (zeros, kilobytes, 0.3, idle) for setting, (zeros, kilobytes, _, idle) in settings.items()}
        for method, settings in USUAL.items()
        if method != m.DENSE
    }
    text = said(keep(bad))
    assert "; zeroing the smallest weights loses it at 50 % zeros, the lowest share tried, already (-24.0 ± " in text
    assert "No file smaller than" in text


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
    assert [section.key for section in choose_sections(["6"])] == ["6"]
    text = write_page([section for section in SECTIONS if section.part == "6"], keep(), {}).read_text()
    assert 'class="verdict contradicted"' in text
    text = write_page(choose_sections(["6"]), _without(keep(), "question_6_l1"), {}).read_text()
    assert "question_6_l1 is not measured" in text


def _without(evidence: Evidence, name: str) -> Evidence:
    (evidence.folder / "measured" / f"{name}.json").unlink()
    return evidence
