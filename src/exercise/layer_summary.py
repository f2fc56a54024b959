"""Layer statistics of trainings: of the hidden layers, after training, and as one number per seed."""

from collections.abc import Callable

import numpy as np

from trainlab.report import LAYER_STATISTICS, WEIGHT_STATISTICS, Group, LayerStatistics, Values

OUTPUT = "output"  # the layer that is not hidden


def layers_by_seed(group: Group) -> dict[int, LayerStatistics]:
    """By seed, of the completed runs that have layer statistics."""
    return {seed: run.layers for seed, run in sorted(group.runs.items()) if run.layers}


def figure_by_seed(group: Group, figure: Callable[[LayerStatistics], float]) -> dict[int, float]:
    """A figure of each of those."""
    return {seed: float(figure(layers)) for seed, layers in layers_by_seed(group).items()}


def hidden_layers(layers: LayerStatistics, name: str) -> dict[int, Values]:
    """A statistic of each hidden layer, by epochs trained."""
    is_of_weights = name in WEIGHT_STATISTICS
    row = (WEIGHT_STATISTICS if is_of_weights else LAYER_STATISTICS).index(name)
    by_epochs = layers.weights_by_epochs if is_of_weights else layers.by_epochs
    return {epochs: of[row][[name != OUTPUT for name in layers.names]] for epochs, of in sorted(by_epochs.items())}


def at_end(layers: LayerStatistics, name: str) -> Values:
    """The same after the last epoch."""
    return [*hidden_layers(layers, name).values()][-1]


def mean_at_end(group: Group, name: str) -> Values:
    """The mean of that over the seeds."""
    return np.mean([at_end(layers, name) for layers in layers_by_seed(group).values()], axis=0)
