"""Softmax compared with logistic outputs: what is trained and counted, and the answer that follows from the figures."""

from pathlib import Path

import pytest
import torch

from exercise.questions.activations import outputs
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts


@pytest.fixture
def single() -> outputs.Examples:
    """Thirty images of three classes, each filled with the number of its class."""
    labels = torch.arange(30) % 3
    images = labels.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).contiguous()
    return outputs.Examples(images, torch.nn.functional.one_hot(labels, 3).float())


def test_pairs_are_of_two_classes_side_by_side(single: outputs.Examples):
    found = outputs.image_pairs(single, 1, "here")
    assert found.images.shape == (30, 3, 4, 8)
    assert found.present.sum(1).tolist() == [2.0] * 30
    for image, present in zip(found.images, found.present, strict=True):
        assert sorted({int(image[0, 0, 0]), int(image[0, 0, 7])}) == present.nonzero().flatten().tolist()
    again, others = outputs.image_pairs(single, 1, "here"), outputs.image_pairs(single, 2, "here")
    assert torch.equal(found.images, again.images)
    assert not torch.equal(found.images, others.images)


def test_both_losses_by_hand():
    logits = torch.tensor([[0.0, 0.0, 0.0]])
    present = torch.tensor([[1.0, 1.0, 0.0]])
    assert outputs.loss(logits, present, "softmax").item() == pytest.approx(torch.tensor(3.0).log().item())
    assert outputs.loss(logits, present, "logistic").item() == pytest.approx(3 * torch.tensor(2.0).log().item())


def test_a_pair_is_learned_by_logistic_outputs_and_cannot_be_by_softmax(single: outputs.Examples):
    pairs = outputs.image_pairs(single, 0, "validation")
    mean, std = torch.full((3, 4, 8), 1.0), torch.full((3, 4, 8), 0.8)
    found = {}
    for head in outputs.HEADS:
        network = outputs.train_network(single, True, head, (mean, std), seed=1, epochs=200)
        found[head] = outputs.probabilities(network, pairs.images, head)
    shares = {head: outputs.of_two_classes(of, pairs.present) for head, of in found.items()}
    assert shares["logistic"]["both"] == shares["logistic"]["exactly"] == 100
    assert shares["softmax"]["both"] == 0
    assert shares["softmax"]["top"] == 100
    assert found["softmax"].sum(1).tolist() == pytest.approx([1.0] * 30)


def test_figures_of_probabilities_by_hand():
    found = torch.tensor([[0.6, 0.7, 0.1], [0.6, 0.7, 0.8], [0.9, 0.2, 0.3]])
    present = torch.tensor([[1.0, 1, 0], [1, 1, 0], [1, 0, 1]])
    two = outputs.of_two_classes(found, present)
    assert two == pytest.approx({"both": 200 / 3, "exactly": 100 / 3, "top": 200 / 3})
    one = outputs.of_one_class(found, torch.tensor([[0.0, 1, 0], [0, 1, 0], [1, 0, 0]]))
    assert one["accuracy"] == pytest.approx(200 / 3)
    assert one["sum"] == pytest.approx((1.4 + 2.1 + 1.4) / 3)
    assert outputs.lesser(found, present).tolist() == pytest.approx([0.6, 0.6, 0.3])


def measured(softmax: tuple[float, ...], logistic: tuple[float, ...], top: tuple[float, ...]) -> tuple[dict, dict]:
    def by_seed(values: tuple[float, ...]) -> dict[str, float]:
        return {str(seed): value for seed, value in enumerate(values, 1)}

    ones, spread = by_seed((1.0,) * 3), by_seed((0.98, 1.0, 1.02))
    low, high = by_seed((0.6, 0.61, 0.62)), by_seed((1.4, 1.41, 1.42))
    histogram = {head: [5, 5] for head in outputs.HEADS}
    one = {
        "accuracy": {"softmax": by_seed(softmax), "logistic": by_seed(logistic)},
        "sum": {"softmax": ones, "logistic": spread},
        "low": {"softmax": ones, "logistic": low},
        "high": {"softmax": ones, "logistic": high},
    }
    zero = by_seed((0.0,) * 3)
    two = {
        "both": {"softmax": zero, "logistic": by_seed((5.0, 5.3, 5.1))},
        "exactly": {"softmax": zero, "logistic": by_seed((4.0, 4.2, 4.1))},
        "top": {"softmax": by_seed((20.0, 20.4, 21.0)), "logistic": by_seed(top)},
    }
    return tuple({"figures": of, "histogram": histogram, "images": 5000} for of in (one, two))  # type: ignore


BETTER, ALIKE, WORSE = (25.0, 25.3, 26.0), (20.1, 20.3, 21.2), (15.0, 15.3, 16.1)


@pytest.mark.parametrize(
    ("softmax", "top", "expected", "said"),
    [
        ((48.0, 48.2, 48.1), BETTER, ["confirmed", "confirmed"], "almost as well"),
        ((44.0, 44.2, 44.0), BETTER, ["contradicted", "confirmed"], "almost as well"),
        ((46.0, 50.2, 48.1), ALIKE, ["undecided", "contradicted"], "just as well"),  # whatever is above one half
        ((52.0, 52.3, 52.1), WORSE, ["confirmed", "contradicted"], "just as well"),
        ((52.0, 52.3, 52.1), (19.0, 21.0, 23.0), ["confirmed", "undecided"], "if at all"),
    ],
)
def test_the_answer(tmp_path: Path, softmax: tuple[float, ...], top: tuple[float, ...], expected: list[str], said: str):
    evidence = Evidence(tmp_path, Setting())
    one, two = measured(softmax, (48.1, 48.0, 48.2), top)
    evidence.keep(outputs.EXCLUSIVE, one)
    with pytest.raises(NotAvailable):
        outputs.answer(evidence)
    evidence.keep(outputs.SEVERAL, two)
    found = outputs.answer(evidence)
    assert verdicts(found) == expected
    text = text_of(outputs.SECTION, found)
    assert said in text
    assert "more than one half for 5.1 % of the pairs" in text
    assert "0.6 to 1.4 for nine in ten images of one class." in text
    assert [cells[2][0] for cells in found.tables[0][1].rows][3:] == ["0.0 ± 0.0", "20.5 ± 1.3"]


def test_without_a_run_there_are_no_images_to_measure_on(tmp_path: Path):
    with pytest.raises(NotAvailable, match="no run was completed"):
        outputs.measure(Evidence(tmp_path, Setting()), paired=False)
