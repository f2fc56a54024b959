"""A training on GPUs of another machine, as far as it can be checked on one that has none."""

from typing import Any

from lightning.pytorch.accelerators.cuda import CUDAAccelerator


class GpusElsewhere(CUDAAccelerator):
    """GPUs that a Trainer is built for, and that nothing is moved to."""

    @staticmethod
    def parse_devices(devices: Any) -> list[int]:
        """As many as `count_gpus` has found."""
        return [*range(devices)]

    @staticmethod
    def is_available() -> bool:
        """They are on the machine that trains."""
        return True


def count_gpus(devices: Any, available: int) -> int:
    """GPUs that `trainer.devices` stands for on a machine with ``available`` ones, which this one cannot check."""
    if isinstance(devices, str) and "," in devices:
        return len([name for name in devices.split(",") if name.strip()])
    if isinstance(devices, list):
        return len(devices)
    return max(1, available) if devices in ("auto", -1, "-1") else int(devices)


def is_on_gpus_elsewhere(accelerator: Any, available: int | None) -> bool:
    """Whether `trainer.accelerator` stands for GPUs of another machine.

    Args:
        accelerator: the setting.
        available: GPUs that the other machine gives the training; None if it is on this machine.
    """
    if available is None or accelerator == "mps":
        return False
    return accelerator in ("gpu", "cuda") or (accelerator == "auto" and available > 0)
