"""Processes that Lightning starts for the other devices of a run: none is left waiting for one that has died.

Lightning kills all of them with SIGKILL, the main one too, which leaves a run that looks as if it were running.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

_POLL_S = 0.5
_GRACE_S = 5.0  # for the main process to notice by itself that another one has died; before all have met it cannot


class WatchedLauncher(_SubprocessScriptLauncher):
    """Lightning's, but the death of a process is an error of the main one.

    Attributes:
        on_death: is called with the error, off the main thread, where that cannot raise it. The process ends after it.
    """

    on_death: Callable[[Exception], None] = staticmethod(lambda error: None)

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Start the processes, if they are not started by others, and call ``function``.

        Raises:
            ChildProcessError: a process has died.
        """
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
        _set_num_threads_if_needed(num_processes=self.num_processes)
        over = threading.Event()
        threading.Thread(target=self._watch, args=(over,), daemon=True).start()
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            if is_lost_connection(error) and (death := self._death(wait_s=_GRACE_S)):
                raise death from None
            raise
        finally:
            over.set()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(_POLL_S):
            death = self._death()
            if death and not over.wait(_GRACE_S):
                self.on_death(death)
                self.kill(signal.SIGKILL)
                os._exit(1)

    def _death(self, wait_s: float = 0.0) -> ChildProcessError | None:
        """The error that the death of a process is, if one has died or does so soon."""
        deadline = time.monotonic() + wait_s
        while True:
            for number, process in enumerate(self.procs, start=2):
                if status := process.poll():
                    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
                    return ChildProcessError(
                        f"process {number} of {self.num_processes} {how}; training cannot continue"
                    )
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S / 10)


def watch_processes(trainer: Trainer) -> None:
    """Have ``trainer`` start the processes for its other devices by a `WatchedLauncher`, if it starts any."""
    launcher = trainer.strategy.launcher
    if type(launcher) is _SubprocessScriptLauncher:
        watched = WatchedLauncher(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        trainer.strategy._launcher = watched


def on_death(trainer: Trainer, record: Callable[[Exception], None]) -> None:
    """Have ``record`` called with the error where a process dies before the main one can notice."""
    if isinstance(trainer.strategy.launcher, WatchedLauncher):
        trainer.strategy.launcher.on_death = record


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
