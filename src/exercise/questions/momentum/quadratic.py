"""SGD with momentum in a bowl of two dimensions, twenty times as steep across as along."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

from exercise.questions.momentum.network import MOMENTA
from exercise.store import Evidence, Measured

NAME = "question_5_bowl"
CURVATURES = (1.0, 20.0)  # along and across
START = (10.0, 3.0)
LR = 0.02
MOST_STEPS, QUICK_STEPS = 20_000, 2_000
NEAR = 0.01  # of the start's distance
STILL = 1e-4  # of it; what is as near and as slow stays near
DRAWN_STEPS = 150
PLACES = 120  # of the curve of distances

Points = Sequence[tuple[float, float]]


def path(momentum: float, most: int) -> list[tuple[float, float]]:
    """Places after 0, 1, ... steps of torch's SGD, up to where it has come to rest, or ``most``."""
    place = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    curvatures = torch.tensor(CURVATURES, dtype=torch.float64)
    optimizer = torch.optim.SGD([place], lr=LR, momentum=momentum)
    points = [START]
    for _ in range(most):
        place.grad = curvatures * place.detach()
        optimizer.step()
        x, y = place.tolist()
        points.append((x, y))
        if max(math.hypot(x, y), math.dist(points[-1], points[-2])) < STILL * math.hypot(*START):
            break
    return points


def summarize(points: Points, momentum: float) -> Measured:
    """Figures of a path.

    Returns:
        `overshoot`: how far beyond the minimum it went, along the bowl, as a share of the start's distance along it.
        `settled`: steps after which it stayed within ``NEAR``; None if it never did. `predicted`: steps to ``NEAR`` by
        the slower of the two modes. `path`: the steps that are drawn. `farthest`: at each of `steps`, how far from the
        minimum it still gets, as a share of the start's distance. `taken`: all steps.
    """
    start, later = math.hypot(*START), farthest_yet(points)
    steps = sorted({round(len(points) ** (i / (PLACES - 1))) - 1 for i in range(PLACES)})
    return {
        "overshoot": max(0.0, *(-x / START[0] for x, _ in points)),
        "settled": next((step for step, distance in enumerate(later) if distance <= NEAR * start), None),
        "predicted": math.log(NEAR) / math.log(factor(momentum)),
        "path": points[: DRAWN_STEPS + 1],
        "steps": steps,
        "farthest": [later[step] / start for step in steps],
        "taken": len(points) - 1,
    }


def farthest_yet(points: Points) -> list[float]:
    """The largest distance to the minimum that a path still has, at each step or after it."""
    distances = [math.hypot(x, y) for x, y in points]
    for step in range(len(distances) - 2, -1, -1):
        distances[step] = max(distances[step], distances[step + 1])
    return distances


def passes(points: Points) -> int:
    """How often it runs past the minimum, along the bowl, by more than ``NEAR`` of the start's distance along it."""
    beyond = [x > 0 for x, _ in points if abs(x) > NEAR * START[0]]
    return sum(a is not b for a, b in pairwise(beyond))


def factor(momentum: float) -> float:
    """By which the slower mode shrinks a step: the larger root of z^2 - (1 + m - lr c) z + m, for either curvature c.

    Polyak (1964). Below a discriminant of zero it oscillates, and the root's size is sqrt(m) whatever the rate is.
    """

    def root(curvature: float) -> float:
        half = (1 + momentum - LR * curvature) / 2
        discriminant = half * half - momentum
        return math.sqrt(momentum) if discriminant < 0 else abs(half) + math.sqrt(discriminant)

    return max(map(root, CURVATURES))


def descend(evidence: Evidence) -> Measured:
    """Paths and their figures by momentum."""
    most = QUICK_STEPS if evidence.setting.quick else MOST_STEPS
    return {f"{momentum:g}": summarize(path(momentum, most), momentum) for momentum in MOMENTA}
