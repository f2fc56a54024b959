import statistics
from pathlib import Path

import pytest

from trainlab.report.comparisons import Pair, compare_all
from trainlab.report.groups import group_runs
from trainlab.report.runs import find_runs
from trainlab.report.verdicts import better, p_value, told_apart

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
    assert better(pairs["bn elu"]) == (
        "bn is better than elu by 3.3 ± 0.5 points (95 %; paired t over seeds 1, 2, 3; "
        f"p = {3 * ps['bn elu']:.3f}, Holm over 3 pairs)."
    )


def test_a_difference_within_the_noise(pairs_of):
    pairs = pairs_of(bn=BN, elu=ELU, selu=SELU)
    # selu - elu: -0.0012, 0.0086, 0.0070; mean 0.0048, sd 0.00526, 4.3027 * 0.00526 / sqrt(3) = 0.0131
    p = paired_p(SELU, ELU)
    assert better(pairs["selu elu"]) == (
        "selu and elu cannot be told apart with 3 seeds (0.5 ± 1.3 points, 95 %; paired t over seeds 1, 2, 3; "
        f"p = {p:.2f}, Holm over 3 pairs)."
    )


def test_other_seeds_are_named_with_welch(pairs_of):
    pairs = pairs_of(bn=(*BN, 0.54), elu=ELU)
    assert "(95 %; Welch's t, 4 and 3 runs; p = " in better(pairs["bn elu"])
    assert "Holm" not in better(pairs["bn elu"])  # one test is not corrected


def test_one_seed_claims_nothing(pairs_of):
    pairs = pairs_of(bn=BN, elu=(0.4,))
    assert better(pairs["bn elu"]) == (
        "bn and elu: nothing can be claimed, elu has one seed (the means are 13.1 points apart, bn ahead)."
    )
    assert told_apart([*pairs.values()]) == ["elu has one seed: nothing can be claimed; set seed=1,2,3 or more."]
    assert not pairs["bn elu"].is_clear


def test_the_better_one_is_named_first_even_where_its_loss_is_not(leave, tmp_path: Path):
    for seed in (1, 2, 3):
        leave(f"a{seed}", [0.5], [0.3 + 0.001 * seed], seed, "low_loss")
        leave(f"b{seed}", [0.9], [0.4 + 0.002 * seed], seed, "accurate")
    (pair,) = compare_all(group_runs(find_runs([tmp_path])))
    assert pair.first.label == "low_loss"
    assert better(pair).startswith("accurate is better than low_loss by 10.2 ± 0.2 points (95 %")


def test_what_is_clear_comes_first(pairs_of):
    first, *rest = told_apart([*pairs_of(selu=SELU, elu=ELU, bn=BN).values()])
    assert first.startswith("bn is better than")
    assert rest[-1].startswith("selu and elu cannot be told apart")


def test_many_that_cannot_be_told_from_the_best_share_a_sentence(pairs_of):
    made = pairs_of(**{f"m{i:02}": (0.50 - i / 1000, 0.55, 0.60 + i / 2000) for i in range(14)})
    best = next(iter(made.values())).first
    (said,) = told_apart([pair for pair in made.values() if pair.first is best])
    assert said.startswith(f"{best.label} cannot be told apart from m")
    assert said.endswith("and 3 more (Holm over 91 pairs).")  # 13 others, 10 of them by name; 14 * 13 / 2 pairs


@pytest.mark.parametrize(
    ("p", "shown"), [(0.2512, "0.25"), (0.0400, "0.040"), (0.0012, "0.001"), (3.4e-5, "3e-05"), (0.0, "0")]
)
def test_p_to_digits_that_say_something(p: float, shown: str):
    assert p_value(p) == shown
