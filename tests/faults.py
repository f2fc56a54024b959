"""What can go wrong in a training, for jobs of real sweeps: ``+callbacks.fault={_target_: faults.Fault, ...}``."""

import os
import signal
import sys
import time

import torch
from lightning.pytorch.callbacks import Callback


class Fault(Callback):
    """Does ``what`` before a step, unless the environment variable FAULTS is "off".

    FAULTS_SLEEP seconds are slept before every step.
    """

    def __init__(self, what: str = "nothing", step: int = 25) -> None:
        self.what, self.step = what, step
        self.sleep_s = float(os.environ.get("FAULTS_SLEEP", "0"))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        time.sleep(self.sleep_s)
        if trainer.global_step == self.step and os.environ.get("FAULTS") != "off":
            getattr(self, f"_{self.what}")()

    def _nothing(self):
        pass

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
        """Kill the second process of a job."""
        if os.environ.get("LOCAL_RANK") == "1":
            self._kill()
