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

    @staticmethod
    def captures(device: torch.device) -> bool:
        """Whether training steps on ``device`` are captured."""
        return device.type == "cuda"

    def __call__(self, *inputs: Tensor) -> Any:
        """What the function returns; on a GPU the next call overwrites it."""
        device = inputs[0].device
        if device.type != "cuda":
            return self._function(*inputs)
        if self._inputs is None:
            self._inputs = [tensor.clone(memory_format=torch.contiguous_format) for tensor in inputs]
        for place, tensor in zip(self._inputs, inputs, strict=True):
            place.copy_(tensor)
        if self._graph is None:
            with torch.cuda.device(device):  # which need not be that of this thread
                if self._calls < _WARMUP_CALLS:
                    self._calls += 1
                    return self._warm_up(self._inputs)
                self._graph = self._capture(self._inputs)
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

    def _capture(self, inputs: list[Tensor]) -> torch.cuda.CUDAGraph:
        """The graph, which has not run yet."""
        graph = torch.cuda.CUDAGraph()
        # The workspace of cuBLAS is memory of this graph: Lightning frees any other at the end of each training.
        torch._C._cuda_clearCublasWorkspaces()
        # Meanwhile other threads may use the GPU: that of a data loader pins memory.
        with torch.cuda.graph(graph, stream=torch.cuda.Stream(), capture_error_mode="thread_local"):
            self._outputs = self._function(*inputs)
        torch._C._cuda_clearCublasWorkspaces()  # so that no other graph gets it
        return graph
