"""A function of tensors as a CUDA graph: captured once, then replayed without a launch for each of its operations."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_WARMUP_CALLS = 3  # in which libraries initialize, and a compiled function is compiled


class GraphedCallable:
    """``function``, replayed as a CUDA graph from its fourth call on. On the CPU it is just called.

    Args:
        function: of tensors on one device, whose shapes stay those of the first call. All other tensors that
            it reads or writes must keep their addresses. It must not synchronize with the device.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._calls = 0
        self._inputs: list[Tensor] | None = None  # where a graph reads them
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Tensor) -> Any:
        """What the function returns; on a GPU the next call overwrites it."""
        if inputs[0].device.type != "cuda":
            return self._function(*inputs)
        if self._inputs is None:
            self._inputs = [tensor.clone(memory_format=torch.contiguous_format) for tensor in inputs]
        for place, tensor in zip(self._inputs, inputs, strict=True):
            place.copy_(tensor)
        if self._calls < _WARMUP_CALLS:
            self._calls += 1
            return self._warm_up(self._inputs)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._outputs = self._function(*self._inputs)
        self._graph.replay()
        return self._outputs

    def _warm_up(self, inputs: list[Tensor]) -> Any:
        """Call it on a side stream, as capturing does."""
        main, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(main)
        with torch.cuda.stream(side):
            outputs = self._function(*inputs)
        main.wait_stream(side)
        return outputs
