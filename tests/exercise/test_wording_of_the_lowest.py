import pytest

from trainlab.exercise.wording import lowest

A, B, C = {1: 1.0, 2: 1.1, 3: 0.9}, {1: 1.1, 2: 1.0, 3: 1.0}, {1: 3.0, 2: 3.2, 3: 3.1}


@pytest.mark.parametrize(
    ("of", "end"),
    [
        ({"A": A, "C": C}, "A 1.0 ± 0.2 s, C 3.1 ± 0.2 s; lowest for A (p = 0.0008)."),
        ({"C": C, "A": A}, "C 3.1 ± 0.2 s, A 1.0 ± 0.2 s; lowest for A (p = 0.0008)."),
        ({"A": A, "B": B, "C": C}, "A 1.0 ± 0.2 s, B 1.0 ± 0.1 s, C 3.1 ± 0.2 s; A cannot be told apart from B."),
        ({"A": A, "D": {}}, "A 1.0 ± 0.2 s."),
        ({"A": {1: 1.0}, "C": {1: 3.0}}, "A 1.0 s, C 3.0 s."),
        ({"D": {}}, "no figure."),
    ],
)
def test_the_lowest_is_named_where_it_is_clear(of, end):
    assert lowest("Time", of, "s", 1) == f"Time: {end}"


def test_several_are_corrected_for():
    """Differences to A of 1, 1.1 and 1.3: p is 0.006 of each alone, 0.012 by Holm of two."""
    D = {seed: value + [1.0, 1.1, 1.3][seed - 1] for seed, value in A.items()}
    assert "(p = 0.006)" in lowest("Time", {"A": A, "D": D})
    assert "(p = 0.012)" in lowest("Time", {"A": A, "D": D, "E": dict(D)})
