"""Draws from a space, by Optuna's samplers: rounded, and the same again however often the search was cut short."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from trainlab.sweep.space import Choice, Dimension, Interval


def distribution(dimension: Dimension) -> BaseDistribution:
    """A dimension in Optuna's words."""
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if isinstance(dimension, Interval):
        if dimension.whole:
            return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
        return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), step=int(dimension.step))
    return FloatDistribution(dimension.low, dimension.high, step=dimension.step)


class Repeatable(BaseSampler):
    """What it draws for a trial follows from the seed, the trial's number and what has been told before.

    Args:
        sampler: tpe or random.
        seed: of all draws.
        dimensions: by key; they round what is drawn, so that the study knows the values that are used.
    """

    def __init__(self, sampler: str, seed: int, dimensions: Mapping[str, Dimension]) -> None:
        self._sampler, self._seed, self._dimensions = sampler, seed, dimensions
        self._of_trial: BaseSampler = RandomSampler(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Start the trial's own sequence of random numbers."""
        own = int(np.random.SeedSequence((self._seed, trial.number)).generate_state(1)[0])
        # Trials of a batch that run yet count as bad ones, so that the next is drawn elsewhere.
        self._of_trial = RandomSampler(own) if self._sampler == "random" else TPESampler(seed=own, constant_liar=True)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Keys that are drawn together."""
        return self._of_trial.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Their values."""
        drawn = self._of_trial.sample_relative(study, trial, search_space)
        return {key: self._dimensions[key].rounded(value) for key, value in drawn.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of a key that is drawn by itself."""
        drawn = self._of_trial.sample_independent(study, trial, param_name, param_distribution)
        return self._dimensions[param_name].rounded(drawn)
