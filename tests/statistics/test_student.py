import math

import mpmath
import pytest

from trainlab.statistics.intervals import t_quantile, t_two_sided_p


@pytest.mark.parametrize("df", [1.0, 2.0, 5.4, 19.0, 120.0, 10_000.0])
@pytest.mark.parametrize("x", [1e-12, 0.1, 0.5, 0.93, 1 - 1e-6])
def test_p_against_mpmath(df: float, x: float):
    with mpmath.workdps(60):
        t = mpmath.sqrt(df * (1 - mpmath.mpf(x)) / x)
        # At integers mpmath's series divides zero by zero; 1e-22 beside it is as good to a float.
        reference = float(mpmath.betainc((df + mpmath.mpf("1e-22")) / 2, 0.5, 0, df / (df + t * t), regularized=True))
    for side in (1, -1):
        assert t_two_sided_p(side * float(t), df) == pytest.approx(reference, rel=1e-12, abs=1e-300)


def test_closed_forms_of_one_and_two_degrees_of_freedom():
    for t in (0.01, 1.0, 30.0, 1e5):
        assert t_two_sided_p(t, 1) == pytest.approx(2 / math.pi * math.atan(1 / t), rel=1e-12)
        # 1 - t / sqrt(2 + t^2), without its cancellation
        assert t_two_sided_p(-t, 2) == pytest.approx(2 / (2 + t * t) / (1 + t / math.sqrt(2 + t * t)), rel=1e-12)


@pytest.mark.parametrize(("df", "table"), [(1, 12.706), (2, 4.303), (5, 2.571), (30, 2.042), (1e9, 1.960)])
def test_quantiles_as_printed_in_tables(df: float, table: float):
    assert t_quantile(df) == pytest.approx(table, abs=5e-4)


@pytest.mark.parametrize("df", [1.3, 2.0, 4.0, 77.7, 2000.5])
def test_p_of_the_quantile_is_what_the_interval_leaves_out(df: float):
    assert t_two_sided_p(t_quantile(df), df) == pytest.approx(0.05, rel=1e-12)
