"""What an evaluation found of MC dropout on a run's checkpoint, as its `eval.json` says."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIDES = ("deterministic", "mc_dropout", "difference")
Figure = tuple[float, float, float]  # value, and the ends of its interval


@dataclass(frozen=True)
class Comparison:
    """A checkpoint with its dropout off and left on.

    Attributes:
        samples: of MC dropout.
        sentences: what can be claimed, accuracy first.
        metrics: by name, the figures of each of ``SIDES`` that has one.
    """

    samples: int
    sentences: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, Figure]]


def read_comparison(path: Path) -> Comparison | None:
    """The comparison in `eval.json`; None where there is no such file, or none in it.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        content = json.loads(path.read_bytes())
        about = content.get("mc_dropout")
        if about is None:
            return None
        metrics = {
            str(sides["name"]): {side: _figure(sides[side]) for side in SIDES if side in sides}
            for sides in content["metrics"].values()
        }
        return Comparison(int(about["samples"]), tuple(map(str, about["in_words"])), metrics)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path.name} is damaged ({type(error).__name__}: {error}); evaluate once more") from None


def _figure(of: Mapping[str, Any]) -> Figure:
    value, low, high = (float(of[part]) for part in ("value", "low", "high"))
    if not all(map(math.isfinite, (value, low, high))):
        raise ValueError("a figure is not finite")
    return value, low, high
