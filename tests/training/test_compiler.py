"""The formulas that compiled steps use in place of torch's."""

import pytest
import torch

from trainlab.training.compiler import compiled, expm1


def test_expm1_has_the_digits_of_its_type():
    x = torch.cat([torch.linspace(-30, 5, 700_001), torch.logspace(-30, -1, 1000), -torch.logspace(-30, -1, 1000)])
    exact = torch.expm1(x.double())
    assert ((expm1(x) - exact).abs() <= 2**-22 * exact.abs()).all()
    special = torch.tensor([0.0, -torch.inf, torch.inf, torch.nan])
    torch.testing.assert_close(expm1(special), torch.tensor([0.0, -1.0, torch.inf, torch.nan]), equal_nan=True)
    assert expm1(x.double()) is NotImplemented


@pytest.mark.slow
@pytest.mark.parametrize("activation", [torch.nn.ELU(0.7), torch.nn.SELU()])
def test_compiled_activations_take_no_other_exponential(activation, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    x = torch.linspace(-9, 4, 1003)

    def step(x):
        return torch.func.vjp(activation, x)[1](torch.ones_like(x))[0], activation(x)

    with torch.no_grad():
        torch.testing.assert_close(compiled(step)(x), step(x), rtol=1e-6, atol=1e-7)
    code = "".join(path.read_text() for path in tmp_path.glob("??/*.py"))
    assert ".exp()" in code and ".expm1()" not in code
