"""Intervals, tests and effect sizes over few values, as a sweep over seeds gives them; for report and applications.

The bootstrap over images, `trainlab.statistics.bootstrap`, needs torch and is imported from there.
"""

from trainlab.statistics.effect_sizes import Ratio, ratio
from trainlab.statistics.intervals import LEVEL, Interval, interval
from trainlab.statistics.tests import ALPHA, NO_SPREAD, Difference, difference, holm, mcnemar, paired, welch

__all__ = [
    "ALPHA",
    "LEVEL",
    "NO_SPREAD",
    "Difference",
    "Interval",
    "Ratio",
    "difference",
    "holm",
    "interval",
    "mcnemar",
    "paired",
    "ratio",
    "welch",
]
