"""The other processes of a training, on any node, and whether they are alive.

They meet at the store of torch.distributed, at MASTER_ADDR and MASTER_PORT, before its process group is there. The main
process serves it, or torchrun. Each process writes a sign of life once a second. The main process watches all others,
they watch the main process. Time in which the watching process was suspended does not count: a job that SLURM suspends
is suspended with all of its processes.
"""

import json
import os
import platform
import threading
import time
import traceback
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lightning.fabric.plugins import ClusterEnvironment
from torch.distributed import PrefixStore, Store, TCPStore

SILENCE_S = 20.0  # after which a process is lost; SLURM and torchrun kill the others after 30 s
SHORT_SILENCE_S = 5.0  # the same where a connection has been lost
_BEAT_S, _POLL_S = 1.0, 0.2
_PAUSE_S = 3.0  # between two looks at the clock, above which this process was suspended
_MEET_S = 300.0  # for all to start; importing PyTorch from a shared file system takes a minute on some clusters
_ANSWER_S = 10.0  # of the store
_DECISION = "decision"


class _Clock:
    """Seconds in which this process was not suspended, if it looks once a second."""

    def __init__(self) -> None:
        self._seconds, self._looked, self._lock = 0.0, time.monotonic(), threading.Lock()

    def now(self) -> float:
        """The seconds since it was made."""
        with self._lock:
            now = time.monotonic()
            self._seconds += min(now - self._looked, _PAUSE_S)
            self._looked = now
            return self._seconds


@dataclass
class _Sign:
    """The latest sign of life of another process, and when it came, by the clock of this one."""

    content: dict[str, Any]
    at: float


class Peers:
    """The other processes of this one.

    Args:
        environment: names the address of the main process.
        number: of this process, 0 for the main one.
        name: that all of them have in common.
        count: of all processes; 0 if that is not known yet.

    Attributes:
        number, count: as given; `meet` and `decision` set the count.

    Raises:
        ValueError: the main process cannot be reached, or its port is taken.
    """

    def __init__(self, environment: ClusterEnvironment, number: int, name: str = "", count: int = 0) -> None:
        self.number, self.count, self._clock = number, count, _Clock()
        host, port = environment.main_address, environment.main_port
        self._serves = number == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        # Two connections: who waits for an answer keeps others from asking.
        prefix = f"trainlab/{name}"
        self._store, self._signs = (
            PrefixStore(prefix, _connect(host, port, serves)) for serves in (self._serves, False)
        )
        place = {"node": environment.node_rank(), "host": os.environ.get("SLURMD_NODENAME") or platform.node()}
        self._own: dict[str, Any] = {"beat": 0, "status": None, "error": None, **place}
        self._seen: dict[int, _Sign] = {}
        self._heard, self._is_broken = self._clock.now(), False  # from the store
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="signs of life", daemon=True)
        self._thread.start()

    def meet(self, count: int) -> list[int]:
        """In the main process: wait for all of ``count`` processes. Returns their number on each node.

        Raises:
            ValueError: some have not come.
        """
        self.count, deadline = count, time.monotonic() + _MEET_S
        while missing := [number for number in range(1, count) if number not in self._seen]:
            if time.monotonic() > deadline:
                numbers = ", ".join(str(number + 1) for number in missing)
                raise ValueError(
                    f"{len(missing)} of {count} processes (number {numbers}) have not been started within "
                    f"{_MEET_S:.0f} s, or do not reach MASTER_ADDR and MASTER_PORT; start all of them"
                )
            time.sleep(_POLL_S)
        nodes = [self._own["node"], *(self._seen[number].content["node"] for number in range(1, count))]
        return [nodes.count(node) for node in sorted({*nodes})]

    def publish(self, decision: str) -> None:
        """In the main process: have `decision` of the others return it."""
        self._store.set(_DECISION, json.dumps([self.count, decision]))

    def decision(self) -> str:
        """What the main process publishes; waits for it.

        Raises:
            ChildProcessError: it is lost.
            SystemExit: it has ended before, with that status.
        """
        while True:
            try:
                if self._store.check([_DECISION]):
                    self.count, found = json.loads(self._store.get(_DECISION))
                    return str(found)
            except RuntimeError as error:
                raise self._lost_main() from error
            main = self._seen.get(0)
            if main and main.content["status"] is not None:
                raise SystemExit(main.content["status"])
            if lost := self.lost():
                raise lost
            time.sleep(_POLL_S)

    def lost(self, silence_s: float = SILENCE_S) -> ChildProcessError | None:
        """The error that another process has failed, or has given no sign of life for so many seconds."""
        now = self._clock.now()
        if not self._serves and (self._is_broken or now - self._heard > silence_s):
            return self._lost_main()
        others = [*self._seen.items()]
        for number, sign in others:
            if sign.content["error"]:
                return self._error(number, f"failed: {sign.content['error']}")
        for number, sign in others:
            if sign.content["status"] is None and now - sign.at > silence_s:
                how = f"has given no sign of life for {now - sign.at:.0f} s: it was killed, or its node was lost"
                return self._error(number, how)
        ended = [(number, sign.content["status"]) for number, sign in others if sign.content["status"]]
        return self._error(ended[0][0], f"has ended with exit status {ended[0][1]}") if ended else None

    def leave(self, status: int, error: BaseException | None) -> bool:
        """Have the others know how this process ends; the main one waits until they do. Returns whether they can."""
        self._over.set()
        self._thread.join(2 * _ANSWER_S)
        if self._thread.is_alive() or self._is_broken:
            return False
        message = "".join(traceback.format_exception_only(error)).strip().splitlines() if error else [""]
        self._own |= {"status": status, "error": message[0]}
        try:
            self._give_sign()
            deadline = time.monotonic() + SHORT_SILENCE_S
            while self.number == 0 and time.monotonic() < deadline and self._is_needed():
                time.sleep(_POLL_S)
                self._look()
        except RuntimeError:
            return False
        return True

    def _is_needed(self) -> bool:
        """Whether others do not know the end of this process yet, also such as come later to a store that it serves."""
        are_missing = self._serves and len(self._seen) < self.count - 1
        return are_missing or any(map(self._is_there, [*self._seen]))

    def _is_there(self, number: int) -> bool:
        sign = self._seen[number]
        return sign.content["status"] is None and self._clock.now() - sign.at < SHORT_SILENCE_S

    def _live(self) -> None:
        """In a thread: give signs of life and look for those of others."""
        while True:
            try:
                self._give_sign()
                self._look()
            except RuntimeError:
                self._is_broken = True
                return
            self._heard = self._clock.now()
            if self._over.wait(_BEAT_S):
                return

    def _give_sign(self) -> None:
        self._own["beat"] += 1
        self._signs.set(_key(self.number), json.dumps(self._own))

    def _look(self) -> None:
        watched = range(1, self.count) if self.number == 0 else [0]
        known = [n for n in watched if n in self._seen or self._signs.check([_key(n)])]
        for number, content in zip(known, self._signs.multi_get([*map(_key, known)]) if known else (), strict=True):
            found = json.loads(content)
            if number not in self._seen or self._seen[number].content != found:
                self._seen[number] = _Sign(found, self._clock.now())

    def _lost_main(self) -> ChildProcessError:
        return self._error(0, "was killed, or its node was lost")

    def _error(self, number: int, how: str) -> ChildProcessError:
        host = f" on {self._seen[number].content['host']}" if number in self._seen else ""
        return ChildProcessError(f"process {number + 1} of {self.count or 'all'}{host} {how}; training cannot continue")


def _key(number: int) -> str:
    return f"sign/{number}"


def _connect(host: str, port: int, serves: bool) -> Store:
    """A connection to the store. Where this process ``serves`` it, torch.distributed finds it at the same port."""
    try:
        store = TCPStore(
            *(host, port, None, serves, timedelta(seconds=_MEET_S)), wait_for_workers=False, multi_tenant=True
        )
    except RuntimeError as error:
        if serves:
            rule = f"port {port}, at which the processes of a training meet, cannot be opened"
            raise ValueError(f"{rule} ({str(error).splitlines()[0]}); set MASTER_PORT to a free one") from None
        raise ValueError(
            f"the first process of the training is not reached at {host}, port {port}, within {_MEET_S:.0f} s; "
            "set MASTER_ADDR and MASTER_PORT to an address that all nodes know"
        ) from None
    store.set_timeout(timedelta(seconds=_ANSWER_S))
    return store
