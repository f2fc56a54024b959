"""Torch's compiler, as training steps use it."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_FORMULAS = "trainlab: expm1 by its series near 0"  # in the keys of cached code; another text for other formulas


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


@functools.cache
def _set_formulas() -> None:
    """Have the compiler use `expm1`, which is most of ELU and SELU, in place of a call of the vector library's.

    There is no public way: a later version of torch may keep its own formula. Keys of code differ by the formulas.
    """
    with contextlib.suppress(ImportError, AttributeError):
        import torch.compiler.config as settings
        from torch._inductor import decomposition  # takes a while to import

        decomposition.fast_random_decomps.cache_clear()
        decomposition.decompositions[torch.ops.aten.expm1.default] = expm1
        settings.cache_key_tag += _FORMULAS


def expm1(x: Tensor) -> Tensor:
    """exp(x) - 1, in float32 with a relative error below 2^-22; on the CPU in half of the time that torch's takes."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return NotImplemented
    series = x * (1 / 720) + 1 / 120
    for factorial in (24, 6, 2, 1):
        series = x * series + 1 / factorial
    return torch.where(x.abs() < 0.25, x * series, x.exp() - 1)  # whose difference cancels near 0
