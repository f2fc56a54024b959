import csv
import statistics
from pathlib import Path

import pytest

from trainlab.report import comparisons
from trainlab.report.comparisons import Pair, compare_all
from trainlab.report.descriptions import describe_pair, describe_pairs
from trainlab.report.findings import analyze
from trainlab.report.formatting import format_p
from trainlab.report.group_table import answer_text
from trainlab.report.groups import group_runs
from trainlab.report.runs import find_runs
from trainlab.report.tables import group_tables
from trainlab.report.write import write_report

BN, ELU, SELU = (0.5350, 0.5296, 0.5286), (0.5030, 0.4946, 0.4978), (0.5018, 0.5032, 0.5048)


def paired_p(first, second):
    """Two-sided p of a paired test on three pairs: with two degrees of freedom it is 1 - |t| / sqrt(2 + t^2)."""
    between = [a - b for a, b in zip(first, second, strict=True)]
    t = statistics.mean(between) / (statistics.stdev(between) / 3**0.5)
    return 1 - abs(t) / (2 + t * t) ** 0.5


@pytest.fixture
def pairs_of(leave, tmp_path: Path):
    def made(**accuracies: tuple[float, ...]) -> dict[str, Pair]:
        for model, values in accuracies.items():
            for seed, value in enumerate(values, 1):
                leave(f"{model}{seed}", [1 - value], [value], seed, model)
        pairs = compare_all(group_runs(find_runs([tmp_path])))
        return {f"{pair.first.label} {pair.second.label}": pair for pair in pairs}

    return made


def test_a_difference_larger_than_the_noise(pairs_of):
    pairs = pairs_of(bn=BN, elu=ELU, selu=SELU)
    # bn - elu: 0.0320, 0.0350, 0.0308; mean 0.0326, sd 0.00216, 4.3027 * 0.00216 / sqrt(3) = 0.0054
    raw = {"bn elu": (BN, ELU), "bn selu": (BN, SELU), "selu elu": (SELU, ELU)}
    ps = {name: paired_p(a, b) for name, (a, b) in raw.items()}
    assert sorted(ps, key=lambda name: ps[name])[0] == "bn elu"
    assert pairs["bn elu"].p == pytest.approx(3 * ps["bn elu"])
    assert describe_pair(pairs["bn elu"]) == (
        "bn is better than elu by 3.3 ± 0.5 points (95 %; paired t over seeds 1, 2, 3; "
        f"p = {ps['bn elu']:.3f} alone, {3 * ps['bn elu']:.3f} by Holm over 3 pairs)."
    )


def test_a_difference_within_the_noise(pairs_of):
    pairs = pairs_of(bn=BN, elu=ELU, selu=SELU)
    # selu - elu: -0.0012, 0.0086, 0.0070; mean 0.0048, sd 0.00526, 4.3027 * 0.00526 / sqrt(3) = 0.0131
    p = paired_p(SELU, ELU)
    assert describe_pair(pairs["selu elu"]) == (
        "No significant difference between selu and elu with 3 seeds (0.5 ± 1.3 points, 95 %; paired t over seeds 1, "
        f"2, 3; p = {p:.2f} alone, {p:.2f} by Holm over 3 pairs)."
    )


def test_other_seeds_are_named_with_welch(pairs_of):
    pairs = pairs_of(bn=(*BN, 0.54), elu=ELU)
    assert "(95 %; Welch's t, 4 and 3 seeds; p = " in describe_pair(pairs["bn elu"])
    assert "Holm" not in describe_pair(pairs["bn elu"])  # one test is not corrected


def test_a_run_without_a_value_is_not_counted(pairs_of, leave, no_figures, tmp_path: Path):
    pairs_of(bn=BN, elu=ELU[:2])
    leave("elu3", [0.5], [float("nan")], 3, "elu")
    findings = analyze([tmp_path], find_runs([tmp_path]))
    (pair,) = findings.pairs
    assert "Welch's t, 3 and 2 seeds" in describe_pair(pair)
    assert " 3 and 2 seeds detect a difference of " in findings.answers(pair.first, pair.second)[1]
    (table,) = group_tables(findings)
    assert [row[table.headings.index("n")][0] for row in table.rows] == ["3", "2 of 3"]
    write_report([tmp_path], findings=findings)
    (row,) = csv.DictReader((tmp_path / "pairs.csv").open())
    assert (row["n_first"], row["n_second"]) == ("3", "2")


def test_one_seed_claims_nothing(pairs_of):
    pairs = pairs_of(bn=BN, elu=(0.4,))
    assert describe_pair(pairs["bn elu"]) == (
        "bn and elu: nothing can be claimed, elu has one seed (the means are 13.1 points apart, bn ahead)."
    )
    assert describe_pairs([*pairs.values()]) == ["elu has one seed: nothing can be claimed; set seed=1,2,3 or more."]
    assert not pairs["bn elu"].is_clear


def test_the_better_one_is_first_even_where_its_loss_is_not(leave, tmp_path: Path):
    for seed in (1, 2, 3):
        leave(f"a{seed}", [0.5], [0.3 + 0.001 * seed], seed, "low_loss")
        leave(f"b{seed}", [0.9], [0.4 + 0.002 * seed], seed, "accurate")
    (pair,) = compare_all(group_runs(find_runs([tmp_path])))
    assert pair.first.label == "accurate"
    assert describe_pair(pair).startswith("accurate is better than low_loss by 10.2 ± 0.2 points (95 %")


def test_what_is_clear_comes_first(pairs_of):
    first, *rest = describe_pairs([*pairs_of(selu=SELU, elu=ELU, bn=BN).values()])
    assert first.startswith("bn is better than")
    assert rest[-1].startswith("No significant difference between selu and elu")


def test_many_without_a_significant_difference_to_the_best_share_a_sentence(pairs_of):
    made = pairs_of(**{f"m{i:02}": (0.50 - i / 1000, 0.55, 0.60 + i / 2000) for i in range(14)})
    best = next(iter(made.values())).first
    (said,) = describe_pairs([pair for pair in made.values() if pair.first is best])
    # The first differs from the one after it by 0.001, 0 and -0.0005: mean 0.02 points, 4.3 * 0.076 / sqrt(3) = 0.19.
    assert said.startswith(f"No significant difference between {best.label} and m01 (0.02 ± 0.19), ")
    # 13 others, 10 of them by name: the family is all 14 * 13 / 2 pairs, as the best was chosen among all
    assert said.endswith(
        f" and 3 more (in brackets the points that {best.label} is ahead, 95 %; Holm over 91 pairs): add seeds."
    )


def test_of_many_groups_all_pairs_are_corrected_together(pairs_of):
    made = pairs_of(**{f"m{i:02}": (0.60 - i / 100, 0.61 - i / 100, 0.617 - i / 90) for i in range(12)})
    assert {pair.tests for pair in made.values()} == {66}
    lowest = min(made.values(), key=lambda pair: pair.difference.p)
    assert lowest.p == pytest.approx(66 * lowest.difference.p)


def test_a_gap_that_only_the_correction_hides_is_said_with_both_p(pairs_of):
    # bn - elu: 0.0320, 0.0350, 0.0308 once more, but corrected for so many pairs, p of 0.0015 is more than 0.05
    names = {f"m{i:02}": tuple(0.4 + 0.01 * (i * s % 7) for s in (1, 2, 3)) for i in range(40)}
    pairs = pairs_of(bn=BN, elu=ELU, **names)
    pair = next(p for p in pairs.values() if {p.first.label, p.second.label} == {"bn", "elu"})
    raw = paired_p(BN, ELU)
    assert not pair.is_clear
    assert describe_pair(pair).startswith(
        f"bn is 3.3 ± 0.5 points ahead of elu, but that is not significant after the correction for the {pair.tests} "
        "pairs compared"
    )
    assert (
        f"p = {raw:.3f} alone, {format_p(pair.p).removeprefix('p = ')} by Holm over {pair.tests} pairs): add seeds."
        in describe_pair(pair)
    )


def test_no_spread_claims_nothing(pairs_of):
    (pair,) = pairs_of(bn=(0.53, 0.54), elu=(0.50, 0.51)).values()
    assert not pair.is_clear
    said = (
        "bn and elu: nothing can be claimed, there is no spread to measure the noise with (the means are 3.0 points "
        "apart, bn ahead)."
    )
    assert describe_pair(pair) == said
    assert describe_pairs([pair]) == [said]


def test_groups_of_other_images_are_not_compared(leave, tmp_path: Path):
    for seed, (bn, elu) in enumerate(zip(BN, ELU, strict=True), 1):
        leave(f"bn{seed}", [1 - bn], [bn], seed, "bn")
        leave(f"elu{seed}", [1 - elu], [elu], seed, "elu", provenance_data_digest="other")
    findings = analyze([tmp_path], find_runs([tmp_path]))
    (pair,) = findings.pairs
    assert (pair.difference.method, pair.difference.reason, pair.is_clear) == ("none", "other images", False)
    assert describe_pair(pair) == "bn and elu are not compared: other images (their data digests differ)."
    assert str(answer_text(findings)) == (
        "\nBest: bn, validation accuracy 53.1 % (± 0.9 points, 95 % interval over 3 seeds). The next, elu, is 3.3 "
        "points behind. Differences cannot be tested: the groups saw different images."
    )
    last, *digests = findings.warnings
    assert last.startswith("In 6 of 6 completed runs the last epoch was the best: ") and digests == [
        "The runs are of 2 different data digests: they did not see the same images, so they are not compared "
        "(d1ge57: bn; other: elu)."
    ]
    assert "the images held out for validation are the same" not in findings.method_notes()[-1]


def test_groups_that_hold_other_images_out_are_not_paired(leave, tmp_path: Path):
    for seed, (bn, elu) in enumerate(zip(BN, ELU, strict=True), 1):
        leave(f"bn{seed}", [1 - bn], [bn], seed, "bn")
        run = leave(f"elu{seed}", [1 - elu], [elu], seed, "elu")
        config = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(config.replace("split_seed: 0", "split_seed: 7"))
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert [pair.difference.method for pair in findings.pairs] == ["Welch"]
    assert findings.warnings[0].startswith(
        "The groups differ in data.split_seed, so they do not hold the same images out"
    )
    assert "the images held out for validation are the same" not in findings.method_notes()[-1]


def test_the_same_held_out_images_are_said_only_where_they_are_known(pairs_of, leave, tmp_path: Path):
    pairs_of(bn=BN, elu=ELU)
    same = "the images held out for validation are the same"
    note = analyze([tmp_path], find_runs([tmp_path])).method_notes()[-1]
    # bn: mean 0.5311, sd 0.0034; errors of 5000 images 0.0071 and of three seeds 0.0020, together 0.0073, times 1.97
    assert same in note and " would be at most ± 1.4 instead of ± 0.9 points (5000 images); " in note
    leave("selu1", [1.0], [0.5], 1, "selu", provenance_data_digest=None)
    assert same not in analyze([tmp_path], find_runs([tmp_path])).method_notes()[-1]


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (0.2512, "0.25"),
        (0.0400, "0.040"),
        (0.0012, "0.001"),
        (3.4e-5, "3e-5"),
        (0.0, "< 1e-9"),
        (0.0503, "0.0503"),
        (0.0507, "0.051"),
        (0.05002, "0.05"),
        (0.04998, "< 0.05"),
        (0.0496, "0.0496"),
    ],
)
def test_p_to_digits_that_say_something(p: float, shown: str):
    assert format_p(p) == shown


def test_of_too_many_pairs_those_with_the_best_and_of_the_first_groups_are_compared(leave, tmp_path, monkeypatch):
    for lr, level in enumerate((0.5, 0.52, 0.54, 0.6, 0.7), 1):
        for seed in (1, 2, 3):
            off = level + 0.003 * ((seed * lr) % 5)
            leave(f"{lr},{seed}", [1 - off], [off], seed, lr=10.0**-lr)
    every = analyze([tmp_path], find_runs([tmp_path]))
    monkeypatch.setattr(comparisons, "MAX_PAIRS", 9)
    monkeypatch.setattr(comparisons, "MAX_GROUPS_OF_MANY", 3)
    some = analyze([tmp_path], find_runs([tmp_path]))
    assert [len(findings.pairs) for findings in (every, some)] == [10, 5]
    names = [group.label for group in some.groups]
    compared = {frozenset(map(names.index, (pair.first.label, pair.second.label))) for pair in some.pairs}
    assert compared == {frozenset(pair) for pair in ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2))}
    assert all(pair.tests == 10 for pair in some.pairs) and some.ratios == every.ratios
    for pair in some.pairs:
        same = every.pair(pair.first, pair.second)
        assert pair.difference == same.difference
        assert pair.p >= same.p, "corrected for as many, the others taken for the least clear ones"
    assert some.verdicts.keys() == every.verdicts.keys()
    assert "only the best is compared with each other group" in " ".join(some.method_notes())
    assert "only the best is compared" not in " ".join(every.method_notes())
