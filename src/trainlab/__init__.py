"""Train image classifiers under controlled comparison.

The public Python API is what this module, `trainlab.models`, `trainlab.data`, `trainlab.runs`, `trainlab.inference`,
`trainlab.statistics` and `trainlab.report` name in their ``__all__``. Names are imported when they are first used, so
that ``import trainlab`` takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainlab.config.compose import compose
    from trainlab.config.expand import expand_sweep
    from trainlab.config.run_config import RunConfig
    from trainlab.inference import load_data, load_network
    from trainlab.randomness import derive_seed, generator
    from trainlab.report import load_runs
    from trainlab.run import train
    from trainlab.runs.result import Result
    from trainlab.training.flat_parameters import FlatParameters
    from trainlab.training.lightning_internals import make_trainer

__version__ = "0.2.0"
__all__ = [
    "FlatParameters",
    "Result",
    "RunConfig",
    "compose",
    "derive_seed",
    "expand_sweep",
    "generator",
    "load_data",
    "load_network",
    "load_runs",
    "make_trainer",
    "train",
]

_MODULES = {
    "FlatParameters": "trainlab.training.flat_parameters",
    "Result": "trainlab.runs.result",
    "RunConfig": "trainlab.config.run_config",
    "compose": "trainlab.config.compose",
    "derive_seed": "trainlab.randomness",
    "expand_sweep": "trainlab.config.expand",
    "generator": "trainlab.randomness",
    "load_data": "trainlab.inference",
    "load_network": "trainlab.inference",
    "load_runs": "trainlab.report",
    "make_trainer": "trainlab.training.lightning_internals",
    "train": "trainlab.run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'trainlab' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
