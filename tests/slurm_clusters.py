"""The SLURM that SLURM_CONF names, for tests."""

import os
import shutil
import subprocess

import pytest

# A process takes 1 GB, and SLURM counts that twice for a moment where it starts another one. Nothing preempts the job.
ON_SLURM = ("sweep/executor=slurm", "sweep.executor.mem_gb=3", "sweep.executor.partition=high")


def require_slurm():
    """Skip a test without SLURM; one that SLURM_CONF names has to answer."""
    if shutil.which("sinfo") and subprocess.run(["sinfo"], capture_output=True, timeout=60).returncode == 0:
        return
    if named := os.environ.get("SLURM_CONF"):
        pytest.fail(f"no SLURM answers to sinfo, though SLURM_CONF names {named}")
    pytest.skip("no SLURM answers to sinfo; set SLURM_CONF")
