"""Accuracies over seeds and images."""

import math

import numpy as np
import pytest

from trainlab.statistics import over_images, over_seeds_and_images, share_of_images
from trainlab.statistics.intervals import t_quantile


def test_mean_squares_by_hand():
    # seeds have 3/4 and 1/4; images 1, 1/2, 1/2, 0; mean 1/2; sum of squares 8/4 = 2
    # seeds: 4 (1/16 + 1/16) / 1 = 1/2; images: 2 (1/4 + 0 + 0 + 1/4) / 3 = 1/3; rest: (2 - 1/2 - 1) / 3 = 1/6
    correct = [[1, 1, 1, 0], [1, 0, 0, 0]]
    found = over_seeds_and_images(correct)
    combined = 1 / 2 + 1 / 3 - 1 / 6
    df = combined**2 / (1 / 4 / 1 + 1 / 9 / 3 + 1 / 36 / 3)
    assert (found.mean, found.n) == (0.5, 2)
    assert found.sd == pytest.approx(math.sqrt(1 / 8))
    assert found.half_width == pytest.approx(t_quantile(df) * math.sqrt(combined / 8))
    share = share_of_images(correct)
    # 1/6 over 1/2; quantiles of F with 1 and 3 degrees of freedom as printed in tables: 17.44 at 0.975
    assert share.value == pytest.approx(1 / 3)
    assert share.high == 1
    assert share.low == pytest.approx(0.00116 / 3, rel=0.01)


def test_seeds_that_err_on_other_images_alone_differ_by_the_images():
    rng = np.random.default_rng(1)
    right = rng.random(4000)  # of each image, the probability over the seeds
    alone = share_of_images(rng.random((40, 4000)) < right)
    assert alone.high == 1
    assert alone.value == pytest.approx(1, abs=0.3)
    shift = rng.normal(0, 0.05, (40, 1))  # about five times what 4000 images make
    assert share_of_images(rng.random((40, 4000)) < right + shift).high < 0.2


def test_networks_that_agree_on_every_image_differ_in_nothing():
    correct = np.tile([True, False, True, True], (3, 1))
    assert math.isnan(share_of_images(correct).value)
    found = over_seeds_and_images(correct)
    # only the images vary: 0.75 with the error of four of them
    assert (found.mean, found.sd) == (0.75, 0)
    assert found.half_width == pytest.approx(3.182446 * math.sqrt(0.25 / 4), rel=1e-6)


def test_from_accuracies_alone_the_interval_is_at_least_as_wide():
    found = over_images([0.5, 0.5, 0.5], 10_000)
    assert found.half_width == pytest.approx(1.959964 * 0.005, rel=1e-5)
    rng = np.random.default_rng(1)
    correct = rng.random((5, 2000)) < rng.beta(2, 2, 2000)
    assert over_images(correct.mean(axis=1), 2000).half_width > over_seeds_and_images(correct).half_width
    assert over_images([1.0, 1.0], 10).half_width == 0


def test_what_is_no_table_of_seeds_and_images_is_refused():
    with pytest.raises(ValueError, match=r"at least two of both, got shape \(1, 3\)"):
        over_seeds_and_images([[1, 0, 1]])
