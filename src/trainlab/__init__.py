"""Train image classifiers under controlled comparison.

The public Python API is what this module, `trainlab.models`, `trainlab.data`, `trainlab.tasks`, `trainlab.runs`,
`trainlab.inference`, `trainlab.statistics` and `trainlab.report` name in their ``__all__``. Names are imported when
they are first used, so that ``import trainlab`` takes no time.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainlab.config.compose import compose as compose
    from trainlab.config.compose import expand_sweep as expand_sweep
    from trainlab.config.run_config import RunConfig as RunConfig
    from trainlab.inference import load_data as load_data
    from trainlab.inference import load_network as load_network
    from trainlab.randomness import derive_seed as derive_seed
    from trainlab.randomness import generator as generator
    from trainlab.report import load_runs as load_runs
    from trainlab.run import initial_network as initial_network
    from trainlab.run import train as train
    from trainlab.runs.result import Result as Result
    from trainlab.training.flat_parameters import FlatParameters as FlatParameters
    from trainlab.training.lightning_internals import make_trainer as make_trainer

__version__ = "0.2.0"


def lazy_exports(
    package: str, modules: Mapping[str, str]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """``__all__``, ``__getattr__`` and ``__dir__`` of a package whose names are imported when they are first used.

    Args:
        package: its ``__name__``.
        modules: name -> module that has it.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    return sorted(modules), get, lambda: sorted({*vars(sys.modules[package]), *modules})


__all__, __getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "FlatParameters": "trainlab.training.flat_parameters",
        "Result": "trainlab.runs.result",
        "RunConfig": "trainlab.config.run_config",
        "compose": "trainlab.config.compose",
        "derive_seed": "trainlab.randomness",
        "expand_sweep": "trainlab.config.compose",
        "generator": "trainlab.randomness",
        "initial_network": "trainlab.run",
        "load_data": "trainlab.inference",
        "load_network": "trainlab.inference",
        "load_runs": "trainlab.report",
        "make_trainer": "trainlab.training.lightning_internals",
        "train": "trainlab.run",
    },
)
