"""What `seed=auto` asks for, what a sweep's folder holds it to, and how many seeds come next."""

import pytest

from left_decisions import leave_decisions, with_spread
from trainlab.config.overrides import WrongArguments, combinations, parse_overrides
from trainlab.config.value_types import check_numbers
from trainlab.report.decision import Rules
from trainlab.report.decisions import read_decisions
from trainlab.sweep.auto_seeds import AutoSeeds
from trainlab.sweep.decide import Record, first_counts, next_counts
from trainlab.tasks.metrics import METRICS

SETTINGS = {"margin": 1.0, "max_seeds": 30, "baseline": None}


def read(*overrides: str, **settings) -> AutoSeeds:
    return AutoSeeds.read(combinations(parse_overrides(overrides)), {**SETTINGS, **settings})


def rules(margin=1.0, baseline=None, groups=("bn", "selu"), metric=METRICS["val/acc"]) -> Rules:
    return Rules(metric, margin, 0.05, baseline, {name: (f"model={name}",) for name in groups})


def test_groups_are_the_combinations_and_seeds_stand_where_auto_stood():
    asked = read("model=bn,selu", "seed=auto", "optim.lr=1e-4,5e-4")
    assert asked.overrides(1, 7) == ["model=bn", "seed=7", "optim.lr=0.0005"]
    assert len(asked.groups) == 4


@pytest.mark.parametrize("baseline", ["selu lr=5e-4", "model=selu optim.lr=0.0005", "5e-4 selu"])
def test_the_baseline_is_named_by_what_sets_it_apart(baseline):
    assert read("model=bn,selu", "seed=auto", "optim.lr=1e-4,5e-4", baseline=baseline).baseline == 3


@pytest.mark.parametrize(
    ("overrides", "settings", "message"),
    [
        (["model=bn,selu", "seed=auto,1"], {}, "seed=auto stands for all seeds"),
        (["model=bn", "seed=auto"], {}, "compares groups, got one"),
        (["model=bn,selu", "seed=auto"], {"margin": None}, "needs the difference that matters; set sweep.margin"),
        (["model=bn,selu", "seed=auto"], {"margin": 0}, "margin must be a number above 0, got 0; set sweep.margin"),
        (["model=bn,selu", "seed=auto"], {"margin": "1%"}, "margin must be a number above 0, got '1%'"),
        (["model=bn,selu", "seed=auto"], {"max_seeds": 4}, "at least 5, before which no interval of a pair has bounds"),
        (["model=bn,selu,elu_he", "seed=auto"], {"max_seeds": 5}, "at least 6, before which no interval of 3 pairs"),
        (
            ["model=bn,selu", "seed=auto"],
            {"baseline": "elu"},
            "one group of model=bn, model=selu; got 'elu'; set sweep.bas",
        ),
        (["model=bn,selu", "seed=auto", "data.fold=0,1"], {}, "give one value for data.fold"),
        (["model=bn,selu", "seed=auto", "sweep.margin=1,2"], {}, "give one value for sweep"),
    ],
)
def test_what_is_no_comparison_is_refused(overrides, settings, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        read(*overrides, **settings)


def test_a_single_run_has_one_seed():
    with pytest.raises(WrongArguments, match=r"^seed=auto adds seeds to a sweep; add -m, or set a number: seed=1$"):
        check_numbers(["model=bn", "seed=auto"], {})


def test_margin_baseline_and_groups_are_fixed_before_the_first_seed(tmp_path):
    leave_decisions(tmp_path, {"bn": [0.5] * 5, "selu": with_spread(0.55, 5)})
    record = Record(tmp_path, rules())
    assert record.counts == {"bn": 5, "selu": 5}
    record.add([("bn", 6)], ["bn,6"])
    assert Record(tmp_path, rules()).counts == {"bn": 6, "selu": 5}
    for other, message in (
        (
            rules(margin=2.0),
            "has the margin 1, fixed before the first seed, got 2; set sweep.margin=1, or another name=",
        ),
        (rules(baseline="bn"), "has the baseline null, fixed before the first seed, got bn; set sweep.baseline=null"),
        (rules(metric=METRICS["val/loss"]), "compares by validation accuracy at 0.05, fixed before"),
        (rules(groups=("bn", "selu", "elu")), r"compares bn and selu, .*another comparison \(with model=elu\)"),
        (rules(groups=("bn", "elu")), r"\(without model=selu and with model=elu\); set another name="),
    ):
        with pytest.raises(ValueError, match=message):
            Record(tmp_path, other)


def test_a_record_without_a_result_is_not_fixed_yet_and_results_without_a_record_are_too_early(tmp_path):
    Record(tmp_path, rules()).add([("bn", 1)], ["bn,1"])
    Record(tmp_path, rules(margin=2.0)).add([("bn", 1)], ["bn,1"])
    assert read_decisions(tmp_path).rules.margin == 2.0
    leave_decisions(tmp_path / "old", {"bn": [0.5] * 5, "selu": with_spread(0.55, 5)})
    (tmp_path / "old" / "decisions.json").unlink()
    with pytest.raises(
        ValueError, match="has runs from before the margin was fixed, which would choose it; set another"
    ):
        Record(tmp_path / "old", rules())


def test_seeds_are_added_to_undecided_groups_alone_and_at_most_doubled(tmp_path):
    noisy = with_spread(0.5, 6, 4)
    groups = {"bn": noisy, "selu": with_spread(0.51, 6, -4), "relu": with_spread(0.9, 6)}
    found = leave_decisions(tmp_path, groups)
    assert [(pair.first.name, pair.word) for pair in found.pairs] == [
        ("selu", "undecided"),
        ("relu", "better"),
        ("relu", "better"),
    ]
    begun = dict.fromkeys(groups, 6)
    assert first_counts(found.rules) == begun
    needed = found.open[0].foreseen
    more = {threads: next_counts(found, begun, 30, threads)["bn"] - 6 for threads in (1, 9, 99)}
    assert (more[1], more[9], more[99]) == (min(max(needed, 2), 6), min(max(needed, 5), 6), 6)
    assert next_counts(found, begun, 7, 1) == {"bn": 7, "selu": 7}
    assert next_counts(found, begun, 6, 1) == {}
    assert next_counts(found, {"bn": 9, "selu": 6, "relu": 6}, 30, 1) == {"bn": 9, "selu": 9}


def test_a_pair_whose_intervals_exclude_each_other_gets_no_more_seeds(tmp_path):
    ahead = [*with_spread(0.05, 6), *([-0.05] * 60)]
    found = leave_decisions(tmp_path, {"elu": [0.5] * 66, "selu": [0.5 + by for by in ahead]})
    assert next_counts(found, {"elu": 66, "selu": 66}, max_seeds=100, threads=2) == {}
