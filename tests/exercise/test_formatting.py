import pytest

from exercise.formatting import (
    describe_difference,
    format_accuracy,
    format_amount,
    format_difference,
    format_initializer,
    format_ratio,
    holds,
    join_sentences,
    loses_nothing,
    verdict,
)
from trainlab.models.initializers import INITIALIZERS
from trainlab.statistics import Difference, Ratio, difference, interval

LOW, HIGH = {1: 50.0, 2: 50.2, 3: 50.1}, {1: 52.0, 2: 52.3, 3: 52.2}
NOISY = {1: 49.0, 2: 51.5, 3: 50.0}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (HIGH, LOW, "higher"),
        (LOW, HIGH, "lower"),
        (NOISY, LOW, "not distinguishable"),
        ({1: 50.0}, {1: 52.0}, "unknown"),
        ({1: 52.0, 2: 52.0}, {1: 50.0, 2: 50.0}, "unknown"),
        (HIGH | {2: float("nan")}, LOW, "unknown"),
    ],
)
def test_a_verdict_for_each_outcome(first: dict[int, float], second: dict[int, float], said: str):
    assert verdict(difference(first, second)) == said


def test_sentences_say_by_how_much_and_whether_it_counts():
    # Differences 2.0, 2.1, 2.1: mean 2.067, sd 0.0577, times t(2) = 4.303 over sqrt(3): 0.143
    higher = "Accuracy of A is 2.1 ± 0.1 points higher than of B (95 %, paired t, p = 0.0003)."
    assert describe_difference("Accuracy", ("A", HIGH), ("B", LOW)) == higher
    assert describe_difference("Accuracy", ("B", LOW), ("A", HIGH)).startswith(
        "Accuracy of B is 2.1 ± 0.1 points lower than of A"
    )
    assert describe_difference("Accuracy", ("A", NOISY), ("B", LOW)).startswith(
        "No significant difference in accuracy between A and B (0.1 ±"
    )
    assert describe_difference("Accuracy", ("A", {1: 1.0}), ("B", {1: 2.0})) == (
        "Accuracy of A and B (1.0 and 2.0 points): nothing can be claimed, one seed."
    )


def test_differences_have_a_sign_and_zero_is_never_below_zero():
    assert format_difference(Difference(-0.012, 0.004, 0.01, "paired")) == "-1.2 ± 0.4"
    assert format_difference(Difference(-0.0004, 0.004, 0.9, "paired")) == "+0.0 ± 0.4"
    assert format_difference(Difference(0.012, float("nan"), float("nan"), "none")) == "+1.2"


def test_ratios_and_intervals_out_of_all_proportion():
    assert format_ratio(Ratio(0.9, 0.8, 1.1)) == "0.90 times (95 %: 0.80 to 1.10)"
    assert format_ratio(Ratio(0.9, 0.0, 1e11)) == "0.90 times (95 %: 0.00 to more than 1000)"
    assert format_ratio(Ratio(0.9, float("nan"), float("nan"))) == "0.90 times"


def test_initializers_by_the_names_of_their_authors():
    assert {format_initializer(name) for name in INITIALIZERS if name.endswith("_normal")} == {
        *("He normal", "LeCun normal", "Glorot normal", "PyTorch normal")
    }


def test_figures_with_their_interval_and_seeds():
    assert format_accuracy(interval([0.50, 0.51, 0.52])) == "51.0 ± 2.5 % (3 seeds)"
    assert format_accuracy(interval([0.5])) == "50.0 % (1 seed)"
    assert format_accuracy(interval([])) == "no completed run"
    assert format_amount(interval([1.0, 2.0]), "s") == "1.5 ± 6.4 s (2 seeds)"
    assert format_amount(interval([2.0]), "") == "2.0 (1 seed)"
    assert format_amount(interval([]), "s") == "no figure"


@pytest.mark.parametrize(
    ("said", "is_higher", "is_lower"),
    [("higher", True, False), ("lower", False, True), ("not distinguishable", None, None), ("unknown", None, None)],
)
def test_a_verdict_is_the_one_wanted_or_its_contrary_or_open(said, is_higher: bool | None, is_lower: bool | None):
    assert (holds(said, "higher"), holds(said, "lower")) == (is_higher, is_lower)


@pytest.mark.parametrize(
    ("mean", "half_width", "p", "nothing"),
    [
        (0.0, 0.009, 1.0, True),
        (0.0, 0.011, 1.0, None),  # no loss is shown, but there is room for one
        (-0.004, 0.005, 0.08, True),
        (-0.004, 0.007, 0.2, None),
        (-0.004, 0.002, 0.01, False),  # small, and larger than the noise
        (-0.05, 0.01, 0.001, False),
        (0.02, 0.01, 0.01, True),  # a gain is no loss
    ],
)
def test_no_loss_is_claimed_where_the_interval_has_no_room_for_one(mean, half_width, p, nothing: bool | None):
    assert loses_nothing(Difference(mean, half_width, p, "paired")) is nothing


def test_a_corrected_p_decides_whether_a_loss_is_clear():
    assert loses_nothing(Difference(-0.004, 0.0035, 0.03, "paired"), p=0.06) is True
    assert loses_nothing(Difference(-0.004, float("nan"), float("nan"), "none")) is None


def test_sentences_in_a_row_begin_with_a_capital():
    assert join_sentences("one is so.", "", "two is not.") == "One is so. Two is not."
