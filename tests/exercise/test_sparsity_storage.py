"""The file that sizes are measured by: what is read is what was written, and sizes are those of the forms."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from exercise.questions.sparsity import methods, storage
from trainlab.models import MLP, image_network


def network_of() -> MLP:
    return image_network(MLP, (3, 32, 32), 1, depth=2, width=8, batch_norm=True).eval()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("quantize", [False, True])
def test_a_network_read_back_is_equal(tmp_path: Path, share: float, quantize: bool):
    network = methods.prune(network_of(), share)
    if quantize:
        network = methods.quantize(network)
    size = storage.write(tmp_path / "network", network)
    assert size == (tmp_path / "network").stat().st_size
    state = storage.read(tmp_path / "network")
    assert storage.same(state, network.state_dict())
    other = image_network(MLP, (3, 32, 32), 2, depth=2, width=8, batch_norm=True).eval()
    other.load_state_dict(state)
    images = torch.arange(2 * 3072).remainder(256).to(torch.uint8).view(2, 3, 32, 32)
    assert torch.equal(other(images), network(images))


def size_of(tmp_path: Path, weight: Tensor) -> int:
    """Bytes of one matrix, without the header."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight)
    storage.write(tmp_path / "one", layer)
    whole = (tmp_path / "one").read_bytes()
    return len(whole) - 4 - int.from_bytes(whole[:4], "little")


def draws(share: float, rows: int = 64, columns: int = 100) -> Tensor:
    """Numbers of which exactly ``share`` are zero."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(rows * columns, generator=generator)
    values[torch.randperm(len(values), generator=generator)[: round(share * len(values))]] = 0
    return values.view(rows, columns)


@pytest.mark.parametrize(
    ("share", "size"),
    [
        (0.0, 4 * 6400),  # dense
        (0.5, 6400 // 8 + 4 * 3200),  # a bit a weight, and what is not zero
        (0.99, 4 * 64 + (2 + 4) * 64),  # a count a row, a column and a value a weight
        (1.0, 4 * 64),
    ],
)
def test_the_smallest_form_is_taken(tmp_path: Path, share: float, size: int):
    assert size_of(tmp_path, draws(share)) == size


def test_eight_bits_are_taken_where_they_give_the_same_numbers(tmp_path: Path):
    weight = draws(0.0)
    scales = methods.row_scales(weight)
    assert size_of(tmp_path, methods.quantize_weight(weight, scales) * scales) == 6400 + 2 * 64
    weight = draws(0.9)
    scales = methods.row_scales(weight)
    sparse = methods.quantize_weight(weight, scales) * scales
    left = int((sparse != 0).sum())
    assert size_of(tmp_path, sparse) == min(6400 // 8, 4 * 64 + 2 * left) + left + 2 * 64


def test_a_negative_zero_is_a_zero(tmp_path: Path):
    assert size_of(tmp_path, -torch.zeros(64, 100)) == 4 * 64


def test_other_types_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="float32"):
        storage.write(tmp_path / "network", nn.Linear(2, 2).double())
