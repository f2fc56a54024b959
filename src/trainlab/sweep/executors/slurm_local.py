"""Items as processes that submitit starts on this machine as if they were SLURM jobs."""

import contextlib
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from trainlab.processes import INTERRUPTED, count_cores
from trainlab.runs.heartbeat import where
from trainlab.sweep.executors.executor import QUEUED, RUNNING, STOP, Ended, Program
from trainlab.sweep.executors.remote_item import Remote
from trainlab.sweep.executors.slurm import LOGS, SubmititExecutor
from trainlab.sweep.items import is_process, items_of, process_of
from trainlab.sweep.plan import Job
from trainlab.sweep.resources import Memory

# Of the shell that starts an item on this machine: what it starts does not get Ctrl-C at the terminal, which is the
# sweep's to decide. submitit takes the id of that shell for the job's: one with a trap at its end has to outlive what
# it starts, where bash becomes that otherwise.
_SETUP = ("trap '' INT HUP", "trap : EXIT")


class SlurmLocalExecutor(SubmititExecutor):
    """Processes of this machine that outlive the sweep, as SLURM jobs do. They train on the CPU.

    Args:
        time_min: time limit in minutes.
        cpus, mem_gb, restarts, on_interrupt: see `RemoteExecutor`.
        warning_s: seconds before the time limit at which a job is warned.
    """

    name = "slurm_local"
    is_here = True

    def __init__(
        self,
        time_min: float = 1440.0,
        cpus: int = 1,
        mem_gb: float | None = None,
        warning_s: int = 90,
        restarts: int = 5,
        on_interrupt: str = STOP,
    ) -> None:
        super().__init__(cpus, mem_gb, 0, restarts, on_interrupt)
        if time_min <= 0:
            raise ValueError(f"time_min must be above 0, got {time_min}; set sweep.executor.time_min")
        self._parameters = {"timeout_min": time_min, "signal_delay_s": warning_s, "setup": [*_SETUP]}
        self._jobs: dict[str, Any] = {}  # of submitit, by id

    def capacity(self, jobs: Sequence[Job], memory: Memory, gpus: int) -> tuple[int, Memory, int]:
        """See `RemoteExecutor`.

        Raises:
            ValueError: a job is to train on a GPU.
        """
        if any(job.on_gpu for job in jobs):
            raise ValueError(
                "sweep/executor=slurm_local trains on the CPU, got jobs that use a GPU; set trainer=cpu, or "
                "sweep/executor=local"
            )
        return super().capacity(jobs, memory, gpus)

    @property
    def at_once(self) -> int:
        """See `RemoteExecutor`."""
        return max(1, count_cores() // self.cpus)

    def start(self, items: Sequence[Remote], commands: Sequence[Sequence[str]]) -> Sequence[str]:
        """See `RemoteExecutor`."""
        executor = self._submitit.LocalExecutor(self.folder / LOGS)
        executor.update_parameters(**self._parameters, gpus_per_node=0, stderr_to_stdout=True)
        jobs = [job for command in commands for job in self.submit_all(executor, [command])]
        self._jobs |= {job.job_id: job for job in jobs}
        return [job.job_id for job in jobs]

    def about(self, id_: str) -> Mapping[str, Any]:
        """See `RemoteExecutor`."""
        return process_of(int(id_))

    def attach(self, program: Program, jobs: Sequence[Job]) -> Sequence[Remote]:
        """See `Executor`.

        Raises:
            ValueError: they run on another host.
        """
        for files in items_of(program.folder):
            about = files.submitted()
            if about and about["executor"] == self.name and about["host"] != socket.gethostname():
                raise ValueError(
                    f"jobs of this sweep were submitted on {about['host']}, got {socket.gethostname()}; give the "
                    f"command there, or end them and remove {files.path.parent}"
                )
        return super().attach(program, jobs)

    def look(self, submitted: Remote) -> str | Ended:
        """See `RemoteExecutor`."""
        if job := self._jobs.get(submitted.id):
            job.done()  # a child that has ended would count as alive until it is asked
        started = submitted.files.started()
        if started and is_process(started):
            return RUNNING
        if (above := submitted.files.submitted()) and is_process(above):
            return RUNNING if started else QUEUED
        log = self.folder / LOGS / f"{submitted.id}_0_log.out"
        if started is None:
            return Ended(INTERRUPTED, reason=f"the process ended before its program began; see {log}", again=True)
        if started["where"] != where():
            return Ended(INTERRUPTED, reason="this machine was restarted", again=True)
        return Ended(-signal.SIGKILL, reason=f"the process was killed; see {log}")

    def interrupt(self, submitted: Remote) -> bool:
        """See `RemoteExecutor`."""
        return self._send(submitted, signal.SIGINT)

    def cancel(self, submitted: Remote) -> bool:
        """See `RemoteExecutor`. One that has not started finds that it is not to, and ends itself."""
        return self._send(submitted, signal.SIGKILL)

    def _send(self, submitted: Remote, number: signal.Signals) -> bool:
        """Send a signal to the process of an item and those that it has started, one for each further device."""
        if (started := submitted.files.started()) and is_process(started):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started["pid"], number)
        return True
