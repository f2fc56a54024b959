"""Statistics of the layers during a training, from `layer_statistics.csv`."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainlab.report.curves import Values

LAYER_STATISTICS = ("mean", "std", "dead", "gradient_norm")
WEIGHT_STATISTICS = ("rank", "distinct_units")  # of the weight matrix; in no figure of a report


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """Statistics of each layer by number of epochs trained.

    Attributes:
        names: of the L layers, in order.
        by_epochs: by number of epochs trained, ascending from 0, the values (4, L) of ``LAYER_STATISTICS``.
        weights_by_epochs: the same of ``WEIGHT_STATISTICS`` (2, L), NaN for a layer without a matrix; empty if they
            were not recorded.
    """

    names: tuple[str, ...]
    by_epochs: dict[int, Values]
    weights_by_epochs: dict[int, Values] = field(default_factory=dict)


def read_layer_statistics(path: Path) -> LayerStatistics | None:
    """The statistics of a `layer_statistics.csv`; None if there is no such file.

    Raises:
        ValueError: it is damaged.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        columns = [
            *LAYER_STATISTICS,
            *(WEIGHT_STATISTICS if rows and all(name in rows[0] for name in WEIGHT_STATISTICS) else ()),
        ]
        found: dict[int, dict[str, list[float]]] = {}
        for row in rows:
            found.setdefault(int(row["epochs"]), {})[row["layer"]] = [float(row[column]) for column in columns]
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        raise ValueError(f"{path.name} is damaged") from None
    names = {tuple(layers) for layers in found.values()}
    if len(names) != 1:
        raise ValueError(f"{path.name} is damaged")
    values = {epochs: np.array([*layers.values()]).T for epochs, layers in sorted(found.items())}
    many = len(LAYER_STATISTICS)
    weights = {epochs: of[many:] for epochs, of in values.items() if len(of) > many}
    return LayerStatistics(names.pop(), {epochs: of[:many] for epochs, of in values.items()}, weights)


def mean_over_seeds(runs: Sequence[LayerStatistics]) -> LayerStatistics:
    """The mean of all runs with the layers of the first, at the epochs that all of them have."""
    alike = [run for run in runs if run.names == runs[0].names]
    return LayerStatistics(
        alike[0].names,
        _mean([run.by_epochs for run in alike]),
        _mean([run.weights_by_epochs for run in alike]),
    )


def _mean(runs: Sequence[Mapping[int, Values]]) -> dict[int, Values]:
    shared = [epochs for epochs in runs[0] if all(epochs in run for run in runs)]
    return {epochs: np.mean([run[epochs] for run in runs], axis=0) for epochs in shared}
