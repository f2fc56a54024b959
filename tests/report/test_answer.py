"""What a report says first."""

from pathlib import Path

import pytest
from scipy import stats

from trainlab.report.findings import analyze
from trainlab.report.group_table import answer_text, groups_table
from trainlab.report.provenance import repeat_commands
from trainlab.report.runs import find_runs
from trainlab.report.tables import group_tables, pair_matrices
from trainlab.statistics import seeds_needed


@pytest.fixture
def answer_of(leave, tmp_path: Path):
    def answer(**accuracies: tuple[float, ...]) -> str:
        for model, values in accuracies.items():
            for seed, value in enumerate(values, 1):
                leave(f"{model}{seed}", [1 - value], [value], seed, model)
        return str(answer_text(analyze([tmp_path], find_runs([tmp_path])))).lstrip()

    return answer


NEAR = (0.500, 0.511, 0.492)  # within the noise of the best
FAR = (0.301, 0.310, 0.302)
BEST = (0.502, 0.503, 0.504)  # mean 0.503, sd 0.001: 4.3027 * 0.001 / sqrt(3) = 0.0025
VALUE = "validation accuracy 50.3 % (± 0.2 points, 95 % interval over 3 seeds). "
HEAD = f"Best: best, {VALUE}"
TIE = f"No clear winner: near is 0.2 points behind the best, best, with {VALUE}"
TIE += "The difference is not significant (p = 0.76"
# sd of the three differences 0.01 at a gap of 0.002: 3.3 points, and 199 seeds as in tables of a paired test at d = 0.2
DETECTED = "3 seeds detect a difference of 3.3 points (80 % power); 0.2 points would take 199."


def test_none_is_worse(answer_of):
    # best - near: 0.002, -0.008, 0.012: mean 0.002, sd 0.01, 4.3027 * 0.01 / sqrt(3) = 0.0248
    assert answer_of(best=BEST, near=NEAR) == f"{TIE}). {DETECTED}"


def test_none_of_several_is_worse(answer_of):
    assert answer_of(best=BEST, near=NEAR, also=NEAR) == (
        f"No clear winner: 2 groups are within 0.2 points of the best, best, with {VALUE}The next, also, is 0.2 points "
        "behind (p = 1.00, corrected); no group is significantly worse. 3 seeds detect a difference of 4.6 points "
        "(80 % power); 0.2 points would take 241."  # more than without the correction for two pairs
    )


def test_all_are_worse(answer_of):
    said = answer_of(best=BEST, far=FAR, also=FAR)
    assert said.startswith(f"{HEAD}Both other groups are significantly worse; the next, ")


def test_of_a_tie_the_worse_ones_are_counted(answer_of):
    assert answer_of(best=BEST, near=NEAR, more=NEAR, far=FAR).endswith(
        "behind (p = 1.00, corrected); 1 of 3 other groups is significantly worse. 3 seeds detect a difference of 7.3 "
        "points (80 % power); 0.2 points would take 296."
    )


def test_all_but_one_are_worse(answer_of):
    said = answer_of(best=BEST, near=NEAR, far=FAR, far1=FAR)
    assert said.startswith(f"{TIE}, corrected); 2 of 3 other groups are significantly worse. 3 seeds detect ")


def test_undecided_groups_behind_a_worse_one_cast_no_doubt_on_the_best(answer_of):
    # best - noisy: 0.25, 0.4, 0.5: mean 0.383, sd 0.126, t 5.28: p is 0.034, and 0.068 corrected; that of far is 6e-4
    said = answer_of(best=BEST, far=FAR, noisy=(0.252, 0.103, 0.004))
    assert said.startswith(f"{HEAD}1 of 2 other groups is significantly worse; the next, far, is 19.9 ± 1.2 points ")
    assert said.endswith("corrected). 1 group further behind is undecided; more seeds may decide.")
    said = answer_of(noisier=(0.201, 0.101, 0.001))
    assert said.endswith("corrected). 2 groups further behind are undecided; more seeds may decide.")


def test_groups_within_a_margin_are_equivalent(answer_of, tmp_path: Path):
    answer_of(best=BEST, near=(0.501, 0.503, 0.502), far=FAR)
    findings = analyze([tmp_path], find_runs([tmp_path]), margin=1.0)
    # best - near: 0.001, 0, 0.002: mean 0.001, error 0.000577; (0.01 - 0.001) / 0.000577 = 15.6: p is 0.0020, times 3
    pair = findings.pairs[0]
    assert (pair.p_equivalent, pair.margin) == (pytest.approx(3 * stats.t.sf(9 * 3**0.5, 2)), 0.01)
    assert pair.p == pytest.approx(min(1, 3 * pair.difference.p))
    assert findings.verdicts == {"best": "best", "near": "equivalent", "far": "significantly worse"}
    said = str(answer_text(findings))
    assert "1 group is equivalent to the best: less than 1.0 points apart." in said and "detect" not in said
    (table,) = group_tables(findings)
    assert [row[table.headings.index("behind (points)")][0] for row in table.rows][1] == "0.1 ≈"
    assert "p (Bonf.)" in table.headings and "≈ equivalent: less than 1.0 points apart" in table.note
    answers = findings.answers(findings.groups[1], findings.groups[0])
    assert " Equivalent: less than 1.0 points apart (p = 0.006, corrected). Effect size (Hedges' g): 0." in answers[1]
    assert "; ≈ equivalent: the difference is less than the margin" in str(groups_table(findings).renderables[-1])
    answers = findings.answers(findings.groups[2], findings.groups[0])
    assert answers[1].startswith("best is better than far by ") and "equivalent" not in answers[1]


def test_groups_that_are_not_shown_to_be_within_the_margin_are_undecided(answer_of, tmp_path: Path):
    answer_of(best=BEST, same=(0.501, 0.503, 0.502), near=NEAR)
    findings = analyze([tmp_path], find_runs([tmp_path]), margin=1.0)
    assert findings.verdicts == {"best": "best", "same": "equivalent", "near": "undecided"}
    said = str(answer_text(findings))
    assert " near is undecided: 3 seeds detect a difference of " in said
    # a standardized difference of 1 at a level of 0.05 / 3: 14 seeds
    assert said.endswith(f"; 1.0 points would take {seeds_needed(0.01, 0.01, tests=3)}.") and said.endswith(" 14.")
    answers = findings.answers(findings.groups[2], findings.groups[0])
    assert " Not shown to be equivalent, less than 1.0 points apart (p = " in answers[1]


def test_sentence_table_matrix_and_chart_have_one_decision(answer_of, tmp_path: Path):
    # best - b: 0.05, 0.06, 0.08: mean 0.0633, sd 0.0153, t 7.18: p is 0.019, and 0.057 corrected over 3 pairs
    said = answer_of(best=(0.50, 0.51, 0.52), b=(0.45, 0.45, 0.44), c=(0.30, 0.50, 0.20))
    assert said.startswith("No clear winner: b is 6.3 points behind the best, best, with ")
    assert "The difference is not significant (p = 0.057, corrected); no group is significantly worse. " in said
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert findings.verdicts == {"best": "best", "b": "undecided", "c": "undecided"}
    (table,), (matrix,) = group_tables(findings), pair_matrices(findings)
    assert table.rows[1][table.headings.index("behind (points)")][0] == "6.3"  # no interval that is not corrected
    assert table.hidden == ["sd (points)"]
    assert str(groups_table(findings).renderables[-1]) == "± half of a 95 % interval"  # no star to explain
    assert matrix.rows[0][2][0] == "6.3 ± 3.8"


def test_groups_without_a_completed_run_are_named(answer_of, leave):
    for seed in (1, 2):
        leave(f"wild{seed}", [9.0], [0.1], seed, "wild", status="diverged")
    assert answer_of(best=BEST, near=NEAR).endswith(
        f"not significant (p = 0.76). {DETECTED} No run of wild (2 diverged) completed."
    )
    for model in ("wild", "other", "third", "fourth"):
        leave(f"{model}3", [9.0], [0.1], 3, model, status="failed")
    assert answer_of().endswith(" No run of 4 other groups completed.")


def test_equal_values_have_no_spread_and_no_interval(answer_of, tmp_path: Path):
    assert answer_of(a=(0.5, 0.5, 0.5)) == "a lr=1e-4, validation accuracy 50.0 % (the same for all 3 seeds)."
    (table,) = group_tables(analyze([tmp_path], find_runs([tmp_path])))
    assert table.rows[0][1][0] == "50.0 %"
    assert table.rows[0][2][0] == "no spread"


def test_one_seed_each_cannot_be_tested_and_has_no_interval(answer_of):
    assert answer_of(a=(0.4,), b=(0.5,)) == (
        "Best: b, validation accuracy 50.0 % (1 seed). The next, a, is 10.0 points behind. Differences cannot be "
        "tested: one seed each; run more (seed=1,2,3)."
    )


def test_some_have_one_seed(answer_of):
    said = answer_of(best=BEST, near=NEAR, single=(0.4,))
    assert said.startswith(f"{TIE}); no group is significantly worse. {DETECTED} ")
    assert said.endswith("1 of the others cannot be tested: one seed of single; run more (seed=1,2,3).")


def test_a_best_of_one_seed_is_named(answer_of):
    said = answer_of(single=(0.9,), near=NEAR, best=BEST)
    assert said.endswith("Differences cannot be tested: one seed of single; run more (seed=1,2,3).")


def test_equal_groups_are_said_to_be_equal(answer_of):
    assert "The next, b, is equal." in answer_of(a=(0.4,), b=(0.4,))


def test_a_group_alone_is_not_the_best_of_any(answer_of):
    assert answer_of(bn=BEST) == ("bn lr=1e-4, validation accuracy 50.3 % (± 0.2 points, 95 % interval over 3 seeds).")


def test_the_command_that_repeats_the_best_is_a_sweep_over_its_seeds(answer_of, tmp_path: Path):
    answer_of(best=BEST, near=NEAR)
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert repeat_commands(findings.best_group) == ["python src/train.py -m model=best optim.lr=1e-4 seed=1,2,3"]
