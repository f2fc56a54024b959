"""Items as SLURM jobs, through submitit."""

import contextlib
import io
import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trainlab.processes import INTERRUPTED
from trainlab.sweep.executors.executor import QUEUED, RUNNING, STOP, Ended
from trainlab.sweep.executors.remote import NotTaken, RemoteExecutor, Silent
from trainlab.sweep.executors.remote_item import Remote
from trainlab.sweep.executors.slurm_queue import Queue, is_silence

LOGS = "submitit"  # folder of what submitit writes
_QUEUED = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "RESV_DEL_HOLD")
_RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "STAGE_OUT", "SIGNALING", "STOPPED", "RESIZING")
# States in which SLURM took a job from the machine that it ran on, and what to say of them.
_TAKEN_AWAY = {
    "PREEMPTED": "preempted",
    "TIMEOUT": "its time limit was reached",
    "NODE_FAIL": "its node was lost",
    "BOOT_FAIL": "its node did not start",
    "REVOKED": "its cluster has given it up",
}
# States in which a job waits for its user, and is not started by itself.
_HELD = ("REQUEUE_HOLD", "SPECIAL_EXIT")
# Reasons for which a job waits that end by themselves.
_USUAL = ("None", "Priority", "Resources", "BeginTime", "JobArrayTaskLimit", "Dependency", "Cleaning", "Prolog")
# What SLURM writes to the log of a job that it kills for its memory, whose state depends on how it does so.
_MEMORY = re.compile(r"exceeded (job )?memory limit|oom.kill|out.of.memory", re.IGNORECASE)
_TAIL = 20_000  # bytes of a log that are looked at
# A signal that comes before the program has handlers of its own does not end it.
_SHELL = ("sh", "-c", "trap '' INT HUP TERM USR2; exec \"$@\"", "sh")


class SubmititExecutor(RemoteExecutor):
    """Base of executors that start items through submitit."""

    def __init__(self, cpus: int, mem_gb: float | None, gpus: int, restarts: int, on_interrupt: str) -> None:
        super().__init__(cpus, mem_gb, gpus, restarts, on_interrupt)
        try:
            import submitit
        except ImportError as error:
            raise ValueError(
                f"sweep/executor={self.name} needs submitit ({error}); pip install 'trainlab[slurm]'"
            ) from None
        self._submitit: Any = submitit

    def submit_all(self, executor: Any, commands: Sequence[Sequence[str]]) -> list[Any]:
        """Jobs of submitit that become the command lines; several are one array."""
        words = [[*_SHELL, *command] for command in commands]
        try:
            # submitit prints what sbatch says of a refusal; the exception has it, too.
            with _without_enclosing_job(), contextlib.redirect_stderr(io.StringIO()):
                if len(words) == 1:
                    return [executor.submit(os.execv, "/bin/sh", words[0])]
                with executor.batch():
                    jobs = [executor.submit(os.execv, "/bin/sh", one) for one in words]
            return jobs
        except (self._submitit.core.utils.FailedJobError, OSError) as error:
            raise NotTaken(_reason(str(error))) from None


class SlurmExecutor(SubmititExecutor):
    """SLURM jobs, several in an array.

    Args:
        partition: to submit to; None for the default one.
        account: to charge; None for the user's default.
        time_min: time limit in minutes; None for that of the partition.
        cpus, mem_gb, gpus, restarts, on_interrupt: see `RemoteExecutor`.
        array_size: largest number of jobs of an array.
        warning_s: seconds before a time limit at which a job is warned.
        setup: shell commands before each job, such as "module load cuda".
        options: more options of sbatch by name, such as qos or constraint.
    """

    name = "slurm"
    queues = True

    def __init__(
        self,
        partition: str | None = None,
        account: str | None = None,
        time_min: int | None = None,
        cpus: int = 1,
        mem_gb: float | None = None,
        gpus: int = 0,
        array_size: int = 100,
        warning_s: int = 90,
        setup: Sequence[str] = (),
        options: Mapping[str, Any] = MappingProxyType({}),
        restarts: int = 5,
        on_interrupt: str = STOP,
    ) -> None:
        super().__init__(cpus, mem_gb, gpus, restarts, on_interrupt)
        if array_size < 1:
            raise ValueError(f"array_size must be at least 1, got {array_size}; set sweep.executor.array_size")
        if time_min is not None and time_min < 1:
            raise ValueError(f"time_min must be at least 1, got {time_min}; set sweep.executor.time_min")
        self.array_size = array_size
        self._parameters = {
            "partition": partition,
            "account": account,
            "time": time_min,
            "mem": None if mem_gb is None else f"{int(mem_gb * 1024)}MB",
            "signal_delay_s": warning_s,
            "setup": [*setup] or None,
            "stderr_to_stdout": True,
            "additional_parameters": {str(key).replace("_", "-"): value for key, value in options.items()},
        }
        self._queue = Queue(lambda text: self._program.say(text))
        self._said = set[str]()  # reasons for which jobs wait, and jobs that are held

    def start(self, items: Sequence[Remote], commands: Sequence[Sequence[str]]) -> Sequence[str]:
        """See `RemoteExecutor`."""
        first = items[0].item
        try:
            executor = self._submitit.SlurmExecutor(self.folder / LOGS)
        except RuntimeError:
            raise NotTaken("there is no srun here, so this is no host of a SLURM cluster") from None
        cpus, gpus = self.cpus * first.devices, max(self.gpus, first.devices if first.on_gpu else 0)
        executor.update_parameters(
            **self._parameters,
            job_name=re.sub(r"[^\w.-]", "_", self._program.name) or "sweep",
            cpus_per_task=cpus,
            gpus_per_node=gpus or None,
            srun_args=["--ntasks=1", f"--cpus-per-task={cpus}"],  # or srun fills a node that the job has for itself
        )
        if not self._queue.answers:
            self._queue.ask()
        if not self._queue.answers:
            raise Silent("SLURM does not answer")
        ids: list[str] = []
        for start in range(0, len(commands), self.array_size):
            words = commands[start : start + self.array_size]
            at_once = self._share(len(words), self._waiting - start)
            if at_once < 1:
                break
            executor.update_parameters(array_parallelism=at_once)
            try:
                ids += [job.job_id for job in self.submit_all(executor, words)]
            except NotTaken as refusal:
                if ids:
                    break
                self._queue.ask()
                if self._queue.answers and not is_silence(str(refusal)):
                    raise
                raise Silent("SLURM does not answer") from None
            self._unused -= min(at_once, len(words))
        self._queue.expire()
        return ids

    def _share(self, size: int, waiting: int) -> int:
        """Of the slots, for an array of ``size`` of the items that wait: a detached sweep has all its arrays queued.

        Each needs one, so not all of them may be submitted.
        """
        if not self._program.detach:
            return self._slots
        return min(self._unused, max(1, self._unused * size // waiting))

    def look(self, submitted: Remote) -> str | Ended:
        """See `RemoteExecutor`."""
        state = self._queue.state(submitted.id, self._live)
        if state is None:
            return submitted.status
        if state in _QUEUED:
            self._say_why_it_waits(submitted.id)
            return QUEUED
        if state in _RUNNING:
            return RUNNING
        job, log = f"SLURM job {submitted.id}", self._log(submitted)
        if state == "OUT_OF_MEMORY" or _MEMORY.search(_tail(log)):
            advice = f"set sweep.executor.mem_gb above {self.mem_gb or 'what the partition gives'}"
            return Ended(-signal.SIGKILL, reason=f"{job} was killed for its memory; {advice}")
        if state == "CANCELLED":
            return Ended(INTERRUPTED, reason=f"{job} was cancelled")
        if state in _HELD:
            return Ended(1, reason=f"{job} is held ({state}); `scancel {submitted.id}` removes it")
        if state in _TAKEN_AWAY:
            return Ended(INTERRUPTED, reason=f"{job}: {_TAKEN_AWAY[state]}", again=True)
        if submitted.files.is_saved:
            return Ended(INTERRUPTED, reason=f"{job} was to end, and has saved its runs", again=True)
        if submitted.files.started() is None:
            return Ended(INTERRUPTED, reason=f"{job} ended before its program began; see {log}", again=True)
        return Ended(1, reason=f"{job} ended without a record ({state or 'SLURM knows no more of it'}); see {log}")

    def _say_why_it_waits(self, id_: str) -> None:
        """Say once that a job is held, as after a launch that failed on its node; once of any other unusual reason."""
        reason = self._queue.reason(id_)
        is_held = "held" in reason.lower()
        if reason in ("", *_USUAL) or (key := id_ if is_held else reason) in self._said:
            return
        self._said.add(key)
        if is_held:
            self._program.say(f"SLURM job {id_} is held ({reason.lower()}); `scontrol release {id_}` has it start")
        else:
            self._program.say(f"SLURM job {id_} waits ({reason})")

    def interrupt(self, submitted: Remote) -> bool:
        """See `RemoteExecutor`."""
        return self._queue.scancel("--signal=INT", submitted.id)

    def cancel(self, submitted: Remote) -> bool:
        """See `RemoteExecutor`."""
        return self._queue.scancel(submitted.id)

    def _log(self, submitted: Remote) -> Path:
        return self.folder / LOGS / f"{submitted.id}_0_log.out"


def _tail(path: Path) -> str:
    """The end of a log; "" if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


@contextlib.contextmanager
def _without_enclosing_job() -> Iterator[None]:
    """Submit as from outside a SLURM job, whose variables would be taken for options; where SLURM is stays known."""
    names = [name for name in os.environ if name.startswith(("SLURM_", "SRUN_", "SBATCH_", "SUBMITIT_"))]
    taken = {name: os.environ.pop(name) for name in names if name != "SLURM_CONF"}
    try:
        yield
    finally:
        os.environ.update(taken)


def _reason(text: str) -> str:
    """What is wrong, of an error of sbatch: all lines that say so, as the first one may name a limit."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = dict.fromkeys(line.partition("error:")[2].strip() for line in lines if "error:" in line)
    return "; ".join(filter(None, said)) or (lines or ["sbatch failed"])[-1]
