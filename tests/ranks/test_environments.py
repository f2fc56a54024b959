"""Which of the processes of a training this one is, by the variables of those that start it."""

import os
from unittest import mock

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment

from trainlab import ranks
from trainlab.ranks.environments import SrunEnvironment, detect, launch_name

JOB = {"SLURM_JOB_ID": "31234", "SLURM_JOB_NAME": "x", "SLURM_JOB_NODELIST": "n[1-4]", "SLURM_NTASKS": "2"}
STEP = {
    **JOB,
    **{"SLURM_STEP_ID": "3", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "n[3-4]", "SLURM_NNODES": "2"},
    **{"SLURM_PROCID": "1", "SLURM_LOCALID": "0", "SLURM_NODEID": "1"},
}
TORCHRUN = {
    **{"TORCHELASTIC_RUN_ID": "r", "RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0", "WORLD_SIZE": "2"},
    **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"},
}


@pytest.fixture(autouse=True)
def variables_restored():
    """Also those that Lightning sets: SLURM's environment sets MASTER_ADDR and MASTER_PORT."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def started_with(monkeypatch):
    """Set the variables of a process, and have `join` connect it to nobody."""
    monkeypatch.setattr(ranks, "_this", None)
    monkeypatch.setattr("trainlab.ranks.peers.Peers", lambda *arguments: arguments)
    for name in ("LOCAL_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", ranks.DECISION):
        monkeypatch.delenv(name, raising=False)

    def start(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        ranks.join()

    return start


def test_a_process_alone_does_not_load_lightning_to_know_it(started_with, monkeypatch):
    monkeypatch.setattr("trainlab.ranks.environments.detect", lambda: 1 / 0)
    started_with(JOB | {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"})
    assert (ranks.is_main_process(), ranks.count_processes(), ranks.others()) == (True, 1, None)
    assert type(ranks.environment()) is LightningEnvironment


def test_tasks_of_srun(started_with):
    started_with(STEP)
    environment = ranks.environment()
    assert type(environment) is SrunEnvironment
    assert not environment.auto_requeue
    assert (environment.global_rank(), environment.local_rank(), environment.world_size()) == (1, 0, 2)
    assert not ranks.is_main_process()
    assert ranks.others() == (environment, 1, "31234/3/", 2)
    assert (ranks.starter(), ranks.count_processes(), ranks.share_of_cores(2)) == ("srun", 2, 1)
    # The first node of the step, and a port that another step of the job does not have.
    assert environment.main_address == "n3"
    assert environment.main_port == 15000 + (31234 + 303) % 15000


def test_processes_of_torchrun_also_inside_a_job_of_slurm(started_with):
    started_with(STEP | TORCHRUN)
    assert type(ranks.environment()) is TorchElasticEnvironment
    assert ranks.others() == (ranks.environment(), 1, "r/", 2)
    assert (ranks.starter(), ranks.is_main_process(), ranks.share_of_cores(2)) == ("torchrun", False, 2)


def test_processes_that_lightning_starts(started_with):
    started_with({"LOCAL_RANK": "1", "NODE_RANK": "0", ranks.DECISION: "x"})
    assert (ranks.is_main_process(), ranks.others(), ranks.count_processes()) == (False, None, 1)


def test_nodes_that_are_started_by_hand(started_with):
    started_with({"NODE_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"})
    assert (ranks.is_main_process(), ranks.others()[1:]) == (False, (1,))


def test_nodes_that_are_started_by_hand_need_an_address(started_with):
    with pytest.raises(ValueError, match=r"^NODE_RANK is set, and MASTER_ADDR is not; set it to the same value on all"):
        started_with({"NODE_RANK": "1"})


def test_a_local_rank_that_nobody_has_given(started_with):
    with pytest.raises(ValueError, match=r"^LOCAL_RANK is 1, and neither torchrun nor srun has started this process"):
        started_with({"LOCAL_RANK": "1"})


def test_a_local_rank_that_was_left_does_not_keep_lightning_from_starting_processes(started_with):
    started_with({"LOCAL_RANK": "0"})
    assert ranks.is_main_process() and not ranks.environment().creates_processes_externally


def test_a_job_that_is_not_a_step_of_several_tasks_is_not_for_lightning(monkeypatch):
    for name, value in (JOB | {"SLURM_PROCID": "0"}).items():
        monkeypatch.setenv(name, value)
    assert type(detect()) is LightningEnvironment


class Met:
    """Processes that have met, as many on each node."""

    def __init__(self, *nodes):
        self.nodes = [*nodes]

    def meet(self, count):
        assert count == sum(self.nodes)
        return self.nodes


@pytest.mark.parametrize(
    ("starter", "nodes", "given", "message"),
    [
        (
            "srun",
            (1, 1),
            (2, 1),
            r"srun has started 2 processes \(1 on each of 2 nodes\), got trainer.devices=2 and",
        ),
        ("srun", (2,), (1, 2), r".*; set trainer.devices=2 trainer.num_nodes=1, or have srun start others$"),
        ("srun", (2, 1), (2, 2), r"srun must start as many processes on each node, got 2, 1; set --ntasks-per-node$"),
        ("torchrun", (1,), (2, 1), r"torchrun has started 1 process \(1 on each of 1 nodes\), got trainer.devices=2"),
    ],
)
def test_settings_that_are_not_of_the_processes(starter, nodes, given, message, monkeypatch):
    peers = Met(*nodes) if sum(nodes) > 1 else None
    this = ranks._Process(LightningEnvironment(), True, starter, sum(nodes), peers)
    monkeypatch.setattr(ranks, "_this", this)
    with pytest.raises(ValueError, match=f"^{message}"):
        ranks.check_count(*given)
    if len({*nodes}) == 1:
        ranks.check_count(nodes[0], len(nodes))


def test_the_name_of_a_launch_is_that_of_its_program(monkeypatch):
    for name, value in (STEP | TORCHRUN | {"SLURM_RESTART_COUNT": "2"}).items():
        monkeypatch.setenv(name, value)
    assert launch_name(SrunEnvironment()) == "31234/3/2"
    assert launch_name(TorchElasticEnvironment()) == "r/"
