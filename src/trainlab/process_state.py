"""What a training changes of its process, put back after it."""

import contextlib
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def process_state_restored() -> Iterator[None]:
    """Leave the process as it was: signals, environment, warnings, logging, random states, threads, torch's flags."""
    environment, root = dict(os.environ), logging.root
    loggers = {name: logger.level for name, logger in _loggers().items()}
    handlers, threads = root.handlers[:], torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    precision, benchmark = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    on_main_thread = threading.current_thread() is threading.main_thread()
    signals = {number: signal.getsignal(number) for number in _SIGNALS} if on_main_thread else {}
    with warnings.catch_warnings(), isolate_rng(include_cuda=torch.cuda.is_initialized()):
        try:
            yield
        finally:
            for number, handler in signals.items():
                signal.signal(number, handler)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
            torch.set_float32_matmul_precision(precision)
            torch.backends.cudnn.benchmark = benchmark
            root.handlers[:] = handlers
            for name, logger in _loggers().items():
                logger.setLevel(loggers.get(name, logging.NOTSET))
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment)


def _loggers() -> dict[str, Any]:
    known = logging.root.manager.loggerDict
    return {"": logging.root} | {name: one for name, one in known.items() if isinstance(one, logging.Logger)}
