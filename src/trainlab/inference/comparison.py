"""Comparison of deterministic predictions with MC dropout, with intervals and a test."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainlab.inference.metrics import Scores, summarize
from trainlab.statistics import mcnemar
from trainlab.statistics.bootstrap import bootstrap_counts, percentile_interval

DETERMINISTIC, MC, DIFFERENCE = "deterministic", "mc_dropout", "difference"
Comparison = dict[str, Any]  # name of a metric; value, low and high for each side


@dataclass(frozen=True)
class Metric:
    """Display of a metric. ``better`` is the sign of an improvement; 0 if neither direction is one."""

    name: str
    better: int
    percent: bool = False

    def format(self, value: float, sign: str = "") -> str:
        """The value for display."""
        return f"{100 * value:{sign}.2f}" if self.percent else f"{value:{sign}.4f}"


METRICS = {
    "accuracy": Metric("accuracy", +1, percent=True),
    "nll": Metric("negative log-likelihood", -1),
    "brier": Metric("Brier score", -1),
    "ece": Metric("expected calibration error", -1, percent=True),
    "aurc": Metric("area under the risk-coverage curve", -1),
    "entropy": Metric("predictive entropy", 0),
    "mutual_information": Metric("mutual information", 0),
}


def compare(deterministic: Scores, mc: Scores | None, seed: int) -> dict[str, Comparison]:
    """Each metric of both sides and their difference, with bootstrap intervals over the images.

    Both sides use the same resamples, so the intervals of the differences are paired.
    """
    num_images = len(deterministic.correct)
    values = _sides(deterministic, mc, torch.ones(num_images, 1, dtype=torch.float64))
    spread = [_sides(deterministic, mc, counts) for counts in bootstrap_counts(num_images, seed)]
    compared: dict[str, Comparison] = {}
    for key in (key for key in METRICS if any(metric == key for metric, _ in values)):
        compared[key] = {"name": METRICS[key].name}
        for side in (s for s in (DETERMINISTIC, MC, DIFFERENCE) if (key, s) in values):
            low, high = percentile_interval(torch.cat([part[key, side] for part in spread]))
            compared[key][side] = {"value": values[key, side].item(), "low": low, "high": high}
    return compared


def _sides(deterministic: Scores, mc: Scores | None, counts: Tensor) -> dict[tuple[str, str], Tensor]:
    """Metrics (R,) of the resamples ``counts`` (N, R), by name and side."""
    one = summarize(deterministic, counts)
    other = summarize(mc, counts) if mc else {}
    return {
        **{(key, DETERMINISTIC): value for key, value in one.items()},
        **{(key, MC): value for key, value in other.items()},
        **{(key, DIFFERENCE): other[key] - one[key] for key in one if key in other},
    }


def mcnemar_test(deterministic: Scores, mc: Scores) -> dict[str, Any]:
    """Images that only one side classifies correctly, and the p-value of McNemar's exact test."""
    gained = int((mc.correct > deterministic.correct).sum())
    lost = int((mc.correct < deterministic.correct).sum())
    return {"gained": gained, "lost": lost, "p": mcnemar(lost, gained)}


def describe(compared: dict[str, Comparison], test: dict[str, Any]) -> list[str]:
    """One sentence per difference, and one for McNemar's test."""
    sentences = []
    for key, sides in compared.items():
        if DIFFERENCE in sides:
            metric, of = METRICS[key], sides[DIFFERENCE]
            change, low, high = (metric.format(of[part], "+") for part in ("value", "low", "high"))
            points = " points" if metric.percent else ""
            sentences.append(
                f"MC dropout changes {metric.name} by {change}{points}, 95 % interval {low} to {high}: "
                f"{_claim(metric, of, test['p'] if key == 'accuracy' else 0.0)}"
            )
    sentences.insert(
        1,
        f"With MC dropout {test['gained']} images become correct and {test['lost']} wrong: "
        f"p = {test['p']:.2g} in McNemar's exact test",
    )
    return sentences


def _claim(metric: Metric, change: dict[str, float], p: float) -> str:
    if change["low"] <= 0 <= change["high"] or p >= 0.05:
        return "no significant difference"
    if metric.better == 0:
        return "predictions are less certain" if change["value"] > 0 else "predictions are more certain"
    return "it is better" if change["value"] * metric.better > 0 else "it is worse"
