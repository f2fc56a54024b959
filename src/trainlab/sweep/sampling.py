"""Sampling of a search space by Optuna's samplers: rounded, and reproducible if the search is interrupted."""

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from trainlab.sweep.space import rounded


class Repeatable(BaseSampler):
    """Sampler whose values are a function of the seed, the trial's number and the results so far.

    It rounds them, so that the study knows the values that are used.

    Args:
        sampler: "tpe" or "random".
        seed: seed of all values.
    """

    def __init__(self, sampler: str, seed: int) -> None:
        self._sampler, self._seed = sampler, seed
        self._of_trial: BaseSampler = RandomSampler(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seed the random numbers of the trial."""
        own = int(np.random.SeedSequence((self._seed, trial.number)).generate_state(1)[0])
        # Running trials of the batch count as bad ones, so that the next one is sampled elsewhere.
        self._of_trial = RandomSampler(own) if self._sampler == "random" else TPESampler(seed=own, constant_liar=True)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Keys that are sampled jointly."""
        return self._of_trial.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the keys that are sampled jointly."""
        drawn = self._of_trial.sample_relative(study, trial, search_space)
        return {key: rounded(search_space[key], value) for key, value in drawn.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Value of a key that is sampled independently."""
        drawn = self._of_trial.sample_independent(study, trial, param_name, param_distribution)
        return rounded(param_distribution, drawn)
