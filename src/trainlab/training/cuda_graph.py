"""A function of tensors as a CUDA graph: captured once, then replayed without a launch for each of its operations."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_CALLS_BEFORE = 3  # by which libraries have set themselves up, and a compiled function is compiled


class Captured:
    """``function``, faster from its fourth call on. On the processor it is just called.

    Args:
        function: of tensors on one device, whose shapes stay those of the first call. What else it reads and changes
            must stay where it is in memory. It must not wait for the device.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._calls = 0
        self._inputs: list[Tensor] | None = None  # where a graph reads them
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Tensor) -> Any:
        """What the function returns; on a GPU, to be used up before the next call."""
        if inputs[0].device.type != "cuda":
            return self._function(*inputs)
        if self._inputs is None:
            self._inputs = [tensor.clone(memory_format=torch.contiguous_format) for tensor in inputs]
        for place, tensor in zip(self._inputs, inputs, strict=True):
            place.copy_(tensor)
        if self._calls < _CALLS_BEFORE:
            self._calls += 1
            return self._call_aside(self._inputs)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._outputs = self._function(*self._inputs)
        self._graph.replay()
        return self._outputs

    def _call_aside(self, inputs: list[Tensor]) -> Any:
        """Call it on a stream of its own, as capturing will."""
        main, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(main)
        with torch.cuda.stream(aside):
            outputs = self._function(*inputs)
        main.wait_stream(aside)
        return outputs
