"""Intervals, tests and effect sizes over few values, as a sweep over seeds gives them; for report and applications.

The bootstrap over images, `trainlab.statistics.bootstrap`, needs torch and is imported from there.
"""

from trainlab.statistics.anytime import Sequential, sequential
from trainlab.statistics.contrasts import Contrast, judge
from trainlab.statistics.effect_sizes import EffectSize, Ratio, effect_size, ratio
from trainlab.statistics.images import Share, over_images, over_seeds_and_images, share_of_images
from trainlab.statistics.intervals import LEVEL, Interval, interval, share_interval
from trainlab.statistics.permutations import SignFlip, sign_flip
from trainlab.statistics.power import POWER, detectable_difference, power_of, seeds_needed
from trainlab.statistics.simultaneous import bonferroni_intervals, holm_intervals
from trainlab.statistics.tests import (
    ALPHA,
    NO_SPREAD,
    NOT_FINITE,
    Difference,
    difference,
    equivalence_p,
    holm,
    mcnemar,
    paired,
    welch,
)

__all__ = [
    "ALPHA",
    "LEVEL",
    "NOT_FINITE",
    "NO_SPREAD",
    "POWER",
    "Contrast",
    "Difference",
    "EffectSize",
    "Interval",
    "Ratio",
    "Sequential",
    "Share",
    "SignFlip",
    "bonferroni_intervals",
    "detectable_difference",
    "difference",
    "effect_size",
    "equivalence_p",
    "holm",
    "holm_intervals",
    "interval",
    "judge",
    "mcnemar",
    "over_images",
    "over_seeds_and_images",
    "paired",
    "power_of",
    "ratio",
    "seeds_needed",
    "sequential",
    "share_interval",
    "share_of_images",
    "sign_flip",
    "welch",
]
