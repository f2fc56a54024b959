"""The formulas that compiled steps use in place of torch's."""

import pytest
import torch
import torch.compiler.config

from trainlab.training.compiler import compiled, expm1


def test_other_types_keep_torchs_formula():
    assert expm1(torch.zeros(1, dtype=torch.float64)) is NotImplemented
    assert expm1(torch.zeros(1, device="meta")) is NotImplemented


@pytest.mark.slow
def test_compiled_expm1_has_the_digits_of_float32(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    small = torch.logspace(-30, 0, 3001)
    x = torch.cat([torch.linspace(-30, 5, 70_001), small, -small])

    def step(x):
        return torch.expm1(x)

    exact = torch.expm1(x.double())
    assert ((compiled(step)(x) - exact).abs() <= 2**-21 * exact.abs()).all()
    special = torch.tensor([0.0, -torch.inf, torch.inf, torch.nan])
    torch.testing.assert_close(compiled(step)(special), torch.expm1(special), equal_nan=True)
    assert ".expm1()" not in "".join(path.read_text() for path in tmp_path.glob("??/*.py"))
    assert torch.compiler.config.cache_key_tag.count("trainlab") == 1
