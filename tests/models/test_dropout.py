import math

import pytest
import torch
from torch.nn import functional

from trainlab.models.dropout import AlphaDropout, Dropout, build_dropout, check_dropout
from trainlab.randomness import generator

SHAPE = torch.Size((1000, 100))
COUNT = SHAPE.numel()
# SELU's limit at minus infinity; in float64, 100 is far enough.
MINIMUM = functional.selu(torch.tensor(-100.0, dtype=torch.float64)).item()


def layer(rate=0.3, kind="standard", seed=0, place="dropout_1", step=0) -> Dropout:
    dropout = build_dropout(rate, kind, seed, place)
    dropout.draws.step.fill_(step)
    return dropout


def selu_outputs() -> torch.Tensor:
    """What SELU makes of standard normal numbers, the fixed point of Klambauer et al.: mean 0, variance 1."""
    x = torch.randn(10_000, 100, generator=generator(0, "normal"), dtype=torch.float64)
    return functional.selu(x)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
def test_the_share_of_dropped_elements_is_the_rate(rate):
    dropped = ~layer(rate).keep(SHAPE)
    # Five deviations of a binomial count: of all elements, and of those of any row or column (1100 of them).
    assert abs(dropped.sum().item() - rate * COUNT) < 5 * math.sqrt(COUNT * rate * (1 - rate))
    for dim, length in ((0, SHAPE[0]), (1, SHAPE[1])):
        counts = dropped.sum(dim)
        assert (counts - rate * length).abs().max() < 5 * math.sqrt(length * rate * (1 - rate)) + 1


@pytest.mark.parametrize("other", [{"step": 1}, {"place": "dropout_2"}, {"seed": 1}], ids=lambda o: next(iter(o)))
def test_masks_of_steps_layers_and_seeds_are_independent(other):
    first, second = layer().keep(SHAPE), layer(**other).keep(SHAPE)
    agree = 0.3**2 + 0.7**2
    assert abs((first == second).sum().item() - agree * COUNT) < 5 * math.sqrt(COUNT * agree * (1 - agree))


@pytest.mark.parametrize("other", [{"step": 1}, {"place": "dropout_2"}, {"seed": 1}], ids=lambda o: next(iter(o)))
def test_masks_are_not_shifted_copies(other):
    first, second = (d.keep(SHAPE).flatten().double() - 0.7 for d in (layer(), layer(**other)))
    spectrum = torch.fft.fft(first) * torch.fft.fft(second).conj()
    correlation = torch.fft.ifft(spectrum).real / (COUNT * 0.3 * 0.7)
    # Each of 100,000 lags has a deviation of 1 / sqrt(100,000); six leave a chance of 1e-4.
    assert correlation.abs().max() < 6 / math.sqrt(COUNT)


def test_a_mask_follows_from_its_step_alone():
    dropout = layer(step=3)
    first = dropout.keep(SHAPE)
    dropout.draws.step.fill_(4)
    assert not torch.equal(dropout.keep(SHAPE), first)
    dropout.draws.step.fill_(3)
    torch.manual_seed(1)
    assert torch.equal(dropout.keep(SHAPE), first)


@pytest.mark.parametrize("kind", ["standard", "alpha"])
def test_two_ranks_drop_what_one_process_drops(kind):
    x = torch.randn(64, 100, generator=generator(0, "batch"))
    whole = layer(kind=kind, step=5)(x)
    for rank in range(2):
        shard = layer(kind=kind, step=5)
        shard.draws.row_offset, shard.draws.row_stride = rank, 2
        assert torch.equal(shard(x[rank::2]), whole[rank::2])


def test_standard_dropout_scales_what_it_keeps():
    dropout, x = layer(0.2), selu_outputs()
    keep = dropout.keep(x.shape)
    torch.testing.assert_close(dropout(x), torch.where(keep, x / 0.8, 0.0))


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_alpha_dropout_keeps_mean_0_and_variance_1_of_what_selu_puts_out(rate):
    y = layer(rate, "alpha")(selu_outputs())
    assert isinstance(layer(rate, "alpha"), AlphaDropout)
    # The mean of 10^6 numbers of variance 1 has a deviation of 0.001; their mean square one of
    # sqrt((kurtosis - 1) / 10^6), and the kurtosis is below 5 here.
    assert abs(y.mean()) < 5 * 0.001
    assert abs(y.square().mean() - 1) < 5 * 0.002


def test_alpha_dropout_treats_dropped_elements_as_selus_minimum():
    dropout, x = layer(0.2, "alpha"), selu_outputs()
    keep = dropout.keep(x.shape)
    # Klambauer et al.: with q kept, a = (q + m^2 q (1 - q))^(-1/2) and b = -a (1 - q) m.
    a = (0.8 + MINIMUM**2 * 0.8 * 0.2) ** -0.5
    b = -a * 0.2 * MINIMUM
    torch.testing.assert_close(dropout(x), a * torch.where(keep, x, MINIMUM) + b)


@pytest.mark.parametrize("kind", ["standard", "alpha"])
def test_evaluation_drops_nothing(kind):
    x = selu_outputs()
    assert torch.equal(layer(kind=kind).eval()(x), x)


@pytest.mark.parametrize("kind", ["standard", "alpha"])
def test_gradients_flow_through_what_is_kept(kind):
    dropout, x = layer(kind=kind), torch.ones(10, 10, requires_grad=True)
    dropout(x).sum().backward()
    assert torch.equal(x.grad != 0, dropout.keep(x.shape))


@pytest.mark.parametrize("rate", [-0.1, 1.0, math.nan])
def test_a_rate_out_of_range_is_an_error(rate):
    with pytest.raises(ValueError, match=rf"^dropout must be in \[0, 1\), got {rate}; set model\.dropout$"):
        check_dropout(rate, "alpha")


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match=r"one of alpha, standard, got 'beta'; set model\.dropout_kind"):
        check_dropout(0.1, "beta")
