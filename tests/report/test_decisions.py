"""What a sweep with `seed=auto` decided, from the results of its runs, and what the report says of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from left_decisions import leave_decisions, with_spread
from run_folders import leave_run
from trainlab.report import analyze, find_runs, groups_table
from trainlab.report.decision import Competitor, Decision, Rules, compare
from trainlab.report.decision_table import decision_table
from trainlab.report.decisions import Decisions, chosen_by_results, read_decisions
from trainlab.report.tables import group_tables
from trainlab.report.write import write_report
from trainlab.tasks.metrics import METRICS

DIVERGED, FAILED = "diverged", "failed"


def only(decisions: Decisions) -> Decision:
    (pair,) = decisions.pairs
    return pair


def competitor(name: str, values: Sequence[float]) -> Competitor:
    by_seed = dict(enumerate(values, 1))
    return Competitor(name, by_seed, {}, {}, dict.fromkeys(by_seed, Path()))


def comparison(first: str, values: Sequence[float], second: str, others: Sequence[float]) -> Decision:
    rules = Rules(METRICS["val/acc"], 1.0, 0.05, None, {first: (), second: ()})
    return compare(competitor(first, values), competitor(second, others), rules)


def test_better(tmp_path):
    found = only(leave_decisions(tmp_path, {"elu": [0.5] * 7, "selu": with_spread(0.55)}))
    assert (found.first.name, found.second.name, found.word, found.lost) == ("selu", "elu", "better", (0, 0))
    assert (found.decided_after, found.cost) == (5, (10, 100.0))
    assert found.describe() == (
        "selu is better than elu by 5.0 points (95 % interval 4.5 to 5.5), decided after 5 seeds."
    )


def test_equivalent_and_both(tmp_path):
    found = only(leave_decisions(tmp_path / "a", {"elu": [0.5] * 10, "selu": with_spread(0.5005, 10)}))
    assert (found.word, found.is_open) == ("equivalent", False)
    assert found.describe().startswith(
        "selu and elu are equivalent: less than 1 point of validation accuracy apart (0."
    )
    both = only(leave_decisions(tmp_path / "b", {"elu": [0.5] * 10, "selu": with_spread(0.504, 10, 0.5)}))
    assert both.word == "better, equivalent"
    assert "by 0.4 points" in both.describe() and ": better and equivalent, decided after" in both.describe()


def test_an_open_pair_says_how_many_more_seeds_it_would_need(tmp_path):
    found = only(leave_decisions(tmp_path, {"elu": [0.5] * 6, "selu": with_spread(0.505, 6, 4)}))
    assert (found.word, found.decided_after) == ("undecided", None)
    assert found.describe().endswith(
        f"undecided after 6 seeds; about {found.foreseen} more would decide if mean and spread stay."
    )
    assert found.foreseen == 39


def test_lower_is_better_of_a_loss(tmp_path):
    loss = METRICS["val/loss"]
    found = only(leave_decisions(tmp_path, {"elu": with_spread(1.2), "selu": [1.3] * 7}, margin=0.05, metric=loss))
    assert (found.first.name, found.word) == ("elu", "better")
    assert found.rules.describe_margin() == "0.05 in validation loss"
    assert "by 0.1000 in loss (95 % interval 0.09" in found.describe()


@pytest.mark.parametrize(
    ("elu", "selu", "word", "lost"),
    [
        # Who lost more is not called better, though it is ahead where both completed.
        ([0.5] * 8, [DIVERGED, *with_spread(0.55)], "not claimed", (1, 0)),
        # Who lost fewer is.
        ([FAILED, *[0.5] * 7], [0.55, *with_spread(0.55)], "better", (0, 1)),
        # Losses of the same seeds cancel, those of others do not.
        ([DIVERGED, *[0.5] * 7], [FAILED, *with_spread(0.55)], "better", (1, 1)),
        ([0.5, DIVERGED, *[0.5] * 6], [DIVERGED, 0.55, *with_spread(0.55, 6)], "not claimed", (1, 1)),
        ([DIVERGED, *[0.5] * 10], [DIVERGED, *with_spread(0.5005, 10)], "equivalent", (1, 1)),
        ([0.5, DIVERGED, *[0.5] * 10], [DIVERGED, 0.5, *with_spread(0.5005, 10)], "not claimed", (1, 1)),
        # Equivalence would favour who lost more.
        ([0.5] * 11, [DIVERGED, *with_spread(0.5005, 10)], "not claimed", (1, 0)),
        # Nothing can be said where no seed completed in both.
        ([0.5] * 5, [DIVERGED] * 5, "not claimed", (0, 5)),
    ],
)
def test_a_lost_seed_counts_against_its_group(elu, selu, word, lost, tmp_path):
    found = only(leave_decisions(tmp_path, {"elu": elu, "selu": selu}))
    assert (found.word, found.lost, found.is_open) == (word, lost, False)
    assert f" lost {max(lost)} of {len(elu)} seeds, " in found.describe()
    if word == "better":
        assert found.decided_after == 6
    if word == "not claimed" and found.seeds:
        assert found.describe().endswith(": nothing is claimed, as selu lost seeds that elu completed.")


@pytest.mark.parametrize(("others_lost", "fewest"), [(0.0, 10), (0.3, 8)])  # at random
def test_a_group_that_loses_its_worst_seeds_is_not_called_better_than_an_equal_one(others_lost: float, fewest: int):
    rng, n, worst = np.random.default_rng(1), 60, 0.5 - 0.02 * 0.52  # the lower 30 % of a normal distribution
    rules = Rules(METRICS["val/acc"], 1.0, 0.05, None, {"elu": (), "selu": ()})
    folders = {seed: Path() for seed in range(1, n + 1)}
    ahead = []
    for _ in range(40):
        elu, selu = ({seed: 0.5 + 0.02 * rng.standard_normal() for seed in folders} for _ in range(2))
        kept = {seed: value for seed, value in selu.items() if value > worst}
        lost = dict.fromkeys(selu.keys() - kept.keys(), DIVERGED)
        failed = {seed: FAILED for seed in folders if rng.random() < others_lost}
        elu = {seed: value for seed, value in elu.items() if seed not in failed}
        found = compare(Competitor("elu", elu, failed, {}, folders), Competitor("selu", kept, lost, {}, folders), rules)
        assert not found.is_better
        ahead.append(found.first.name == "selu" and found.found.low > 0)
    assert sum(ahead) > fewest, "leaving the lost seeds out would favour nobody; the test shows nothing"


def test_a_difference_that_later_seeds_turn_has_its_sign():
    ahead = [*with_spread(0.05, 6), -0.3, 0.2, -0.3, 0.05]
    found = comparison("selu", [0.5 + by for by in ahead], "elu", [0.5] * 10)
    assert found.found.mean < 0 < found.found.low
    assert found.describe().startswith("selu is better than elu by -0.5 points (95 % interval ")


def test_intervals_that_exclude_each_other_decide_nothing_and_get_no_more_seeds():
    ahead = [*with_spread(0.05, 6), *(-0.05 for _ in range(60))]
    found = comparison("selu", [0.5 + by for by in ahead], "elu", [0.5] * len(ahead))
    assert "exclude each other" in found.describe()
    assert (found.word, found.is_open) == ("not claimed", False)


def test_decisions_that_contradict_each_other_have_no_best():
    names, better = ("bn", "elu", "selu"), with_spread(0.55)
    rules = Rules(METRICS["val/acc"], 1.0, 0.05, None, dict.fromkeys(names, ()))
    found = Decisions(rules, {name: competitor(name, better) for name in names})
    vars(found)["pairs"] = [
        comparison(a, better, b, [0.5] * 7) for a, b in zip(names, names[1:] + names[:1], strict=True)
    ]
    assert found.answer()[0] == "The decisions contradict each other: of each group another one is better."
    assert not any(map(found.may_be_best, names))


def test_equal_differences_decide_nothing_and_get_no_more_seeds(tmp_path):
    found = only(leave_decisions(tmp_path, {"elu": [0.5] * 5, "selu": [0.5] * 5}))
    assert (found.word, found.is_open) == ("not claimed", False)
    assert found.describe() == (
        "elu and selu: nothing is decided, as all 5 differences are equal (0.00 points), so there is no spread to "
        "measure the noise with."
    )


def test_groups_that_saw_different_images_are_not_compared(tmp_path):
    leave_decisions(tmp_path, {"elu": [0.5] * 7, "selu": with_spread(0.55)})
    for path in tmp_path.glob("selu,*/result.json"):
        path.write_text(path.read_text().replace("d1ge57", "0ther"))
    found = only(read_decisions(tmp_path))
    assert (found.word, found.is_open) == ("not claimed", False)
    assert found.describe() == "selu and elu: nothing is decided, as they saw different images."


def test_seeds_count_up_to_the_first_that_has_not_ended_in_both(tmp_path):
    values = with_spread(0.55)
    found = only(leave_decisions(tmp_path, {"elu": [0.5] * 7, "selu": [*values[:3], None, *values[4:]]}))
    assert (found.ended, found.seeds, found.word) == ([1, 2, 3], [1, 2, 3], "undecided")


def test_alpha_is_divided_by_the_pairs_that_are_compared(tmp_path):
    groups = {"elu": with_spread(0.5, 10), "relu": with_spread(0.5, 10, -1), "selu": with_spread(0.55, 10, 0.5)}
    every, some = leave_decisions(tmp_path / "a", groups), leave_decisions(tmp_path / "b", groups, baseline="elu")
    assert [every.rules.alpha_of_pair, some.rules.alpha_of_pair] == [0.05 / 3, 0.05 / 2]
    assert [(pair.first.name, pair.second.name) for pair in some.pairs] == [("elu", "relu"), ("selu", "elu")]
    assert every.answer()[0] == "selu is better than each of the other 2 groups, by 5.0 points."
    assert every.answer()[1].endswith(
        "Equivalent means less than 1 point of validation accuracy apart, a margin fixed before the first seed. 30 "
        "runs took 5 min of training."
    )
    assert some.answer()[0] == "Compared with elu, selu is better by 5.0 points; relu is equivalent."


def test_the_report_claims_what_was_decided_and_makes_no_other_test(tmp_path, no_figures):
    leave_decisions(tmp_path, {"elu": [0.5] * 7, "selu": with_spread(0.55), "relu": with_spread(0.54, 7, 5)})
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert findings.verdicts == {"selu": "best", "elu": "significantly worse", "relu": "undecided"}
    assert not any("No other tests are made" in note for note in findings.method_notes())  # of ratios there are
    assert any("and ratios are claimed too often" in note for note in findings.method_notes())
    assert not any(pair.is_tested for pair in findings.pairs)
    assert findings.answers_first() == [findings.decisions.answer()]
    first, second = (next(g for g in findings.groups if g.label == name) for name in ("elu", "selu"))
    assert findings.answers(first, second)[1] == findings.decisions.of(first.folders, second.folders).describe()
    page = write_report([tmp_path], None, findings).read_text()
    assert "<h2>Decisions</h2>" in page and "p (Holm)" not in page and "t-test" not in page
    text = (tmp_path / "report.md").read_text()
    assert "| selu | elu | better | 5.0 | " in text and " of 7 seeds | " in text
    assert "lost seeds" not in text and "| more seeds |" in text
    table = groups_table(findings).renderables[-1]
    assert [column.header for column in table.columns][:3] == ["group", "other", "verdict"]


def test_the_best_is_that_of_the_decisions_though_another_mean_is_over_better_seeds(tmp_path):
    seeds = [0.05] * 6 + [-0.05] * 4
    values = {
        "elu": [0.5 + of for of in seeds],
        "relu": [0.54 + by for by in with_spread(0.0, 6, 0.25)],
        "selu": [of + by for of, by in zip(seeds, with_spread(0.499, 10, 8), strict=True)],
    }
    leave_decisions(tmp_path, values)
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert findings.verdicts == {"elu": "best", "relu": "significantly worse", "selu": "undecided"}
    assert findings.best_group.label == "elu"
    (table,) = group_tables(findings)
    assert table.rows[0][0][0] == "elu" and "behind (points)" not in table.headings


def test_an_equivalent_group_is_said_to_be(tmp_path):
    leave_decisions(tmp_path, {"elu": [0.5] * 10, "selu": with_spread(0.5005, 10)})
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert findings.verdicts == {"selu": "best", "elu": "equivalent"}


def test_a_group_that_is_ahead_but_lost_more_seeds_is_not_the_best(tmp_path, no_figures):
    leave_decisions(tmp_path, {"elu": [0.5] * 8, "selu": [DIVERGED, *with_spread(0.55)]})
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert findings.verdicts == {"selu": "not claimed", "elu": "not claimed"}
    assert "How to repeat" not in write_report([tmp_path], None, findings).read_text()


def test_with_a_baseline_all_are_compared_with_it_and_other_pairs_say_that_they_are_not(tmp_path, no_figures):
    groups = {"elu": [0.5] * 7, "relu": with_spread(0.54, 7, 5), "selu": with_spread(0.55), "tanh": with_spread(0.4)}
    leave_decisions(tmp_path, groups, baseline="elu")
    findings = analyze([tmp_path], find_runs([tmp_path]))
    better, worse = "significantly better", "significantly worse"
    assert [*findings.verdicts.items()] == [("elu", "baseline"), ("selu", better), ("relu", better), ("tanh", worse)]
    assert findings.asked() == [(findings.groups[0], other) for other in findings.groups[1:]]
    (row,) = [row for row in decision_table(findings.decisions).rows if row[0][0] == "tanh"]
    assert [text for text, _ in row[:4]] == ["tanh", "elu", "worse", "-10.0"]
    first, second = (next(g for g in findings.groups if g.label == name) for name in ("relu", "selu"))
    assert findings.answers(first, second)[1] == (
        "selu and relu: nothing can be claimed, as it is not among the comparisons that were fixed before the first "
        "seed (the means are 1.0 points apart, selu ahead)."
    )
    page = write_report([tmp_path], None, findings).read_text()
    assert "has one" not in page and "Pairs of groups" not in page and "How to repeat selu" in page


def test_another_margin_than_that_of_the_decisions_is_refused(tmp_path):
    leave_decisions(tmp_path, {"elu": [0.5] * 7, "selu": with_spread(0.55)})
    with pytest.raises(ValueError, match=r"its own margin of 1 point of .* got a margin of 2; leave out --margin"):
        analyze([tmp_path], find_runs([tmp_path]), margin=2.0)


def test_other_reports_warn_of_seeds_that_results_chose(tmp_path):
    leave_decisions(tmp_path / "study", {"elu": [0.5] * 7, "selu": with_spread(0.55)})
    leave_run(tmp_path / "other", [1.5], [0.5])
    for folders in ([tmp_path], [tmp_path / "study", tmp_path / "other"]):
        findings = analyze(folders, find_runs(folders))
        assert findings.decisions is None
        assert findings.warnings[0].startswith("In study seeds were added until groups were decided")
    assert chosen_by_results([tmp_path / "study"], [tmp_path / "study" / "elu,1"]) == []


def test_a_damaged_record_is_a_warning(tmp_path):
    leave_decisions(tmp_path, {"elu": [0.5] * 7, "selu": with_spread(0.55)})
    (tmp_path / "decisions.json").write_text("{}")
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert findings.decisions is None and "decisions.json is damaged" in findings.warnings[0]
