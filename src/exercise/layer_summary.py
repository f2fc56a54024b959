"""Layer statistics of trainings, as one number per seed."""

from collections.abc import Callable, Mapping

from trainlab.report import Group, LayerStatistics, Values
from trainlab.statistics import interval

OUTPUT = "output"  # the layer that is not hidden


def layers_by_seed(group: Group) -> dict[int, LayerStatistics]:
    """By seed, of the completed runs that have layer statistics."""
    return {seed: run.layers for seed, run in sorted(group.runs.items()) if run.layers}


def figure_by_seed(group: Group, figure: Callable[[LayerStatistics], float]) -> dict[int, float]:
    """A figure of each of those."""
    return {seed: figure(layers) for seed, layers in layers_by_seed(group).items()}


def mean_figure(group: Group, figure: Callable[[LayerStatistics], float]) -> float:
    """Their mean."""
    return interval([*figure_by_seed(group, figure).values()]).mean


def hidden_layers(layers: LayerStatistics, by_epochs: Mapping[int, Values], row: int) -> dict[int, Values]:
    """A row of figures of the hidden layers alone, by epochs trained."""
    keep = [name != OUTPUT for name in layers.names]
    return {epochs: values[row][keep] for epochs, values in sorted(by_epochs.items())}


def hidden_at_end(layers: LayerStatistics, by_epochs: Mapping[int, Values], row: int) -> Values:
    """The same after the last epoch."""
    return hidden_layers(layers, by_epochs, row)[max(by_epochs)]
