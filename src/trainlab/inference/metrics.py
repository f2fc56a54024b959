"""How good and how honest probabilities are: figures of images, and of sets in which an image counts so many times.

Sets are columns of ``counts`` (N, R): all images once gives the metric itself, resampled images its spread. Everything
is float64.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 15  # of confidence, equal in width, as in Guo et al., "On Calibration of Modern Neural Networks" (2017)
_SMALLEST = torch.finfo(torch.float32).tiny  # probabilities of float32 are no smaller, or 0


@dataclass(frozen=True)
class Scores:
    """Figures of each image, float64 (N,).

    Attributes:
        right: 1 where the most probable class is the label, otherwise 0.
        nll: minus the logarithm of the label's probability, in nats.
        brier: sum over the classes of the squared distance to the label's 1 and the others' 0, in [0, 2].
        confidence: the largest probability.
        entropy: of the probabilities, in nats.
        mutual_information: of the prediction and the mask, in nats: how far the samples disagree; None for one network.
    """

    right: Tensor
    nll: Tensor
    brier: Tensor
    confidence: Tensor
    entropy: Tensor
    mutual_information: Tensor | None = None


def score_images(probabilities: Tensor, labels: Tensor, expected_entropy: Tensor | None = None) -> Scores:
    """Figures of each image from its ``probabilities`` (N, K), and from the mean ``expected_entropy`` (N,) of samples.

    Mutual information is the entropy of the mean of samples less the mean of their entropies (Houlsby et al., 2011).
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
    """Every metric (R,) of the sets ``counts`` (N, R)."""
    means = {
        "accuracy": scores.right,
        "nll": scores.nll,
        "brier": scores.brier,
        "entropy": scores.entropy,
        **({} if scores.mutual_information is None else {"mutual_information": scores.mutual_information}),
    }
    summed = torch.stack([*means.values()]) @ counts / counts.sum(0)
    return {
        **dict(zip(means, summed, strict=True)),
        "ece": expected_calibration_error(scores.confidence, scores.right, counts),
        "aurc": area_under_risk_coverage(scores.confidence, scores.right, counts),
    }


def expected_calibration_error(confidence: Tensor, right: Tensor, counts: Tensor) -> Tensor:
    """Distance (R,) of confidence and accuracy within ``BINS`` bins of confidence, weighted by their images."""
    members = torch.nn.functional.one_hot(bin_of(confidence), BINS).double().T
    return (members * (confidence - right) @ counts).abs().sum(0) / counts.sum(0)


def bin_of(confidence: Tensor) -> Tensor:
    """The bin of each confidence, int64, 0 to ``BINS`` - 1; a bin has its lower edge, the last one both."""
    return (confidence * BINS).long().clamp(max=BINS - 1)


def area_under_risk_coverage(confidence: Tensor, right: Tensor, counts: Tensor) -> Tensor:
    """Mean (R,), over k from 1 to N, of the share of errors among the k images of largest confidence.

    Geifman et al., "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers" (2019). Images of equal confidence
    count as their mean over all orders. From c to d images the errors grow from f by a rate r an image, so that the
    shares (f + r (k - c)) / k sum up to r (d - c) + (f - r c) (H(d) - H(c)) with the harmonic numbers H.
    """
    images, errors = _by_confidence(confidence, right, counts)
    covered, failed = images.cumsum(0), errors.cumsum(0)
    harmonic = torch.cat([torch.zeros(1), (1 / torch.arange(1, int(covered.max()) + 1).double()).cumsum(0)])
    before, rate = covered - images, errors / images.clamp(min=1)
    growth = harmonic[covered.long()] - harmonic[before.long()]
    return (errors + (failed - errors - rate * before) * growth).sum(0) / covered[-1]


def risk_coverage(confidence: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Points (G,) of the curve: shares of images, those of largest confidence first, and of errors among them."""
    images, errors = _by_confidence(confidence, right, torch.ones(len(right), 1, dtype=torch.float64))
    covered = images[:, 0].cumsum(0)
    return covered / len(right), errors[:, 0].cumsum(0) / covered


def _by_confidence(confidence: Tensor, right: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Images and errors (G, R) at each of the G different confidences, the largest first."""
    levels, level = (-confidence).unique(return_inverse=True)
    images = counts.new_zeros(len(levels), counts.shape[1])
    return images.index_add(0, level, counts), images.index_add(0, level, counts * (1 - right)[:, None])
