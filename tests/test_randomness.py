import itertools
import math

import pytest
import torch

from trainlab.randomness import CounterDraws, derive_seed, generator, scramble, scramble_words

SHAPE = torch.Size((64, 64))
COUNT = 64 * 64


def draws_at(step: int, seed: int = 0, place: str = "layer_1") -> torch.Tensor:
    draws = CounterDraws(seed, place)
    draws.step.fill_(step)
    return draws(SHAPE)


# Streams that differ in one thing by the least possible from the first.
STREAMS = {
    "first": {"step": 0},
    "next_step": {"step": 1},
    "second_next_step": {"step": 2},
    "high_bit_of_step": {"step": 2**31},
    "next_layer": {"step": 0, "place": "layer_2"},
    "next_seed": {"step": 0, "seed": 1},
}
PAIRS = list(itertools.combinations(STREAMS, 2))


def test_scramble_maps_distinct_numbers_to_distinct_numbers():
    low, spread = torch.arange(2**16), torch.arange(2**16) * 65521  # the second reaches nearly up to 2^32
    for numbers in (low, spread, 2**32 - 1 - low):
        scrambled = scramble(numbers)
        assert len(scrambled.unique()) == 2**16
        assert scrambled.min() >= 0
        assert scrambled.max() < 2**32


def test_scramble_leaves_its_input_alone():
    numbers = torch.arange(10)
    scramble(numbers)
    assert numbers.tolist() == list(range(10))


def test_each_input_bit_flips_each_output_bit_half_the_time():
    numbers = torch.randint(0, 2**32, (4096,), generator=generator(0, "avalanche"))
    bits = torch.arange(32)
    before = scramble(numbers)
    for bit in range(32):
        flipped = before ^ scramble(numbers ^ (1 << bit))
        rates = ((flipped[:, None] >> bits) & 1).double().mean(0)
        # A fair coin's rate has a deviation of 0.5 / sqrt(4096) = 0.0078; five of them for 1024 rates.
        assert (rates - 0.5).abs().max() < 0.039


def test_derived_seeds_are_distinct_and_fit_torch():
    places = [("a", "b"), ("ab",), ("a", 1), ("a", "1"), ("a",), (), ("b", "a")]
    seeds = [derive_seed(seed, *place) for place in places for seed in (0, 1, -1)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_know_nothing_of_the_global_seed():
    torch.manual_seed(1)
    first = torch.rand(5, generator=generator(0, "here"))
    torch.manual_seed(2)
    assert torch.equal(first, torch.rand(5, generator=generator(0, "here")))
    assert not torch.equal(first, torch.rand(5, generator=generator(0, "there")))


def test_draws_are_uniform():
    numbers = draws_at(7).double() / 2**32
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # Deviations of the mean and of the mean square of a uniform number are sqrt(1/12) and sqrt(4/45).
    assert abs(numbers.mean() - 1 / 2) < 5 * math.sqrt(1 / 12 / COUNT)
    assert abs(numbers.square().mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / COUNT)


def test_draws_follow_from_the_step_and_not_from_what_was_drawn_before():
    draws = CounterDraws(0, "layer_1")
    for step in (5, 3, 0):
        draws.step.fill_(step)
        assert torch.equal(draws(SHAPE), draws_at(step))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_no_stream_is_a_shifted_copy_of_another(pair):
    first, second = (draws_at(**STREAMS[name]).flatten().double() / 2**32 - 0.5 for name in pair)
    # Circular correlation at all lags at once; a shifted copy has 1 at one of them.
    spectrum = torch.fft.fft(first) * torch.fft.fft(second).conj()
    correlation = torch.fft.ifft(spectrum).real / (COUNT / 12)
    # Each has a deviation of 1 / sqrt(4096); 4096 lags and 15 pairs stay below five and a half.
    assert correlation.abs().max() < 5.5 / math.sqrt(COUNT)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_no_stream_is_a_rearrangement_of_another(pair):
    first, second = (draws_at(**STREAMS[name]).flatten() for name in pair)
    # By chance 4096^2 / 2^32 = 0.004 numbers are in both.
    assert torch.isin(first, second).sum() <= 1


def test_a_stream_is_not_correlated_with_itself():
    numbers = draws_at(0).flatten().double() / 2**32 - 0.5
    correlation = torch.fft.ifft(torch.fft.fft(numbers).abs().square()).real / (COUNT / 12)
    assert correlation[1:].abs().max() < 5.5 / math.sqrt(COUNT)


def test_sharding_a_batch_does_not_change_its_draws():
    whole = draws_at(3)
    for rank in range(2):
        shard = CounterDraws(0, "layer_1")
        shard.row_offset, shard.row_stride = rank, 2
        shard.step.fill_(3)
        assert torch.equal(shard(torch.Size((32, 64))), whole[rank::2])


def test_a_smaller_batch_draws_what_its_rows_drew_in_a_larger_one():
    draws = CounterDraws(0, "layer_1")
    small = draws(torch.Size((5, 64)))
    assert torch.equal(draws(SHAPE)[:5], small)
    assert torch.equal(draws(torch.Size((5, 64))), small)


def test_images_and_rows_of_as_many_elements_draw_the_same():
    draws = CounterDraws(0, "layer_1")
    assert torch.equal(draws(torch.Size((3, 2, 4, 4))).flatten(1), draws(torch.Size((3, 32))))


def test_draws_need_no_saving():
    assert not CounterDraws(0, "layer_1").state_dict()


def test_scrambled_words_are_the_same_bits():
    x = torch.randint(2**32, (10_000,), generator=generator(0, "words"))
    x[:4] = torch.tensor([0, 1, 2**31, 2**32 - 1])
    words = x.to(torch.int32)
    assert scramble_words(words, torch.empty_like(words)) is words
    assert torch.equal(words.long() & 0xFFFFFFFF, scramble(x))
