"""What a curve of loss against learning rate suggests: pure functions of the rates and the losses measured at them."""

import math
from collections.abc import Callable, Sequence

import numpy as np

Floats = Sequence[float]
VALLEY_SHARE = 2 / 3


def log_spaced(low: float, high: float, count: int) -> list[float]:
    """``count`` rates from ``low`` to ``high``, each the same multiple of the one before."""
    if count == 1:
        return [low]
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


def geometric_mean(values: Floats) -> float:
    """The mean on a logarithmic axis."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def smooth(losses: Floats, beta: float) -> list[float]:
    """Exponential averages of the losses up to each.

    After n losses the weights sum to 1 - beta**n, and the average is divided by that (Kingma, Ba, 2015, section 3); so
    the first is the first loss itself, and equal losses stay what they are.
    """
    average, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        average = beta * average + (1 - beta) * loss
        smoothed.append(average / (1 - beta**n))
    return smoothed


def steepest(rates: Floats, losses: Floats) -> float:
    """The rate at which the loss falls fastest by the logarithm of the rate, up to where it is lowest.

    What Smith (2017) looks for by eye; beyond its lowest point a loss falls where it blew up before.
    """
    end = int(np.argmin(losses)) + 1
    if end == 1:
        return float(rates[0])
    slopes = np.gradient(np.asarray(losses[:end]), np.log(rates[:end]))
    return float(rates[int(slopes.argmin())])


def valley(rates: Floats, losses: Floats) -> float:
    """Two thirds along the longest valley, on a logarithmic axis.

    The valley is the longest falling subsequence of the losses. From ESRI's ArcGIS by way of fastai's ``lr_find``,
    which describes it so; its code comes out in the middle of as many points as that subsequence has, up to its end.
    """
    length, before = [1] * len(losses), [-1] * len(losses)
    for i, loss in enumerate(losses):
        for j in range(i):
            if loss < losses[j] and length[j] + 1 > length[i]:
                length[i], before[i] = length[j] + 1, j
    end = start = int(np.argmax(length))
    while before[start] >= 0:
        start = before[start]
    return float(rates[start] * (rates[end] / rates[start]) ** VALLEY_SHARE)


def tenth_of_minimum(rates: Floats, losses: Floats) -> float:
    """A tenth of the rate with the lowest loss."""
    return float(rates[int(np.argmin(losses))]) / 10


RULES: dict[str, Callable[[Floats, Floats], float]] = {
    "steepest": steepest,
    "valley": valley,
    "tenth_of_minimum": tenth_of_minimum,
}
