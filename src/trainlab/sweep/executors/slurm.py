"""Items as SLURM jobs, through submitit."""

import contextlib
import io
import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trainlab.processes import INTERRUPTED
from trainlab.sweep.executors.executor import QUEUED, RUNNING, STOP, Ended
from trainlab.sweep.executors.remote import NotTaken, RemoteExecutor, Silent
from trainlab.sweep.executors.remote_item import Remote

LOGS = "submitit"  # folder of what submitit writes
_ASK_S, _ASK_EACH_S = 2.0, 0.002  # between two questions to SLURM: at least, and for each job
_TIMEOUT_S = 30.0  # until SLURM has answered
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
# What commands say when they did not reach SLURM, which may answer a moment later.
_SILENCE = re.compile(r"unable to contact|timed out|connection|not connected|temporarily", re.IGNORECASE)
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
        self._states: dict[str, str] = {}  # of the user's jobs, by id
        self._reasons: dict[str, str] = {}  # why they wait
        self._said = set[str]()  # reasons, and jobs that are held
        self._asked_s, self._answers = -math.inf, True
        self._in_accounting: dict[str, str] = {}  # states of jobs that SLURM has forgotten
        self._sought = set[str]()  # jobs that accounting was asked for
        self._accounted_s, self._accounts = -math.inf, True

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
            srun_args=[f"--cpus-per-task={cpus}"],
        )
        if not self._answers:
            self._ask()
        if not self._answers:
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
                self._ask()
                if self._answers and not _SILENCE.search(str(refusal)):
                    raise
                raise Silent("SLURM does not answer") from None
            self._unused -= min(at_once, len(words))
        self._asked_s = -math.inf
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
        if self._is_due(self._asked_s):
            self._ask()
        if not self._answers:
            return submitted.status
        state = self._states.get(submitted.id)
        if state is None and (state := self._state_in_accounting(submitted.id)) is None:
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
        reason = self._reasons.get(id_, "")
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
        return self._scancel("--signal=INT", submitted.id)

    def cancel(self, submitted: Remote) -> bool:
        """See `RemoteExecutor`."""
        return self._scancel(submitted.id)

    def _scancel(self, *words: str) -> bool:
        """Whether SLURM has taken it. One that does not answer is not asked again for each job."""
        taken = self._answers and self._run("scancel", *words) is not None
        if self._answers and not taken:
            self._ask()
        return taken

    def _log(self, submitted: Remote) -> Path:
        return self.folder / LOGS / f"{submitted.id}_0_log.out"

    def _ask(self) -> None:
        """Ask SLURM for the states of all jobs of the user that it still has in memory."""
        listed = self._run("squeue", "--noheader", "--array", "--me", "--states=all", "--format=%i %T %r")
        self._asked_s = time.monotonic()
        if self._answers != (listed is not None):
            self._answers = listed is not None
            self._program.say("SLURM answers again" if self._answers else "SLURM does not answer; waiting for it")
        if listed is not None:
            found = [line.split(maxsplit=2) for line in listed.splitlines() if len(line.split()) > 1]
            self._states = {id_: state for id_, state, *_ in found}
            self._reasons = {id_: " ".join(reason) for id_, _, *reason in found}

    def _state_in_accounting(self, id_: str) -> str | None:
        """The state of a job that SLURM has forgotten; "" where accounting does not know it, or there is none.

        None if that is not known yet. One question is for all such jobs.
        """
        if self._is_due(self._accounted_s):
            self._sought = {id_, *(one.id for one in self._live if one.id not in self._states)}
            arrays = ",".join(sorted({one.partition("_")[0] for one in self._sought}))
            words = ("--noheader", "--parsable2", "--allocations", "--format=JobID,State", f"--jobs={arrays}")
            listed = self._run("sacct", *words, may_lack=True)
            self._accounted_s = time.monotonic()
            if self._accounts != (listed is not None):
                self._accounts = listed is not None
                does = "answers again" if self._accounts else "does not answer; waiting for it"
                self._program.say(f"the accounting of SLURM {does}")
            lines = [line.partition("|") for line in (listed or "").splitlines()]
            self._in_accounting = {name: state.partition(" ")[0] for name, _, state in lines}
        return self._in_accounting.get(id_, "") if self._accounts and id_ in self._sought else None

    def _is_due(self, asked_s: float) -> bool:
        """Whether to ask SLURM what it was asked at a time."""
        return time.monotonic() > asked_s + _ASK_S + _ASK_EACH_S * len(self._live)

    def _run(self, *command: str, may_lack: bool = False) -> str | None:
        """What a command of SLURM prints; None where it fails.

        With ``may_lack`` that is where SLURM does not answer it; "" where a cluster lacks what it asks for.
        """
        try:
            # In a session of its own, as Ctrl-C at the terminal is not for it.
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, start_new_session=True)
        except subprocess.TimeoutExpired:
            return None
        except OSError:
            return "" if may_lack else None
        if done.returncode == 0:
            return done.stdout
        return "" if may_lack and not _SILENCE.search(done.stderr) else None


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
