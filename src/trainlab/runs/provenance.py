"""Provenance of a result: command, code, versions, machine."""

import functools
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from trainlab import __version__
from trainlab.programs import command_line, project_path

_PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "torchmetrics", "tensorboard")


def provenance(seed: int) -> dict[str, Any]:
    """Command, git commit and whether the tree differs from it (None outside a checkout), versions, host, seed.

    The commit is that of the project whose code runs: of the script, or of the current folder. ``program`` starts
    another training in the same way.
    """
    root = project_path(".")
    commit = _git(root, "rev-parse", "HEAD")
    return {
        "command": _typed(sys.orig_argv[1:]),  # Hydra gets the words of sys.argv, quoted
        "program": command_line("train"),
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(_git(root, "status", "--porcelain")),
        "versions": {
            "trainlab": __version__,
            "python": platform.python_version(),
            **{p: v for p in _PACKAGES if (v := _version(p))},
        },
        "host": platform.node(),
        "seed": seed,
    }


def device_name(device: torch.device, threads: int) -> str:
    """The accelerator's name, or the processor's kind and the number of ``threads``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"cpu ({platform.machine()}, {threads} thread{'s' * (threads > 1)})"
    return device.type


def _typed(words: list[str]) -> str:
    """The command line as it was typed; ``words`` begin with a script or its flags."""
    if words and Path(words[0]).name == "trainlab":
        return shlex.join(["trainlab", *words[1:]])
    return shlex.join(["python", *words])


def _git(folder: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@functools.cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
