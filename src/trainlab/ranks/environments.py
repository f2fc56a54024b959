"""Which of Lightning's cluster environments holds for this process."""

import os

from lightning.fabric.plugins import ClusterEnvironment
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment

_FIRST_PORT, _PORTS = 15000, 15000  # below those that systems give to clients


class SrunEnvironment(SLURMEnvironment):
    """Lightning's for SLURM, for a process that srun has started as one of several; nothing is requeued.

    Lightning takes every process inside a job for one of them, such as the only one of an interactive session, refuses
    `srun -n2` without `--ntasks-per-node`, and takes address and port of the job for those of each of its steps.
    """

    def __init__(self) -> None:
        super().__init__(auto_requeue=False)

    @staticmethod
    def detect() -> bool:
        """Whether srun has started this process, and others."""
        return os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1" and "SLURM_PROCID" in os.environ

    @property
    def main_address(self) -> str:
        """The first node of the step."""
        if "MASTER_ADDR" not in os.environ:
            nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ["SLURM_JOB_NODELIST"]
            os.environ["MASTER_ADDR"] = self.resolve_root_node_address(nodes)
        return os.environ["MASTER_ADDR"]

    @property
    def main_port(self) -> int:
        """One that follows from job and step."""
        if "MASTER_PORT" not in os.environ:
            job, step = (int(os.environ.get(name, 0)) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
            os.environ["MASTER_PORT"] = str(_FIRST_PORT + (job + 101 * step) % _PORTS)
        return int(os.environ["MASTER_PORT"])

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Nothing: `trainlab.ranks.check_count` has compared them with the processes of the step."""

    @staticmethod
    def _validate_srun_used() -> None:
        pass

    @staticmethod
    def _validate_srun_variables() -> None:
        pass


def detect() -> ClusterEnvironment:
    """That of who has started this process."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    return SrunEnvironment() if SrunEnvironment.detect() else LightningEnvironment()


def launch_name(environment: ClusterEnvironment) -> str:
    """A name that the processes of a training have in common, and no others at the same address."""
    slurm, elastic = ("JOB_ID", "STEP_ID", "RESTART_COUNT"), ("RUN_ID", "RESTART_COUNT")
    names = [f"SLURM_{name}" for name in slurm]
    if isinstance(environment, TorchElasticEnvironment):
        names = [f"TORCHELASTIC_{name}" for name in elastic]
    return "/".join(os.environ.get(name, "") for name in names)
