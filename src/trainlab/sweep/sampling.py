"""Samplers of a hyperparameter search. Needs Optuna, so only searches import it."""

from typing import Any

import numpy as np
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from trainlab.sweep.space import rounded


def sampler_of(kind: str, seed: int, number: int) -> BaseSampler:
    """That of one trial, which has a seed of its own: a search that is resumed draws the same.

    Args:
        kind: "tpe" or "random".
        seed: of the search.
        number: of the trial.
    """
    own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    # Running trials of the batch count as bad ones, so that the next one is sampled elsewhere.
    return _Random(own) if kind == "random" else _Tpe(seed=own, constant_liar=True)


class _Rounding(BaseSampler):
    """Rounds what a sampler draws, so that the study knows the values that are used."""

    def sample_relative(self, study: Any, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        drawn = super().sample_relative(study, trial, search_space)  # type: ignore[safe-super]  # a mixin of samplers
        return {key: rounded(search_space[key], value) for key, value in drawn.items()}

    def sample_independent(self, study: Any, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        drawn = super().sample_independent(study, trial, param_name, param_distribution)  # type: ignore[safe-super]  # a mixin of samplers
        return rounded(param_distribution, drawn)


class _Tpe(_Rounding, TPESampler):
    pass


class _Random(_Rounding, RandomSampler):
    pass
