"""What can go wrong in a training, for jobs of real sweeps.

``+callbacks.fault={_target_: faults.Fault, ...}`` for jobs alone, ``data._target_=faults.SlowShapes`` in populations.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback

from trainlab.data.batches import Batches
from trainlab.data.shapes import Shapes


def hold_at(number: int) -> None:
    """If ``number`` is one of FAULTS_HOLD: note in FAULTS_FOLDER that this process is there, and wait for `go_NUMBER`.

    Raises:
        TimeoutError: it does not come; a test that failed leaves no process behind.
    """
    if str(number) not in os.environ.get("FAULTS_HOLD", "").split(","):
        return
    folder, end = Path(os.environ["FAULTS_FOLDER"]), time.monotonic() + 250
    (folder / f"at_{number}_{os.getpid()}").touch()
    while not (folder / f"go_{number}").exists():
        if time.monotonic() > end:
            raise TimeoutError(f"nobody continues from {number}")
        time.sleep(0.02)


class Fault(Callback):
    """Does ``what`` before a step, unless the environment variable FAULTS is "off".

    FAULTS_SLEEP seconds are slept before every step, and it waits before those of FAULTS_HOLD, see `hold_at`. The file
    FAULTS_BEGUN is made before that step.
    """

    def __init__(self, what: str = "nothing", step: int = 25) -> None:
        self.what, self.step = what, step
        self.sleep_s = float(os.environ.get("FAULTS_SLEEP", "0"))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        time.sleep(self.sleep_s)
        hold_at(trainer.global_step)
        if trainer.global_step == self.step and os.environ.get("FAULTS") != "off":
            self.trainer = trainer
            if begun := os.environ.get("FAULTS_BEGUN"):
                Path(begun).touch()
            getattr(self, f"_{self.what}")()

    def _nothing(self):
        pass

    def _wait(self):
        """In one run of all, the first: until there is the file FAULTS_UNTIL."""
        until = Path(os.environ["FAULTS_UNTIL"])
        with contextlib.suppress(FileExistsError):
            until.with_suffix(".taken").touch(exist_ok=False)
            while not until.exists():
                time.sleep(0.05)

    def _diverge(self):
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = 1e30  # times any gradient is too much for float32

    def _raise(self):
        raise RuntimeError("the cat pulled the plug\nand ran")

    def _leave(self):
        sys.exit(4)

    def _exit(self):
        os._exit(3)

    def _kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def _memory(self):
        torch.empty(2**50)

    def _rank(self):
        """Kill the second process of a run."""
        if self.trainer.global_rank == 1:
            self._kill()

    def _first(self):
        """Kill the first process of a run."""
        if self.trainer.global_rank == 0:
            self._kill()

    def _fail(self):
        """An error of the second process alone."""
        if self.trainer.global_rank == 1:
            raise RuntimeError("the mouse ate the cable")

    def _freeze(self):
        """Stop the second process of a run, which then says nothing, as one whose node is lost."""
        if self.trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)


class DieAtStart(Callback):
    """Kills the process of a rank: the second before the processes have met, the first right after."""

    def __init__(self, rank: int = 1) -> None:
        self.rank = rank
        if rank and os.environ.get("LOCAL_RANK") == str(rank):
            os.kill(os.getpid(), signal.SIGKILL)

    def setup(self, trainer, pl_module, stage):
        if not self.rank and trainer.is_global_zero:
            os.kill(os.getpid(), signal.SIGKILL)


class PressCtrlC(Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == 5:
            signal.raise_signal(signal.SIGINT)


class SlowShapes(Shapes):
    """Pictures whose training batches take a while, which is a setting of the data and not a callback.

    FAULTS_SLEEP seconds are slept for every batch. What is computed for all members of a population is computed in the
    main thread; the batch number FAULTS_BREAK that is drawn there fails, and those of FAULTS_HOLD wait, see `hold_at`.
    """

    def train_dataloader(self):
        given = super().train_dataloader()
        settings = {"order_seed": given.order_seed, "augmentation": given.augmentation}
        return _SlowBatches(given.images, given.labels, given.indices, given.batch_size, **settings)


class _SlowBatches(Batches):
    drawn = 0

    def _augmented(self, images, draws):
        time.sleep(float(os.environ.get("FAULTS_SLEEP", "0")))
        if threading.current_thread() is threading.main_thread():
            if self.drawn == int(os.environ.get("FAULTS_BREAK", "-1")):
                raise RuntimeError("the dog ate the batch")
            hold_at(self.drawn)
            _SlowBatches.drawn += 1
        return super()._augmented(images, draws)


class PowerCut(Callback):
    """An error in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == 5:
            raise RuntimeError("power cut")


class Warn(Callback):
    """Announces the end before a batch."""

    def __init__(self, epoch, batch, number=signal.SIGUSR2):
        self.at, self.number = (epoch, batch), number

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.at:
            signal.raise_signal(self.number)
