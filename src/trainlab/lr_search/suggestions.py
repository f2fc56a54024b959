"""Rules that choose a learning rate from a curve of loss against learning rate: pure functions."""

from collections.abc import Callable, Sequence

import numpy as np

Floats = Sequence[float]
VALLEY_SHARE = 2 / 3


def log_spaced(low: float, high: float, count: int) -> list[float]:
    """``count`` log-spaced rates from ``low`` to ``high``."""
    if count == 1:
        return [low]
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


def smooth(losses: Floats, beta: float) -> list[float]:
    """Exponential moving average of the losses, with bias correction.

    After n losses the weights sum to 1 - beta**n, and the average is divided by that (Kingma, Ba, 2015, section 3):
    the first value is the first loss, and a constant loss stays constant.
    """
    average, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        average = beta * average + (1 - beta) * loss
        smoothed.append(average / (1 - beta**n))
    return smoothed


def steepest(rates: Floats, losses: Floats) -> float:
    """The rate with the steepest descent of the loss over log(rate), before the minimum of the loss.

    Smith (2017) chooses it by eye. After the minimum, a steep descent only follows a spike.
    """
    end = int(np.argmin(losses)) + 1
    if end == 1:
        return float(rates[0])
    slopes = np.gradient(np.asarray(losses[:end]), np.log(rates[:end]))
    return float(rates[int(slopes.argmin())])


def valley(rates: Floats, losses: Floats) -> float:
    """Two thirds along the longest valley, on a logarithmic axis.

    The valley is the longest decreasing subsequence of the losses. From ESRI's ArcGIS via fastai's ``lr_find``, whose
    documentation describes it like this; its code takes the middle of as many points as the subsequence has, counted
    back from its end.
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
