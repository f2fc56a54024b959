"""The processes of one training: which of them this is, and what they exchange besides tensors.

They are started by srun, by torchrun, by hand on each node, or by Lightning in the main process. The main process is
the one of global rank 0. It alone composes the configuration, holds the run's folder, writes and prints.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing Lightning takes seconds, and most processes are the only ones of their training
    from lightning.fabric.plugins import ClusterEnvironment

    from trainlab.ranks.peers import Peers

DECISION = "TRAINLAB_DECISION"  # passes what the main process has decided to those that Lightning starts
BY_HAND = "the command on each node"


@dataclass
class _Process:
    """This process.

    Attributes:
        environment: Lightning's, of rank and number of processes.
        is_main: whether it is the main one.
        starter: program that has started all, `BY_HAND`, or "" for this one and Lightning.
        count: processes that ``starter`` has started; 1 where Lightning starts the others.
        peers: the others, where Lightning does not start them.
    """

    environment: "ClusterEnvironment"
    is_main: bool
    starter: str = ""
    count: int = 1
    peers: "Peers | None" = None


_this: _Process | None = None  # None for the only one


def join() -> None:
    """Find out which process of a training this is, and connect to the others, which have been started with it.

    Raises:
        ValueError: it cannot be one.
    """
    global _this
    if not any(name in os.environ for name in ("LOCAL_RANK", "NODE_RANK")) and not _is_one_of_tasks():
        return
    # Read as PyTorch is imported: its warnings of a lost connection have dozens of lines, and ours is one.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from lightning.fabric.plugins.environments import LightningEnvironment

    from trainlab.ranks.environments import SrunEnvironment, detect, launch_name

    environment = detect()
    if not isinstance(environment, LightningEnvironment):
        from trainlab.ranks.peers import Peers

        rank, count = environment.global_rank(), environment.world_size()
        starter = "srun" if isinstance(environment, SrunEnvironment) else "torchrun"
        peers = Peers(environment, rank, launch_name(environment), count) if count > 1 else None
        _this = _Process(environment, rank == 0, starter, count, peers)
    elif os.environ.get(DECISION) and environment.local_rank():
        _this = _Process(environment, is_main=False)
    elif environment.local_rank():
        raise ValueError(
            f"LOCAL_RANK is {environment.local_rank()}, and neither torchrun nor srun has started this process; "
            "unset LOCAL_RANK, or start all processes by one of these"
        )
    else:
        os.environ.pop("LOCAL_RANK", None)  # Lightning would take the other processes for started
        _this = _Process(environment, environment.node_rank() == 0, BY_HAND if "NODE_RANK" in os.environ else "")
        if environment.node_rank():
            _this.peers = _on_other_nodes(_this)


def _on_other_nodes(process: _Process) -> "Peers":
    """The first processes of the other nodes, where each was started by hand."""
    from trainlab.ranks.peers import Peers

    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            raise ValueError(f"NODE_RANK is set, and {name} is not; set it to the same value on all nodes")
    return Peers(process.environment, process.environment.node_rank())


def _is_one_of_tasks() -> bool:
    """Whether srun has started this process, or one that has started it, as one of several."""
    return os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1"


def is_main_process() -> bool:
    """Whether this process decides, writes and prints. A process that has not joined others is the only one."""
    return _this is None or _this.is_main


def count_processes() -> int:
    """Processes that were started together with this one, and this one. Those that Lightning starts do not count."""
    return 1 if _this is None else _this.count


def starter() -> str:
    """Name of the program that has started these processes; "" for none."""
    return "" if _this is None else _this.starter


def environment() -> "ClusterEnvironment":
    """Lightning's, for a Trainer: inside a job of SLURM that of SLURM only where srun has started several processes."""
    from lightning.fabric.plugins.environments import LightningEnvironment

    return LightningEnvironment() if _this is None or starter() in ("", BY_HAND) else _this.environment


def others() -> "Peers | None":
    """The other processes; None where there are none, or Lightning starts them."""
    return None if _this is None else _this.peers


def share_of_cores(processes: int) -> int:
    """How many of so many processes on this node divide the cores of this one: SLURM has divided those of its tasks."""
    return 1 if starter() == "srun" else processes


def check_count(devices: int, num_nodes: int) -> None:
    """In the main process: meet the others.

    Args:
        devices: of this process's node.
        num_nodes: of the training.

    Raises:
        ValueError: the settings are not those of the processes that were started.
    """
    given = f"trainer.devices={devices} and trainer.num_nodes={num_nodes}"
    if starter() in ("", BY_HAND):
        if num_nodes > 1 and not starter():
            raise ValueError(
                f"trainer.num_nodes={num_nodes} needs processes on so many nodes, got this one; start the command by "
                "srun or torchrun, or on each node with NODE_RANK, MASTER_ADDR and MASTER_PORT set"
            )
        if num_nodes > 1:
            assert _this is not None
            _this.peers = _on_other_nodes(_this)
            _this.peers.meet(num_nodes)
        return
    by, count, peers = starter(), count_processes(), others()
    nodes = peers.meet(count) if peers else [1]
    if len({*nodes}) > 1:
        raise ValueError(
            f"{by} must start as many processes on each node, got {', '.join(map(str, nodes))}; "
            f"set {'--ntasks-per-node' if by == 'srun' else '--nproc-per-node'}"
        )
    if (devices, num_nodes) != (nodes[0], len(nodes)):
        processes = "1 process" if count == 1 else f"{count} processes"
        raise ValueError(
            f"{by} has started {processes} ({nodes[0]} on each of {len(nodes)} nodes), got {given}; "
            f"set trainer.devices={nodes[0]} trainer.num_nodes={len(nodes)}, or have {by} start others"
        )


def leave(status: int, error: BaseException | None = None) -> bool:
    """Let the others know that this process ends, with which exit status and error. Returns whether they do."""
    peers = others()
    return peers is not None and peers.leave(status, error)
