"""Methods of question 6 on small networks: what they must do whatever the data."""

import pytest
import torch
from torch import nn

from exercise.questions.sparsity import methods
from exercise.questions.sparsity.methods import Plan, fine_tune, linear_layers
from trainlab.data.shapes import Shapes
from trainlab.models import MLP, image_network

PLAN = Plan(epochs=3, batches=100, lr=1e-2)
LONG = Plan(epochs=10, batches=100, lr=3e-2)


def network_of(**settings) -> MLP:
    return image_network(MLP, (3, 32, 32), 1, **({"depth": 2, "width": 8, "batch_norm": True} | settings)).eval()


@pytest.fixture(scope="module")
def data() -> Shapes:
    return Shapes(num_train=160, num_test=20, val_size=32, batch_size=32, seed=1)


def zeros(network: nn.Module) -> int:
    return sum(int((layer.weight == 0).sum()) for layer in linear_layers(network).values())


def count(network: nn.Module) -> int:
    return sum(layer.weight.numel() for layer in linear_layers(network).values())


def states_equal(first: nn.Module, second: nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_fine_tuning_repeats_itself_leaves_its_start_alone_and_draws_nothing(data: Shapes):
    network, before = network_of(), network_of()
    generator = torch.get_rng_state()
    first, second = fine_tune(network, data, PLAN), fine_tune(network, data, PLAN)
    assert states_equal(first, second) and not states_equal(first, network)
    assert states_equal(network, before)
    assert torch.equal(torch.get_rng_state(), generator)
    assert not first.training
    parameter = next(first.parameters())
    assert parameter.untyped_storage().nbytes() == parameter.numel() * 4  # its own, not a view of all parameters


def test_fine_tuning_is_adam_with_a_rate_that_falls_to_zero(data: Shapes):
    network, plan = network_of(batch_norm=False), Plan(2, 3, 1e-3)
    tuned = fine_tune(network, data, plan)
    optimizer, step = torch.optim.Adam(network.parameters(), lr=plan.lr), 0
    for epoch in range(2):
        batches = data.train_dataloader()
        batches.set_epoch(epoch)
        for images, labels in [*batches][:3]:  # of 4
            optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / 6)
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
            step += 1
    for ours, theirs in zip(tuned.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)  # elementwise, but vectorized otherwise


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98, 1.0])
def test_the_share_of_zeros_is_exact_before_and_after_fine_tuning(data: Shapes, share: float):
    network = network_of()
    pruned = methods.prune(network, share)
    tuned = methods.prune_and_tune(network, share, data, PLAN)
    assert zeros(pruned) == zeros(tuned) == round(share * count(network))
    for name, layer in linear_layers(pruned).items():
        assert torch.equal(layer.weight == 0, linear_layers(tuned)[name].weight == 0)
    assert zeros(network) == 0


def test_the_smallest_weights_go_in_units_of_their_layer():
    network = nn.Sequential(nn.Linear(2, 1), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[0.01, -0.04]]))  # small, but that is the layer's way
        network[1].weight.copy_(torch.tensor([[3.0, -1.0]]))
    pruned = methods.prune(network, 0.5)
    assert pruned[0].weight.tolist() == [[0.0, pytest.approx(-0.04)]]
    assert pruned[1].weight.tolist() == [[3.0, 0.0]]


def test_more_l1_gives_more_zeros_among_weights_alone(data: Shapes):
    network = network_of()
    none, some, more = (methods.tune_with_l1(network, strength, data, PLAN) for strength in (0.0, 0.3, 3.0))
    assert states_equal(none, fine_tune(network, data, PLAN))
    assert zeros(none) == 0
    assert 0 < zeros(some) < zeros(more)
    assert all((layer.weight != 0).all() for layer in more.modules() if isinstance(layer, nn.BatchNorm1d))


def test_the_schedule_of_gradual_pruning_is_cubic_and_ends_before_the_training():
    assert methods.gone(0.9, 0.0) == 0 and methods.gone(0.9, methods.GROWTH) == methods.gone(0.9, 1.0) == 0.9
    assert methods.gone(0.8, methods.GROWTH / 2) == pytest.approx(0.8 * 7 / 8)  # half of the time: 1 - 1/8 of it


@pytest.mark.parametrize("share", [0.5, 0.98])
def test_gradual_pruning_ends_at_the_share_and_zeros_stay(data: Shapes, share: float, monkeypatch: pytest.MonkeyPatch):
    network, counts = network_of(), list[int]()
    apply = methods.apply_masks
    monkeypatch.setattr(methods, "apply_masks", lambda of, kept: (apply(of, kept), counts.append(zeros(of)))[0])
    pruned = methods.prune_gradually(network, share, data, PLAN)
    assert zeros(pruned) == round(share * count(network))
    assert counts == sorted(counts) and counts[0] < counts[-1]
    assert states_equal(pruned, methods.prune_gradually(network, share, data, PLAN))


def test_factors_of_full_rank_are_the_layer_and_of_less_its_best_approximation():
    layer = nn.Linear(6, 4)
    inputs = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    # a decomposition in float32 is good to some 1e-6
    torch.testing.assert_close(methods.factors(layer, 4)(inputs), layer(inputs), rtol=0, atol=1e-5)
    first, second = methods.factors(layer, 2)
    error = torch.linalg.matrix_norm(second.weight @ first.weight - layer.weight)
    sizes = torch.linalg.svdvals(layer.weight.detach())
    torch.testing.assert_close(error, sizes[2:].square().sum().sqrt(), rtol=1e-4, atol=0)  # Eckart and Young


def test_factors_come_where_they_have_fewer_weights(data: Shapes):
    network = network_of(width=8)  # 3072 x 8, 8 x 8, 8 x 10
    small = fine_tune(methods.factorize(network, 4), data, PLAN)
    weights = {name: layer.weight.numel() for name, layer in linear_layers(small).items()}
    # 4 (8 + 8) is not less than 8 x 8, 4 (8 + 10) is less than 8 x 10
    assert weights == {
        **{"module.linear_1.0": 4 * 3072, "module.linear_1.1": 32, "module.linear_2": 64},
        **{"module.output.0": 32, "module.output.1": 40},
    }
    assert zeros(small) == 0


def test_relu_puts_out_some_zeros_and_the_penalty_more(data: Shapes):
    network = network_of()
    images, _ = next(iter(data.val_dataloader()))
    relu, sparse = (methods.sparsely_active(network, strength, data, LONG) for strength in (0.0, 10.0))
    assert methods.share_of_zeros(network, images) == 0  # of ELU
    assert 0 < methods.share_of_zeros(relu, images) < methods.share_of_zeros(sparse, images)
    assert zeros(sparse) == 0


def test_int8_is_within_half_a_step_of_each_row():
    network = network_of()
    small = methods.quantize(network)
    for name, layer in linear_layers(network).items():
        scales = (layer.weight.detach().abs().amax(1, keepdim=True) / 127).bfloat16().float()
        steps = linear_layers(small)[name].weight.detach() / scales
        torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-4)  # a product and a division in float32
        assert (steps.abs().amax(1).round() == 127).all()
        # a scale is off by up to 1 / 512, which moves the largest weights, 127 steps, by a quarter of a step
        assert ((linear_layers(small)[name].weight - layer.weight).abs() <= 0.75 * scales).all()
    assert states_equal(methods.quantize(small), small)


def test_a_row_of_zeros_stays_one():
    network = nn.Sequential(nn.Linear(3, 2))
    nn.init.zeros_(network[0].weight)
    assert not methods.quantize(network)[0].weight.any()


def test_the_distillation_loss_is_hintons():
    logits, soft = torch.tensor([[1.0, 2.0, -1.0]]), torch.tensor([[0.0, 3.0, 1.0]])
    labels = torch.tensor([1])
    p, q = (soft / 4).softmax(1), (logits / 4).softmax(1)
    by_hand = 0.9 * 16 * (p * (p / q).log()).sum() - 0.1 * logits.softmax(1)[0, 1].log()
    torch.testing.assert_close(methods.distillation_loss(logits, soft, labels), by_hand)


def test_a_student_learns_from_its_teacher(data: Shapes):
    teacher, student = network_of(), network_of(width=4)
    learned, alone = methods.distill(student, teacher, data, LONG), fine_tune(student, data, LONG)
    images, _ = next(iter(data.val_dataloader()))

    def apart(network: nn.Module) -> float:
        with torch.no_grad():
            return float((network(images).softmax(1) - teacher(images).softmax(1)).abs().mean())

    assert apart(learned) < apart(alone)
