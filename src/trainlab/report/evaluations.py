"""The evaluation of a run's checkpoint with MC dropout, from its `eval.json`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainlab.runs.result import Result

BEST = "best.ckpt"
SIDES = ("deterministic", "mc_dropout", "difference")
Estimate = tuple[float, float, float]  # value, and the ends of its interval


@dataclass(frozen=True)
class Comparison:
    """A checkpoint's deterministic predictions compared with MC dropout.

    Attributes:
        samples: number of MC dropout samples.
        sentences: what can be claimed, accuracy first.
        metrics: by name, the estimate of each of ``SIDES`` that has one.
    """

    samples: int
    sentences: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, Estimate]]


def read_comparison(path: Path, result: Result) -> Comparison | None:
    """The comparison in `eval.json`; None if there is no such file, or none in it.

    Args:
        path: of the file, in the folder of a run.
        result: of that run.

    Raises:
        ValueError: the file is damaged, or of other weights or images than those of ``result``.
    """
    try:
        content = json.loads(path.read_bytes())
        about = content.get("mc_dropout")
        if about is None:
            return None
        metrics = {
            str(sides["name"]): {side: _estimate(sides[side]) for side in SIDES if side in sides}
            for sides in content["metrics"].values()
        }
        found = Comparison(int(about["samples"]), tuple(map(str, about["summary"])), metrics)
        mismatch = _mismatch(content, Path(content["checkpoint"]), path.parent, result)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path.name} is damaged ({type(error).__name__}: {error}); run trainlab eval again") from None
    if mismatch:
        raise ValueError(f"{path.name} is of {mismatch}: run trainlab eval again")
    return found


def _mismatch(content: Mapping[str, Any], checkpoint: Path, folder: Path, result: Result) -> str:
    """What was evaluated, if it is not the best checkpoint of the run in ``folder``; otherwise ""."""
    best, digest = result.metrics.get("best_epoch"), result.provenance.get("data_digest")
    if checkpoint.name != BEST:
        return f"{checkpoint.name}, the report shows {BEST}"
    if checkpoint.exists() and checkpoint.resolve().parent.parent != folder.resolve():
        return f"another run's checkpoint, {checkpoint}"
    if content["epoch"] != best:
        return f"epoch {content['epoch'] + 1}, the best is epoch {'unknown' if best is None else best + 1}"
    if content["data_digest"] != digest:
        return f"images with digest {content['data_digest'][:8]}, those of the run have {str(digest)[:8]}"
    return ""


def _estimate(of: Mapping[str, Any]) -> Estimate:
    value, low, high = (float(of[part]) for part in ("value", "low", "high"))
    if not all(map(math.isfinite, (value, low, high))):
        raise ValueError("a figure is not finite")
    return value, low, high
