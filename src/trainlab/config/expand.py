"""The runs that a sweep over overrides consists of."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Glob
from omegaconf import OmegaConf

from trainlab.config.overrides import WrongArguments, check_given_once, combinations, parse_overrides, quoted
from trainlab.config.resolvers import resolvers_registered


def expand_sweep(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each run of a sweep: all combinations of the values that they give.

    Combinations that are the same run, such as ``optim.lr=1e-4,0.0001``, are one. A run of the sweep is
    ``trainlab.train(trainlab.compose(run))``; ``trainlab train -m`` runs all of them, several at a time.

    Args:
        overrides: as on the command line after ``-m``; of intervals and ``glob()`` the values are not known.

    Raises:
        ValueError: an override cannot be read or is given twice, or its values are not known.
    """
    check_given_once(overrides)
    parsed = parse_overrides([*map(quoted, overrides)])
    for override in parsed:
        if override.is_interval_sweep() or isinstance(override.value(), Glob):
            raise WrongArguments(f"the values of {override.input_line} are not known; give them one by one")
    runs: dict[tuple[str, ...], list[str]] = {}
    with resolvers_registered():
        for run in combinations(parsed):
            runs.setdefault(_resolved(run), run)
    return list(runs.values())


def _resolved(run: Sequence[str]) -> tuple[str, ...]:
    """The values of a run, which may refer to each other by their keys; equal numbers are equal text."""
    values = dict(override.lstrip("+~").partition("=")[::2] for override in run)
    cfg = OmegaConf.from_dotlist([f"{key}={value}" for key, value in values.items() if "." in key])
    found = [OmegaConf.select(cfg, key) if "${" in value else value for key, value in values.items()]
    return tuple(_text(value) for value in found)


def _text(value: Any) -> str:
    try:
        return str(float(value))
    except (TypeError, ValueError):
        return str(value)
