"""L1 compared with zeroing at like shares of zeros, from accuracies that are made up."""

import pytest

from exercise.questions.sparsity import measuring as m
from exercise.questions.sparsity.points import Point, claims, format_share

Shares = dict[float, float]  # validation accuracy by share of zeros
# Zeroing's alone: differences have a deviation of 0.1 points, so their mean is known to 4.303 * 0.1 / sqrt(3) = 0.2.
ASIDE = {1: 0.001, 2: -0.001, 3: 0.0}


def point(method: str, share: float, by_seed: dict[int, float], diverged: int = 0) -> Point:
    seeds = {seed: {"zeros": share, "val_acc": accuracy} for seed, accuracy in by_seed.items()}
    return Point(method, f"{share:g}", seeds, diverged)


def points(l1: Shares, plain: Shares) -> list[Point]:
    exact = [point(m.L1, share, dict.fromkeys(ASIDE, accuracy)) for share, accuracy in l1.items()]
    return [
        *exact,
        *(point(m.PLAIN, share, {seed: of + aside for seed, aside in ASIDE.items()}) for share, of in plain.items()),
    ]


@pytest.mark.parametrize(
    ("l1", "plain", "holds", "said"),
    [
        ({0.7: 0.5}, {0.5: 0.4, 0.9: 0.2}, True, "at 70 % zeros +10.0 ± 0.2 points compared with it at fewer (50 %)"),
        ({0.7: 0.5}, {0.8: 0.52, 0.9: 0.2}, False, "at 70 % zeros -2.0 ± 0.2 points compared with it at more (80 %)"),
        # more accurate than one with more zeros, and less than one with fewer: neither says anything
        (
            {0.7: 0.5},
            {0.5: 0.53, 0.9: 0.2},
            None,
            "at 70 % zeros -3.0 ± 0.2 points compared with it at fewer (50 %) and +30.0 ± 0.2 points compared with it "
            "at more (90 %): not shown which is better",
        ),
        # within a point of the other share they count as equal, whichever is the larger
        (
            {0.908: 0.43},
            {0.9: 0.48, 0.95: 0.38},
            False,
            "at 90.8 % zeros -5.0 ± 0.2 points compared with it at as many (90 %)",
        ),
        ({0.892: 0.48}, {0.9: 0.43}, True, "at 89.2 % zeros +5.0 ± 0.2 points compared with it at as many (90 %)"),
        (
            {0.911: 0.43},
            {0.9: 0.48, 0.95: 0.38},
            None,
            "and +5.0 ± 0.2 points compared with it at more (95 %): not shown",
        ),
        ({0.7: 0.5}, {0.7: 0.5}, None, "points compared with it at as many (70 %): not shown which is better"),
        # of several strengths all have to be better, and one that is worse is enough
        ({0.7: 0.5, 0.9: 0.4}, {0.7: 0.4, 0.9: 0.3}, True, "compared with it at as many (70 %); at 90 % zeros"),
        ({0.7: 0.5, 0.9: 0.4}, {0.7: 0.4, 0.9: 0.5}, False, "compared with it at as many (70 %); at 90 % zeros"),
        ({0.7: 0.5, 0.9: 0.4}, {0.7: 0.4, 0.9: 0.4}, None, "compared with it at as many (90 %): not shown"),
        # what is not sparse does not count
        ({0.2: 0.5, 0.7: 0.5}, {0.2: 0.54, 0.7: 0.4}, True, "at 70 % zeros +10.0"),
        ({0.2: 0.5}, {0.2: 0.54}, None, "there are no two networks with 50 % zeros or more to compare"),
        ({0.7: 0.5}, {}, None, "there are no two networks"),
    ],
)
def test_l1_compared_with_zeroing_at_equal_sparsity(l1: Shares, plain: Shares, holds: bool | None, said: str):
    alone, with_training = claims(points(l1, plain))
    assert alone.statement == "L1 is more accurate than zeroing alone at as many zeros"
    assert alone.holds is holds
    assert alone.figures.startswith(said) or said in alone.figures
    assert with_training.holds is None


def test_seeds_that_diverged_decide_nothing():
    def found(l1: float, plain: float, lost: tuple[int, int]) -> bool | None:
        first, second = (
            point(method, 0.7, {s: of + aside for s, aside in aside_of.items() if s > diverged}, diverged)
            for method, of, aside_of, diverged in (
                (m.L1, l1, dict.fromkeys(ASIDE, 0.0), lost[0]),
                (m.PLAIN, plain, ASIDE, lost[1]),
            )
        )
        return claims([first, second])[0].holds

    assert found(0.5, 0.4, (0, 0)) is True
    assert found(0.5, 0.4, (1, 0)) is None  # those that are left may be the lucky ones
    assert found(0.4, 0.5, (0, 0)) is False
    assert found(0.4, 0.5, (0, 1)) is None
    assert found(0.4, 0.5, (1, 0)) is False


def test_holms_correction_is_over_the_pairs_of_a_claim():
    # 1, 2 and 1.5 points: mean 1.5, deviation 0.5, t = 5.20, p = 0.035 with two degrees of freedom; 0.07 among two
    near = [point(m.L1, 0.7, {1: 0.51, 2: 0.52, 3: 0.515}), point(m.PLAIN, 0.7, dict.fromkeys((1, 2, 3), 0.5))]
    (one, _) = claims(near)
    assert (one.holds, one.figures) == (True, "at 70 % zeros +1.5 ± 1.2 points compared with it at as many (70 %)")
    again = [point(p.method, 0.9, {seed: figures["val_acc"] - 0.1 for seed, figures in p.seeds.items()}) for p in near]
    again[0].seeds[1]["val_acc"] -= 0.02  # of which nothing can be said
    (two, _) = claims([*near, *again])
    assert two.holds is None
    assert two.figures.count("not shown which") == 2


def test_shares_in_words():
    found = [format_share(point(m.L1, share, {1: 0.5})) for share in (0, 0.0001, 0.011, 0.166, 0.2, 0.908, 0.9999, 1)]
    assert found == ["0 %", "0.0 %", "1.1 %", "16.6 %", "20 %", "90.8 %", "100.0 %", "100 %"]
