"""Metrics of predicted probabilities, and the comparison of deterministic predictions with MC dropout.

Scores per image are summarized over resampled sets of images: columns of ``counts`` (N, R), how often each image is in
a set. Ones give the metric itself, bootstrap counts its resamples. Everything is float64.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainlab.statistics import mcnemar
from trainlab.statistics.bootstrap import bootstrap_counts, percentile_interval

BINS = 15  # of confidence, equal in width, as in Guo et al., "On Calibration of Modern Neural Networks" (2017)
_SMALLEST = torch.finfo(torch.float32).tiny  # smallest positive normal float32
DETERMINISTIC, MC, DIFFERENCE = "deterministic", "mc_dropout", "difference"
Comparison = dict[str, Any]  # name of a metric; value, low and high for each side


@dataclass(frozen=True)
class Scores:
    """Scores of each image, float64 (N,).

    Attributes:
        correct: 1 if the most probable class is the label, otherwise 0.
        nll: negative log-likelihood of the label, in nats.
        brier: squared distance of the probabilities to the one-hot label, summed over classes, in [0, 2].
        confidence: the largest probability.
        entropy: entropy of the probabilities, in nats.
        mutual_information: mutual information of prediction and dropout mask, in nats; None without samples.
    """

    correct: Tensor
    nll: Tensor
    brier: Tensor
    confidence: Tensor
    entropy: Tensor
    mutual_information: Tensor | None = None


def score_images(probabilities: Tensor, labels: Tensor, expected_entropy: Tensor | None = None) -> Scores:
    """Scores of images from ``probabilities`` (N, K) and, with samples, the mean of their entropies (N,).

    The mutual information is the entropy of the mean of the samples minus the mean of their entropies (Houlsby et al.,
    2011).
    """
    p = probabilities.double()
    of_label = p.gather(1, labels[:, None])[:, 0]
    confidence, prediction = p.max(1)
    entropies = entropy(p)
    disagreement = None if expected_entropy is None else (entropies - expected_entropy.double()).clamp(min=0)
    return Scores(
        (prediction == labels).double(),
        -of_label.clamp(min=_SMALLEST).log(),
        p.square().sum(1) - 2 * of_label + 1,
        confidence,
        entropies,
        disagreement,
    )


def entropy(probabilities: Tensor) -> Tensor:
    """Entropy in nats over the last dimension, where 0 log 0 is 0."""
    return torch.special.entr(probabilities).sum(-1)


def summarize(scores: Scores, counts: Tensor) -> dict[str, Tensor]:
    """Every metric (R,) on the sets ``counts`` (N, R)."""
    means = {
        "accuracy": scores.correct,
        "nll": scores.nll,
        "brier": scores.brier,
        "entropy": scores.entropy,
        **({} if scores.mutual_information is None else {"mutual_information": scores.mutual_information}),
    }
    summed = torch.stack([*means.values()]) @ counts / counts.sum(0)
    return {
        **dict(zip(means, summed, strict=True)),
        "ece": expected_calibration_error(scores.confidence, scores.correct, counts),
        "aurc": area_under_risk_coverage(scores.confidence, scores.correct, counts),
    }


def expected_calibration_error(confidence: Tensor, correct: Tensor, counts: Tensor) -> Tensor:
    """Mean absolute difference (R,) of confidence and accuracy over ``BINS`` bins, weighted by their images."""
    members = torch.nn.functional.one_hot(bin_of(confidence), BINS).double().T
    return (members * (confidence - correct) @ counts).abs().sum(0) / counts.sum(0)


def bin_of(confidence: Tensor) -> Tensor:
    """Bin of each confidence, int64, 0 to ``BINS`` - 1. Bins include their lower edge, the last one also its upper."""
    return (confidence * BINS).long().clamp(max=BINS - 1)


def area_under_risk_coverage(confidence: Tensor, correct: Tensor, counts: Tensor) -> Tensor:
    """Mean (R,), over k from 1 to N, of the error rate on the k images with the highest confidence.

    Geifman et al., "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers" (2019). Images of equal confidence
    are averaged over all orders: between c and d images the errors grow from f at a rate of r per image, so the error
    rates (f + r (k - c)) / k sum to r (d - c) + (f - r c) (H(d) - H(c)), with harmonic numbers H.
    """
    images, errors = _by_confidence(confidence, correct, counts)
    covered, failed = images.cumsum(0), errors.cumsum(0)
    harmonic = torch.cat([torch.zeros(1), (1 / torch.arange(1, int(covered.max()) + 1).double()).cumsum(0)])
    before, rate = covered - images, errors / images.clamp(min=1)
    growth = harmonic[covered.long()] - harmonic[before.long()]
    return (errors + (failed - errors - rate * before) * growth).sum(0) / covered[-1]


def risk_coverage(confidence: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
    """Coverage and risk (G,): the share of images with the highest confidence, and the error rate on them."""
    images, errors = _by_confidence(confidence, correct, torch.ones(len(correct), 1, dtype=torch.float64))
    covered = images[:, 0].cumsum(0)
    return covered / len(correct), errors[:, 0].cumsum(0) / covered


def _by_confidence(confidence: Tensor, correct: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Images and errors (G, R) at each of the G distinct confidences, in descending order."""
    levels, level = (-confidence).unique(return_inverse=True)
    images = counts.new_zeros(len(levels), counts.shape[1])
    return images.index_add(0, level, counts), images.index_add(0, level, counts * (1 - correct)[:, None])


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
