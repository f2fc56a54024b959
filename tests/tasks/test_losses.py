"""Losses and scores, against torch's and by hand."""

import math

import pytest
import torch
from torch.nn import functional

from trainlab.tasks import Classification, MultiLabel, Regression
from trainlab.tasks.classification import weighted_losses
from trainlab.training.accumulation import Accumulation

EXACT = {"rtol": 1e-6, "atol": 1e-7}  # sums of float32 in another order
LOGITS = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.randint(0, 5, (3, 8), generator=torch.Generator().manual_seed(1))
MIXED = torch.rand(3, 8, 5, generator=torch.Generator().manual_seed(2)).softmax(-1)
WEIGHTS = [0.5, 2.0, 1.0, 3.0, 0.25]


@pytest.mark.parametrize("targets", [LABELS, MIXED], ids=["labels", "mixed"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_weighted_and_smoothed_loss_is_that_of_torch(targets, smoothing):
    task = Classification(class_weights=WEIGHTS, label_smoothing=smoothing)
    task.prepare(torch.tensor([0]))
    for outputs, own in zip(LOGITS, targets, strict=True):
        settings = {"weight": torch.tensor(WEIGHTS), "label_smoothing": smoothing}
        expected = functional.cross_entropy(outputs, own, **settings)
        torch.testing.assert_close(task.loss(outputs, own), expected, **EXACT)


def test_without_settings_the_loss_is_cross_entropy_to_the_bit():
    for targets in (LABELS[0], MIXED[0]):
        assert torch.equal(Classification().loss(LOGITS[0], targets), functional.cross_entropy(LOGITS[0], targets))


def test_the_focal_loss_by_hand():
    # Of probabilities 3/4 and 1/4: (1/4)^2 log(4/3) and (3/4)^2 log 4, for either class.
    logits = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]])
    task = Classification(focal_gamma=2)
    expected = ((1 / 16) * math.log(4 / 3) + (9 / 16) * math.log(4)) / 2
    assert float(task.loss(logits, torch.tensor([0, 0]))) == pytest.approx(expected, rel=1e-6)
    weighted = weighted_losses(logits, torch.tensor([0, 0]), 0.0, torch.tensor([5.0, 1.0]), 2)
    assert float(weighted) == pytest.approx(expected, rel=1e-6)  # one class alone: its weight cancels


def test_the_gradient_of_a_focal_loss_is_finite_where_the_network_is_certain():
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    Classification(focal_gamma=0.5).loss(logits, torch.tensor([0, 0])).backward()
    assert logits.grad.isfinite().all()


class Certain(Classification):
    """Scores one batch (B, C) by the probability of its right class."""

    def score_images(self, outputs, targets):
        return outputs.softmax(1)[range(len(targets)), targets]


def test_the_score_of_a_users_classification_is_of_one_member_at_a_time():
    task = Certain(label_smoothing=0.2)
    losses, scores = task.loss_of_members([task] * 3, LOGITS)(LOGITS, LABELS)
    alone = [(task.loss(*one), task.score_images(*one).sum()) for one in zip(LOGITS, LABELS, strict=True)]
    for found, expected in zip((losses, scores), zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(found, torch.stack(expected), **EXACT)


def test_balanced_weights_are_inverse_to_the_images_of_a_class():
    class Data:
        more_classes = ""

        def count_classes(self):
            return 4

        def example_targets(self, count):
            return torch.zeros(count, dtype=torch.int64)

    task = Classification(class_weights="balanced")
    task.check(Data())
    task.prepare(torch.tensor([0, 0, 0, 0, 0, 1, 1, 2]))
    # N / (C n_c) of 8 images; a class without images counts as one with one.
    assert task._weights.tolist() == pytest.approx([8 / 20, 8 / 8, 8 / 4, 8 / 4])


@pytest.mark.parametrize("targets", [LABELS, MIXED], ids=["labels", "mixed"])
@pytest.mark.parametrize("settings", [{}, {"class_weights": WEIGHTS}, {"focal_gamma": 2.0, "class_weights": WEIGHTS}])
def test_members_have_the_losses_and_scores_of_solo_runs_each_with_its_smoothing(settings, targets):
    tasks = [Classification(label_smoothing=share, **settings) for share in (0.0, 0.1, 0.5)]
    for task in tasks:
        task.prepare(torch.tensor([0]))
    losses, scores = tasks[0].loss_of_members(tasks, LOGITS)(LOGITS, targets)
    for task, outputs, own, loss, score in zip(tasks, LOGITS, targets, losses, scores, strict=True):
        torch.testing.assert_close(loss, task.loss(outputs, own), **EXACT)
        assert score == task.score_images(outputs, own).sum()


def test_a_mixed_image_counts_as_the_class_of_its_largest_share():
    outputs, mixed = torch.eye(3), torch.tensor([[0.6, 0.4, 0.0], [0.9, 0.1, 0.0], [0.2, 0.2, 0.6]])
    assert Classification().score_images(outputs, mixed).tolist() == [True, False, True]


def test_labels_by_hand():
    # Probabilities 3/4, 1/4 and 3/4, 3/4.
    outputs, targets = torch.tensor([[3.0, 1 / 3], [3.0, 3.0]]).log(), torch.tensor([[1, 0], [1, 0]], dtype=torch.uint8)
    right, wrong = math.log(4 / 3), math.log(4)
    task = MultiLabel()
    task.prepare(targets)
    assert task.evaluation_loss(outputs, targets).tolist() == pytest.approx([right, (right + wrong) / 2], rel=1e-6)
    assert float(task.loss(outputs, targets)) == pytest.approx((3 * right + wrong) / 4, rel=1e-6)
    assert task.score_images(outputs, targets).tolist() == [1.0, 0.5]
    assert task.predictions(outputs).flatten().tolist() == pytest.approx([0.75, 0.25, 0.75, 0.75])
    weighted = MultiLabel(pos_weights=[3, 1])
    weighted.prepare(targets)
    assert float(weighted.loss(outputs, targets)) == pytest.approx((7 * right + wrong) / 4, rel=1e-6)


def test_balanced_weights_of_labels_are_zeros_by_ones():
    task = MultiLabel(pos_weights="balanced")
    task.prepare(torch.tensor([[1, 0], [0, 0], [0, 0], [1, 0], [0, 0]]))
    assert task._weights.tolist() == [3 / 2, 5.0]


def test_labels_are_0_or_1():
    with pytest.raises(ValueError, match=r"labels must be 0 or 1, got 0\.5 to 1; set data\.path"):
        MultiLabel().prepare(torch.tensor([[0.5, 1.0]]))


@pytest.mark.parametrize(
    ("criterion", "loss"), [("mse", (4 + 0 + 0.25 + 9) / 4), ("mae", (1 + 1.75) / 2), ("huber", (0.75 + 1.3125) / 2)]
)
def test_values_by_hand(criterion, loss):
    outputs, targets = torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([[3.0, 2.0], [1.0, 2.0]])
    task = Regression(criterion=criterion)
    assert float(task.loss(outputs, targets)) == pytest.approx(loss)
    # Of any criterion, so that runs can be compared.
    assert task.evaluation_loss(outputs, targets).tolist() == pytest.approx([(4 + 0) / 2, (0.25 + 9) / 2])
    assert task.score_images(outputs, targets).tolist() == [1.0, 1.75]


def test_one_value_is_not_broadcast_over_a_batch():
    outputs, targets = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1.0, 4.0, 3.0])
    assert Regression().evaluation_loss(outputs, targets).tolist() == [0.0, 4.0, 0.0]
    assert [part.shape for part in Regression().metric_inputs(outputs, targets)] == [(3,), (3,)]


@pytest.mark.parametrize("task", [MultiLabel(), Regression(criterion="huber")])
def test_members_of_other_tasks_have_the_losses_of_solo_runs(task):
    targets = (LOGITS.roll(1, 0) > 0).float()
    losses, scores = task.loss_of_members([task] * 3, LOGITS)(LOGITS, targets)
    for outputs, own, loss, score in zip(LOGITS, targets, losses, scores, strict=True):
        torch.testing.assert_close(loss, task.loss(outputs, own), **EXACT)
        torch.testing.assert_close(score, task.score_images(outputs, own).sum(), **EXACT)


def test_targets_below_pictures():
    names = ("a", "b", "c")
    assert Classification().caption(torch.tensor(1), names) == "b"
    assert Classification().caption(torch.tensor([0.2, 0.2, 0.6]), names) == "c"
    assert MultiLabel().caption(torch.tensor([1, 0, 1], dtype=torch.uint8), names) == "a\nc"
    assert Regression().caption(torch.tensor([0.5, 2.0]), names) == "0.5, 2"
    assert Regression().caption(torch.tensor(1.25), names) == "1.25"


@pytest.mark.parametrize("targets", [LABELS, MIXED], ids=["labels", "mixed"])
@pytest.mark.parametrize("settings", [{}, {"class_weights": WEIGHTS, "label_smoothing": 0.1, "focal_gamma": 1.0}])
def test_accumulated_gradients_are_those_of_one_batch(settings, targets):
    task = Classification(**settings)
    task.prepare(torch.tensor([0]))
    sizes = [8, 8, 3]  # the last batch is smaller
    batches = [(x[:size], y[:size]) for x, y, size in zip(LOGITS.double(), targets, sizes, strict=True)]
    outputs, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    expected = torch.autograd.grad(task.loss(outputs.requires_grad_(), labels), outputs)[0]
    accumulation, gradients = Accumulation(24), []
    for _ in range(2):  # the second step starts anew
        gradients = []
        for own, right in batches:
            loss = accumulation.add(task.loss(own.requires_grad_(), right), task.loss_weight(right))
            gradients += torch.autograd.grad(loss, own)
        found = torch.cat(gradients) * accumulation.finish()
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)  # weights are float32
