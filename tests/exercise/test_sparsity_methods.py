"""Methods of question 6 on small networks: what they must do whatever the data."""

from pathlib import Path

import pytest
import torch
from torch import nn

from exercise.questions.sparsity import fine_tuning, methods
from exercise.questions.sparsity.fine_tuning import Plan, fine_tune, linear_layers
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


def test_soft_thresholding_moves_towards_zero_and_no_further():
    values = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0])
    assert methods.soft_threshold(values, torch.tensor(1.0)).tolist() == [-2.0, 0.0, 0.0, 0.0, 2.0]
    assert torch.equal(methods.soft_threshold(values, torch.zeros(5)), values)


def test_more_l1_gives_more_zeros_among_weights_alone(data: Shapes):
    network = network_of()
    none, some, more = (methods.tune_with_l1(network, strength, data, PLAN) for strength in (0.0, 0.3, 3.0))
    assert states_equal(none, fine_tune(network, data, PLAN))
    assert zeros(none) == 0
    assert 0 < zeros(some) < zeros(more)
    assert all((layer.weight != 0).all() for layer in more.modules() if isinstance(layer, nn.BatchNorm1d))


def test_the_amounts_of_the_schedule_come_to_the_share():
    for share in (0.5, 0.9, 0.98):
        for epochs in (2, 3, 10):
            left = 1.0
            amounts = [fine_tuning.cubic(share, epochs)(epoch) for epoch in range(epochs)]
            for amount in amounts:
                left *= 1 - amount
            assert 1 - left == pytest.approx(share)
            assert amounts[-1] == 0 and all(0 < amount <= 1 for amount in amounts[:-1])


def test_the_callback_prunes_each_layer_and_nothing_else(data: Shapes):
    network, before = network_of(), network_of()
    generator = torch.get_rng_state()
    pruned = fine_tuning.prune_by_schedule(network, 0.9, data, PLAN)
    for layer in linear_layers(pruned).values():
        assert int((layer.weight == 0).sum()) == pytest.approx(0.9 * layer.weight.numel(), abs=2)  # rounded twice
        assert list(dict(layer.named_parameters())) in (["weight"], ["weight", "bias"], ["bias", "weight"])
        assert layer.bias is None or (layer.bias != 0).all()
    assert pruned.state_dict().keys() == network.state_dict().keys()
    assert states_equal(network, before)
    assert torch.equal(torch.get_rng_state(), generator)
    assert states_equal(pruned, fine_tuning.prune_by_schedule(network, 0.9, data, PLAN))


def test_a_checkpoint_of_a_slurm_job_that_lies_about_is_not_loaded(
    data: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "hpc_ckpt_1.ckpt").write_bytes(b"of another job")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_NTASKS", "1")
    network = network_of()
    with pytest.MonkeyPatch.context() as without:
        without.delenv("SLURM_NTASKS")
        expected = fine_tuning.prune_by_schedule(network, 0.5, data, Plan(1, 2, 1e-2))
    assert states_equal(fine_tuning.prune_by_schedule(network, 0.5, data, Plan(1, 2, 1e-2)), expected)


def test_the_callback_trains_as_fine_tuning_does_until_it_prunes(data: Shapes):
    network, plan = network_of(), Plan(1, 3, 1e-2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fine_tuning, "cubic", lambda share, epochs: lambda epoch: 0.0)
        pruned = fine_tuning.prune_by_schedule(network, 0.9, data, plan)
    for name, theirs in fine_tune(network, data, plan).state_dict().items():
        # Adam over one vector and over each tensor rounds otherwise
        torch.testing.assert_close(pruned.state_dict()[name], theirs, rtol=0, atol=1e-5)


def test_what_the_callback_leaves_was_trained_on_and_not_reset(data: Shapes):
    network = network_of()
    pruned = fine_tuning.prune_by_schedule(network, 0.5, data, PLAN)
    start, end = (linear_layers(which)["module.linear_1"].weight for which in (network, pruned))
    assert not (end == start)[end != 0].any()


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


def test_elu_puts_out_no_zeros_relu_some_and_the_penalty_more(data: Shapes):
    network = network_of()
    images, _ = next(iter(data.val_dataloader()))
    relu, sparse = (methods.sparsely_active(network, strength, data, LONG) for strength in (0.0, 10.0))
    shares = [methods.share_of_zeros(which, images) for which in (network, relu, sparse)]
    assert shares[0] == 0 < shares[1] < shares[2]
    assert zeros(sparse) == 0
    assert not any(module._forward_hooks for module in sparse.modules())


def test_int8_is_within_half_a_step_of_each_row_and_the_largest_is_127():
    network = network_of()
    small = methods.quantize(network)
    for name, layer in linear_layers(network).items():
        scales = methods.row_scales(layer.weight.detach())
        error = (linear_layers(small)[name].weight - layer.weight).abs().detach()
        # a scale is off by up to 1 / 512, which moves the largest weights, 127 steps, by a quarter of a step
        assert (error <= 0.75 * scales).all()
        assert (methods.quantize_weight(layer.weight.detach(), scales).abs().amax(1) == 127).all()
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


def test_a_student_is_narrower_scales_like_its_teacher_and_learns_from_it(data: Shapes):
    model = {"_target_": "trainlab.models.MLP", "seed": 1, "depth": 2, "width": 8}
    model |= {"standardize": True, "batch_norm": True}
    settings = {f"model.{key}": value for key, value in model.items()}
    teacher = network_of(standardize=True)
    teacher.scaling.set_statistics(torch.full((3, 32, 32), 100.0), torch.full((3, 32, 32), 50.0))
    student = methods.make_student(settings, (3, 32, 32), teacher, 4)
    assert linear_layers(student)["module.linear_2"].weight.shape == (4, 4)
    assert torch.equal(student.scaling.gain, teacher.scaling.gain)
    learned = methods.train_student(student, teacher, data, LONG)
    alone = fine_tune(student, data, LONG)
    images, _ = next(iter(data.val_dataloader()))

    def apart(network: nn.Module) -> float:
        with torch.no_grad():
            return float((network(images).softmax(1) - teacher(images).softmax(1)).abs().mean())

    assert apart(learned) < apart(alone)
