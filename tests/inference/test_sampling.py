import pytest
import torch

from trainlab.inference.mc_dropout import mc_probabilities, measure_cost, sample
from trainlab.models import MLP, image_network
from trainlab.randomness import generator

IMAGES = torch.randint(256, (30, 1, 2, 2), dtype=torch.uint8, generator=generator(0, "images"))
LABELS = torch.randint(3, (30,), generator=generator(0, "labels"))


def network(**settings) -> MLP:
    return image_network(
        MLP, (1, 2, 2), depth=2, width=8, num_classes=3, dropout=0.4, dropout_kind="standard", **settings
    )


@pytest.mark.parametrize("batch_size", [7, 30])
def test_what_is_kept_of_samples(batch_size: int):
    p = mc_probabilities(network(), IMAGES, 12, seed=3).double()
    batches = zip(IMAGES.split(batch_size), LABELS.split(batch_size), strict=True)
    probabilities, expected_entropy, correct = sample(network(), batches, 12, seed=3)
    torch.testing.assert_close(probabilities, p.mean(0), rtol=0, atol=1e-6)  # float32 sums
    entropies = torch.distributions.Categorical(p).entropy()
    torch.testing.assert_close(expected_entropy, entropies.mean(0), rtol=0, atol=1e-6)
    right = [(p[:s].mean(0).argmax(1) == LABELS).sum().item() for s in range(1, 13)]
    assert correct.tolist() == right


def test_samples_that_do_not_differ_are_an_error():
    dead = network()
    with torch.no_grad():
        dead.module.linear_2.weight.zero_()  # so that dropout has nothing but zeros to drop
    with pytest.raises(ValueError, match="samples of MC dropout must differ"):
        sample(dead, [(IMAGES, LABELS)], 10, seed=0)


def test_cost_of_growing_numbers_of_samples():
    cost = measure_cost(network(), IMAGES, 30, seed=0)
    assert cost["samples"] == [1, 2, 5, 10, 20, 30]
    assert len(cost["ms"]) == 6
    assert min(cost["ms"]) > 0
    assert cost["deterministic_ms"] > 0
    assert measure_cost(network(), IMAGES, 1, seed=0)["samples"] == [1]
