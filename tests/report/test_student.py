import math

import mpmath
import pytest

from trainlab.report.student import incomplete_beta, quantile, two_sided_p


@pytest.mark.parametrize("a", [0.5, 1.0, 2.7, 60.0, 5000.0])
@pytest.mark.parametrize("b", [0.5, 3.0])
@pytest.mark.parametrize("x", [0.0, 1e-12, 0.1, 0.5, 0.93, 1 - 1e-9, 1.0])
def test_incomplete_beta_against_mpmath(a: float, b: float, x: float):
    reference = float(mpmath.betainc(a, b, 0, x, regularized=True))
    assert incomplete_beta(a, b, x) == pytest.approx(reference, rel=1e-9, abs=1e-300)


def test_closed_forms_of_one_and_two_degrees_of_freedom():
    for t in (0.01, 1.0, 30.0, 1e5):
        assert two_sided_p(t, 1) == pytest.approx(2 / math.pi * math.atan(1 / t), rel=1e-12)
        # 1 - t / sqrt(2 + t^2), without its cancellation
        assert two_sided_p(-t, 2) == pytest.approx(2 / (2 + t * t) / (1 + t / math.sqrt(2 + t * t)), rel=1e-12)


@pytest.mark.parametrize(("df", "table"), [(1, 12.706), (2, 4.303), (5, 2.571), (30, 2.042), (1e9, 1.960)])
def test_quantiles_as_printed_in_tables(df: float, table: float):
    assert quantile(0.95, df) == pytest.approx(table, abs=5e-4)


def test_quantile_and_probability_are_inverse():
    for df in (1.3, 4.0, 77.7):
        for level in (0.5, 0.95, 0.999):
            assert two_sided_p(quantile(level, df), df) == pytest.approx(1 - level, rel=1e-9)
