"""What SLURM and its accounting know of a user's jobs, and what they are sent."""

import math
import re
import subprocess
import time
from collections.abc import Callable, Sequence

from trainlab.sweep.executors.remote_item import Remote

_ASK_S, _ASK_EACH_S = 2.0, 0.002  # between two questions to SLURM: at least, and for each job
_TIMEOUT_S = 30.0  # until SLURM has answered
# What commands say when they did not reach SLURM, which may answer a moment later.
_SILENCE = re.compile(r"unable to contact|timed out|connection|not connected|temporarily", re.IGNORECASE)


class Queue:
    """The jobs of this user in SLURM, by squeue, and in its accounting, by sacct. One question is for all of them.

    Args:
        say: prints a line, such as that SLURM does not answer.

    Attributes:
        answers: whether SLURM has answered when it was asked last.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._states: dict[str, str] = {}  # of jobs that SLURM has in memory, by id
        self._reasons: dict[str, str] = {}  # why they wait
        self._asked_s, self.answers = -math.inf, True
        self._in_accounting: dict[str, str] = {}  # states of jobs that SLURM has forgotten
        self._sought = set[str]()  # jobs of the latest question to accounting
        self._accounted_s, self._accounts = -math.inf, True

    def state(self, id_: str, live: Sequence[Remote]) -> str | None:
        """The state of a job, such as "PENDING"; "" if nothing knows it any more, None if that is not known yet.

        Args:
            id_: of the job.
            live: all jobs of which states are needed. The more there are, the longer an answer is used.
        """
        if self._is_due(self._asked_s, live):
            self.ask()
        if not self.answers:
            return None
        state = self._states.get(id_)
        return self._state_in_accounting(id_, live) if state is None else state

    def reason(self, id_: str) -> str:
        """Why a job waits; "" if that is not known."""
        return self._reasons.get(id_, "")

    def ask(self) -> None:
        """Ask SLURM for the states of all jobs that it still has in memory."""
        listed = _run("squeue", "--noheader", "--array", "--me", "--states=all", "--format=%i %T %r")
        self._asked_s = time.monotonic()
        if self.answers != (listed is not None):
            self.answers = listed is not None
            self._say("SLURM answers again" if self.answers else "SLURM does not answer; waiting for it")
        if listed is not None:
            found = [line.split(maxsplit=2) for line in listed.splitlines() if len(line.split()) > 1]
            self._states = {id_: state for id_, state, *_ in found}
            self._reasons = {id_: " ".join(reason) for id_, _, *reason in found}

    def expire(self) -> None:
        """Have SLURM asked anew for the next state, as there are other jobs."""
        self._asked_s = -math.inf

    def scancel(self, *words: str) -> bool:
        """Call scancel. Returns whether SLURM has taken it; not called while SLURM does not answer."""
        taken = self.answers and _run("scancel", *words) is not None
        if self.answers and not taken:
            self.ask()
        return taken

    def _state_in_accounting(self, id_: str, live: Sequence[Remote]) -> str | None:
        """The state of a job that SLURM has forgotten; "" where accounting does not know it, or there is none.

        None if that is not known yet.
        """
        if self._is_due(self._accounted_s, live):
            self._sought = {id_, *(one.id for one in live if one.id not in self._states)}
            arrays = ",".join(sorted({one.partition("_")[0] for one in self._sought}))
            words = ("--noheader", "--parsable2", "--allocations", "--format=JobID,State", f"--jobs={arrays}")
            listed = _run("sacct", *words, may_lack=True)
            self._accounted_s = time.monotonic()
            if self._accounts != (listed is not None):
                self._accounts = listed is not None
                does = "answers again" if self._accounts else "does not answer; waiting for it"
                self._say(f"the accounting of SLURM {does}")
            lines = [line.partition("|") for line in (listed or "").splitlines()]
            self._in_accounting = {name: state.partition(" ")[0] for name, _, state in lines}
        return self._in_accounting.get(id_, "") if self._accounts and id_ in self._sought else None

    def _is_due(self, asked_s: float, live: Sequence[Remote]) -> bool:
        """Whether to ask again what was asked at a time."""
        return time.monotonic() > asked_s + _ASK_S + _ASK_EACH_S * len(live)


def is_silence(message: str) -> bool:
    """Whether a command that has failed with this message did not reach SLURM."""
    return bool(_SILENCE.search(message))


def _run(*command: str, may_lack: bool = False) -> str | None:
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
    return "" if may_lack and not is_silence(done.stderr) else None
