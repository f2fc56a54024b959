"""How the processes that Lightning starts for other devices end when one of them has died."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import torch

_POLL_S = 0.5


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error means that another process has died."""
    return isinstance(error, torch.distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


@contextlib.contextmanager
def going_with_the_main_process() -> Iterator[None]:
    """In a process that the main one has started: exit quietly once that has ended."""
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
            raise SystemExit(1) from None  # the main process reports it
        raise
