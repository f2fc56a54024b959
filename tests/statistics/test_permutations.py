"""The sign-flip test, against SciPy and by hand."""

import numpy as np
import pytest
from scipy import stats

from trainlab.statistics import sign_flip


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_against_scipy(n: int):
    changes = np.random.default_rng(n).normal(0.5, 1, n)
    reference = stats.permutation_test((changes,), np.mean, permutation_type="samples", n_resamples=np.inf)
    found = sign_flip(changes)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.smallest == pytest.approx(2.0 ** (1 - n))


def test_by_hand():
    # sums of 1, 2, 3 with signs, but for the sign of all: 6, 4, 2, 0: one of four is as far as 6
    assert sign_flip([1, 2, 3]).p == 1 / 4
    assert sign_flip([3]).p == 1
    assert sign_flip([-1, 2, 3]).p == 2 / 4
    assert sign_flip([0.1, 0.2, -0.3]).p == 1  # the sum of zero is rounded
    assert sign_flip([1.0] * 6).p == sign_flip([1.0] * 6).smallest == 1 / 32


def test_of_many_differences_random_flips_always_the_same():
    changes = np.random.default_rng(0).normal(0.4, 1, 30)
    found = sign_flip(changes)
    assert found == sign_flip(changes)
    assert found.smallest == 1 / 2**15
    assert found.p == pytest.approx(stats.ttest_1samp(changes, 0).pvalue, abs=0.01)
    assert sign_flip(changes + 9).p == found.smallest
