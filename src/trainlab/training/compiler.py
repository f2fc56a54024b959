"""Torch's compiler, as training steps use it."""

import contextlib
import functools
import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def compiled(step: Any) -> Callable[..., Any]:
    """``step`` as one compiled graph, for inputs of the shapes that they first have.

    Nothing but the inputs may change while a network trains. Torch would check hundreds of guards before every step,
    up to 0.6 ms; only those of tensors are kept. Graphs are cached by code object, so the function gets one of its own:
    the graph of another network can never be taken for this one.
    """
    _set_formulas()
    step.__code__ = step.__code__.replace()
    tensor_guards = torch.compiler.keep_tensor_guards_unsafe
    return torch.compile(step, dynamic=False, fullgraph=True, options={"guard_filter_fn": tensor_guards})


def compiled_objective(objective: Callable[..., Any]) -> Callable[..., Any]:
    """``objective`` compiled for each of its shapes, with a backward pass that autograd calls."""
    _set_formulas()
    return torch.compile(objective, dynamic=False)


@functools.cache
def _set_formulas() -> None:
    """Have torch compile expm1, most of the cost of ELU and SELU, as `expm1`, and not as a call of its vector library.

    There is no public way to do so: a later version of torch may keep its own formula.
    """
    with contextlib.suppress(ImportError, AttributeError):
        import torch.compiler.config as settings
        from torch._inductor import decomposition  # takes a while to import

        # Keys of cached code are of the functions before such formulas are inserted.
        settings.cache_key_tag += f"trainlab {hashlib.sha256(inspect.getsource(expm1).encode()).hexdigest()}"
        decomposition.decompositions[torch.ops.aten.expm1.default] = expm1
        decomposition.fast_random_decomps.cache_clear()


def expm1(x: Tensor) -> Tensor:
    """exp(x) - 1 of float32 numbers, with a relative error below 2^-21; on the CPU in half of the time of torch's."""
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return NotImplemented
    series = x * (1 / 720) + 1 / 120
    for factorial in (24, 6, 2, 1):
        series = x * series + 1 / factorial
    return torch.where(x.abs() < 0.25, x * series, x.exp() - 1)  # a difference that cancels near 0
