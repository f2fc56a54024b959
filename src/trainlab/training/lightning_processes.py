"""Processes that Lightning starts for the other devices of a run: how they end when one of them has died."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import torch

_POLL_S = 0.5


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error comes of another process that is gone."""
    return isinstance(error, torch.distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


@contextlib.contextmanager
def going_with_the_main_process() -> Iterator[None]:
    """In a process that the main one has started: end when that is gone, quietly."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except RuntimeError as error:
        if is_lost_connection(error):
            raise SystemExit(1) from None  # the main process says what there is to say
        raise
