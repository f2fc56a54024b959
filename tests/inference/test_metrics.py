import itertools
import math

import pytest
import torch
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from trainlab.inference.metrics import (
    BINS,
    area_under_risk_coverage,
    bin_of,
    expected_calibration_error,
    risk_coverage,
    score_images,
    summarize,
)
from trainlab.randomness import generator

N, K = 500, 7
ONCE = torch.ones(N, 1, dtype=torch.float64)


@pytest.fixture
def predictions() -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (N, K), sharper than their labels deserve."""
    draws = generator(0, "predictions")
    logits = 3 * torch.randn(N, K, generator=draws, dtype=torch.float64)
    labels = (logits / 3).softmax(1).multinomial(1, generator=draws)[:, 0]
    return logits.softmax(1), labels


def test_against_torchmetrics_and_torch(predictions):
    p, labels = predictions
    found = {key: value.item() for key, value in summarize(score_images(p, labels), ONCE).items()}
    assert found["accuracy"] == pytest.approx(multiclass_accuracy(p, labels, K, average="micro").item(), rel=1e-6)
    # torchmetrics counts in float32.
    assert found["ece"] == pytest.approx(multiclass_calibration_error(p, labels, K, n_bins=15).item(), rel=1e-5)
    assert found["nll"] == pytest.approx(torch.nn.functional.nll_loss(p.log(), labels).item(), rel=1e-12)
    assert found["entropy"] == pytest.approx(torch.distributions.Categorical(p).entropy().mean().item(), rel=1e-12)
    one_hot = torch.nn.functional.one_hot(labels, K)
    assert found["brier"] == pytest.approx((p - one_hot).square().sum(1).mean().item(), rel=1e-12)
    assert "mutual_information" not in found


def test_by_hand():
    p = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    scores = score_images(p, torch.tensor([1, 0]))
    assert scores.correct.tolist() == [0, 1]
    assert scores.nll.tolist() == pytest.approx([math.log(4), 0])
    assert scores.brier.tolist() == pytest.approx([0.25 + 0.5625 + 0.0625, 0])
    assert scores.confidence.tolist() == [0.5, 1]
    assert scores.entropy.tolist() == pytest.approx([1.5 * math.log(2), 0])


def test_a_label_without_any_probability_costs_much_but_not_infinitely_much():
    (nll,) = score_images(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).nll.tolist()
    assert nll == pytest.approx(126 * math.log(2))  # the smallest float32 with all its digits is 2^-126


def test_mutual_information_by_hand():
    # Two samples that are sure of different classes, two that agree, and one of each half way.
    samples = torch.tensor([[[1.0, 0], [0.5, 0.5], [1, 0]], [[0.0, 1], [0.5, 0.5], [0.5, 0.5]]], dtype=torch.float64)
    expected_entropy = torch.special.entr(samples).sum(2).mean(0)
    found = score_images(samples.mean(0), torch.zeros(3, dtype=torch.int64), expected_entropy).mutual_information
    half_way = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) - 0.5 * math.log(2)
    assert found is not None
    assert found.tolist() == pytest.approx([math.log(2), 0, half_way])


def test_calibration_by_hand():
    # Bins of 1/15: two images at 0.95 of which one is right, one at 0.5 that is right, one at 1.0 that is wrong.
    confidence = torch.tensor([0.95, 0.95, 0.5, 1.0], dtype=torch.float64)
    right = torch.tensor([1, 0, 1, 0], dtype=torch.float64)
    assert bin_of(confidence).tolist() == [14, 14, 7, BINS - 1]
    (error,) = expected_calibration_error(confidence, right, torch.ones(4, 1, dtype=torch.float64)).tolist()
    # In the last bin, 2.9 are claimed of three and one is right; in the other 0.5 and one.
    assert error == pytest.approx((abs(2.9 - 1) + abs(0.5 - 1)) / 4)


def test_risk_and_coverage_by_hand():
    confidence = torch.tensor([0.6, 0.9, 0.8, 0.7], dtype=torch.float64)
    right = torch.tensor([0, 1, 0, 1], dtype=torch.float64)
    coverage, risk = risk_coverage(confidence, right)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    (area,) = area_under_risk_coverage(confidence, right, torch.ones(4, 1, dtype=torch.float64)).tolist()
    assert area == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)


def test_images_of_equal_confidence_count_as_the_mean_over_all_their_orders():
    confidence = torch.tensor([0.9, 0.5, 0.5, 0.5, 0.5, 0.1], dtype=torch.float64)
    wrong = [0, 1, 1, 0, 1, 0]
    areas = []
    for order in itertools.permutations(range(1, 5)):
        errors = list(itertools.accumulate(wrong[i] for i in (0, *order, 5)))
        areas.append(sum(e / k for k, e in enumerate(errors, 1)) / 6)
    right = 1 - torch.tensor(wrong, dtype=torch.float64)
    (area,) = area_under_risk_coverage(confidence, right, torch.ones(6, 1, dtype=torch.float64)).tolist()
    assert area == pytest.approx(sum(areas) / len(areas))


def test_an_image_that_counts_three_times_is_three_images(predictions):
    p, labels = predictions
    p[3], labels[3] = p[2], labels[2]  # equal confidence
    disagreement = torch.rand(N, generator=generator(0, "disagreement"), dtype=torch.float64) / 10
    counts = torch.randint(4, (N, 3), generator=generator(0, "counts"))
    weighted = summarize(score_images(p, labels, disagreement), counts.double())
    for column in range(3):
        rows = torch.arange(N).repeat_interleave(counts[:, column])
        scores = score_images(p[rows], labels[rows], disagreement[rows])
        repeated = summarize(scores, torch.ones(len(rows), 1, dtype=torch.float64))
        assert weighted.keys() == repeated.keys()
        for key, value in repeated.items():
            assert weighted[key][column].item() == pytest.approx(value.item(), rel=1e-9), key
