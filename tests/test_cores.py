"""Cores that a process may use inside a job of SLURM, by the variables that SLURM sets."""

import os

import pytest

from trainlab.processes import count_cores, has_part_of_cores
from trainlab.sweep.executors.local import limits

BATCH = {"SLURM_JOB_ID": "7", "SLURM_JOB_CPUS_PER_NODE": "8(x2),4", "SLURM_CPUS_ON_NODE": "8"}
TASK = {**BATCH, "SLURM_STEP_NUM_TASKS": "3", "SLURM_NTASKS": "3", "SLURM_STEP_TASKS_PER_NODE": "2,1"}


@pytest.mark.parametrize(
    ("variables", "cores"),
    [
        ({}, 16),
        (BATCH, 8),
        ({"SLURM_JOB_CPUS_PER_NODE": "4(x2),2"}, 4),  # salloc
        (BATCH | {"SLURM_CPUS_PER_TASK": "3"}, 3),
        (BATCH | {"SLURM_CPUS_PER_TASK": "3", "SLURM_NTASKS": "2"}, 8),  # the script of a job of several tasks
        (TASK | {"SLURM_NODEID": "0"}, 4),
        (TASK | {"SLURM_NODEID": "1", "SLURM_CPUS_ON_NODE": "6"}, 6),
        (TASK | {"SLURM_NODEID": "0", "SLURM_CPUS_PER_TASK": "2"}, 2),
        (BATCH | {"SLURM_CPUS_ON_NODE": "64"}, 16),  # bound to fewer than the whole node, which it has
        (TASK | {"SLURM_CPUS_ON_NODE": "1", "SLURM_NODEID": "0"}, 1),
    ],
)
def test_cores_are_those_that_the_job_has_on_the_node(variables, cores, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert count_cores() == cores
    assert has_part_of_cores() == (cores < 16)


def test_the_only_item_of_a_sweep_in_a_job_has_the_threads_of_the_job(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert limits(1, 1, [], 1) == {}
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "4")
    assert limits(1, 1, [], 1) == {"OMP_NUM_THREADS": "4", "TRAINLAB_NUM_THREADS": "4"}
    assert limits(1, 1, [], 2)["OMP_NUM_THREADS"] == "2"
