"""Items as processes on the nodes of a Ray cluster, each below an actor that holds what it takes of the node."""

import contextlib
import json
import logging
import math
import os
import shutil
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainlab.processes import INTERRUPTED, count_cores
from trainlab.runs.files import read_listed
from trainlab.sweep.executors import ray_process
from trainlab.sweep.executors.executor import LEAVE, QUEUED, RUNNING, STOP, Ended, Program
from trainlab.sweep.executors.remote import RemoteExecutor
from trainlab.sweep.executors.remote_item import Remote
from trainlab.sweep.items import check_executor, is_process, items_of
from trainlab.sweep.plan import Job
from trainlab.sweep.resources import Memory

_LOCAL = "local"
_NAMESPACE = "trainlab"  # of the names of actors
_LOGS, _STATUS = "ray", "status"  # folder of what items print; file of an item with the exit status of its process
_ASK_S, _END_S = 2.0, 30.0  # between two questions to Ray; until processes have ended whose cluster has
_REACH_S = 10.0  # until the host of a cluster answers
_STORE_BYTES = 80 * 2**20  # of shared memory; the least that Ray takes, as items use none
_OF_OTHERS = ("SLURM_", "SRUN_", "SBATCH_", "SUBMITIT_", "RAY_")  # variables that are not an item's


class RayExecutor(RemoteExecutor):
    """Actors of Ray, each with a process; a detached actor outlives the sweep, and its name is in the sweep's folder.

    Args:
        address: of the cluster: "local" for one that starts and ends with the sweep on this machine, "auto" for the
            one that runs on it or that RAY_ADDRESS names, "host:port" or "ray://host:port".
        gpus: of an item; a part of one as a fraction.
        cpus, mem_gb, restarts, on_interrupt: see `RemoteExecutor`.
    """

    name = "ray"

    def __init__(
        self,
        address: str = _LOCAL,
        cpus: int = 1,
        mem_gb: float | None = None,
        gpus: float = 0,
        restarts: int = 5,
        on_interrupt: str = STOP,
    ) -> None:
        super().__init__(cpus, mem_gb, math.ceil(gpus), restarts, on_interrupt)
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"gpus must be a fraction of one or a whole number, got {gpus}; set sweep.executor.gpus")
        self.address, self._gpus_each = address, gpus
        self._is_local = self.is_here = address == _LOCAL
        self.can_leave = not self._is_local
        if self._is_local and on_interrupt == LEAVE:
            raise ValueError(
                f"on_interrupt must be stop or cancel where the cluster ends with the sweep, got {LEAVE}; set "
                "sweep.executor.on_interrupt, or sweep.executor.address to that of a Ray cluster"
            )
        try:
            import ray
        except ImportError as error:
            raise ValueError(f"sweep/executor=ray needs ray ({error}); pip install 'trainlab[ray]'") from None
        self._ray: Any = ray
        self._actors: dict[str, Any] = {}  # of this process, by name
        self._names: set[str] = set()  # of actors that have not ended
        self._asked_s, self._answers = 0.0, True
        self._held: list[int] = []  # signals that came while the cluster was being reached

    def capacity(self, jobs: Sequence[Job], memory: Memory, gpus: int) -> tuple[int, Memory, int]:
        """See `RemoteExecutor`. Several items may share a GPU."""
        each = min(self._gpus_each or 1, 1)
        at_once, memory, gpus = super().capacity(jobs, memory, int(gpus / each))
        return at_once, replace(memory, gpu=memory.gpu and int(memory.gpu * each)), gpus

    @property
    def at_once(self) -> int:
        """See `RemoteExecutor`."""
        return max(1, count_cores() // self.cpus) if self._is_local else super().at_once

    def attach(self, program: Program, jobs: Sequence[Job]) -> Sequence[Remote]:
        """See `Executor`. What ran in a cluster of an earlier sweep's own has ended with it."""
        if self._is_local and program.detach:
            raise ValueError(
                "sweep.detach needs a Ray cluster that outlives the sweep, got sweep.executor.address=local; set it to "
                "auto or to the address of one"
            )
        check_executor(program.folder, self.name)
        for files in items_of(program.folder):
            submitted = files.submitted()
            if submitted and submitted["id"].startswith(f"{_LOCAL}-"):
                end = time.monotonic() + _END_S
                while (started := files.started()) and is_process(started) and time.monotonic() < end:
                    time.sleep(0.1)
                files.remove()
            elif submitted and self._is_local:
                raise ValueError(
                    "jobs of this sweep were submitted to a Ray cluster, got sweep.executor.address=local; set it to "
                    f"that of the cluster, or cancel them and remove {files.path.parent}"
                )
        return super().attach(program, jobs)

    @contextlib.contextmanager
    def opened(self, program: Program, slots: int, gpus: int) -> Iterator[Path]:
        """See `Executor`.

        Raises:
            ValueError: the cluster does not answer, or does not start.
        """
        with self._connected(slots), super().opened(program, slots, gpus) as notices:
            (self.folder / _LOGS).mkdir(exist_ok=True)
            yield notices

    def start(self, items: Sequence[Remote], commands: Sequence[Sequence[str]]) -> Sequence[str]:
        """See `RemoteExecutor`."""
        item = items[0].item
        options: dict[str, Any] = {"lifetime": "detached", "max_restarts": 0, "num_gpus": self._gpus_of(items[0])}
        options["num_cpus"] = self.cpus * item.devices
        if self._is_local:
            options["num_cpus"] = min(options["num_cpus"], self._cpus)
        if self.mem_gb is not None:
            options["memory"] = int(self.mem_gb * 2**30)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(_OF_OTHERS)}
        ids = []
        for one, command in zip(items, commands, strict=True):
            kind = _LOCAL if self._is_local else "cluster"
            id_ = f"{kind}-{self._program.folder.name}-{one.files.path.name}-{uuid.uuid4().hex[:8]}"
            one.files.write_submitted(self.name, id_)  # before it starts: who starts the sweep again looks for it
            created = self._actor.options(name=id_, **options)
            self._actors[id_] = created.remote(
                [*command], str(one.files.path / _STATUS), str(self._log(id_)), str(Path.cwd()), environment
            )
            ids.append(id_)
        self._asked_s = 0.0
        return ids

    def poll(self, submitted: Remote) -> str | Ended:
        """See `Executor`."""
        while self._held:
            signal.raise_signal(self._held.pop())  # to who runs the items
        return super().poll(submitted)

    def look(self, submitted: Remote) -> str | Ended:
        """See `RemoteExecutor`."""
        if time.monotonic() > self._asked_s + _ASK_S:
            self._ask()
        started = submitted.files.started() is not None
        if not self._answers:
            return submitted.status
        if submitted.id in self._names:
            return RUNNING if started else QUEUED
        log, written = self._log(submitted.id), read_listed(submitted.files.path / _STATUS)
        if written is None:
            return Ended(INTERRUPTED, reason=f"its node or the Ray worker above it was lost; see {log}", again=True)
        status = json.loads(written)
        if not started:
            return Ended(INTERRUPTED, reason=f"the process ended before its program began; see {log}", again=True)
        if status < 0:
            return Ended(status, reason=f"the process was killed by {signal.Signals(-status).name}; see {log}")
        return Ended(status or 1, reason=f"the process ended without a record; see {log}")

    def interrupt(self, submitted: Remote) -> bool:
        """See `RemoteExecutor`."""
        if actor := self._find(submitted.id):
            actor.interrupt.remote()
        return True

    def cancel(self, submitted: Remote) -> bool:
        """See `RemoteExecutor`."""
        if actor := self._find(submitted.id):
            self._ray.kill(actor)
        return True

    @contextlib.contextmanager
    def _connected(self, slots: int) -> Iterator[None]:
        folder = None
        settings: dict[str, Any] = {"address": self.address}
        if self._is_local:
            self._cpus = max(count_cores(), slots * self.cpus)
            folder = tempfile.mkdtemp(prefix="ray-")  # not Ray's own, where a user's cluster would no longer be found
            settings |= {"num_cpus": self._cpus, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
            settings |= {"_temp_dir": folder}
            os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            self._reach(settings)
            # By value, as workers need not find this package.
            self._ray.cloudpickle.register_pickle_by_value(ray_process)
            self._actor = self._ray.remote(ray_process.RayProcess)
            yield
        finally:
            self._actors.clear()
            self._ray.shutdown()
            if folder:
                shutil.rmtree(folder, ignore_errors=True)

    def _reach(self, settings: Mapping[str, Any]) -> None:
        """Connect. Ray sets a handler of its own; the first Ctrl-C is kept for the items, the second ends the sweep."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # Ray has no setting for messages about workers that have died, which would be within the progress.
        self._ray._private.worker.print_to_stdstream = lambda *_, **__: None
        try:
            signal.signal(signal.SIGINT, self._hold)
            host, _, port = self.address.rpartition("://")[2].rpartition(":")
            if port.isdecimal():  # Ray itself tries for several minutes
                socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()
            self._ray.init(namespace=_NAMESPACE, log_to_driver=False, logging_level=logging.CRITICAL, **settings)
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            does = "starts" if self._is_local else "answers"
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(
                f"no Ray cluster {does} at {self.address} ({reason}); set sweep.executor.address"
            ) from None
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _hold(self, number: int, _: Any) -> None:
        if self._held:
            raise KeyboardInterrupt
        self._held.append(number)

    def _gpus_of(self, submitted: Remote) -> float:
        item = submitted.item
        if not item.on_gpu or (item.devices == 1 and self._gpus_each):
            return self._gpus_each
        return max(self._gpus_each, item.devices)

    def _log(self, id_: str) -> Path:
        return self.folder / _LOGS / f"{id_}.log"

    def _find(self, id_: str) -> Any:
        """The actor of a name; None where it has ended."""
        if id_ not in self._actors:
            with contextlib.suppress(ValueError):
                self._actors[id_] = self._ray.get_actor(id_)
        return self._actors.get(id_)

    def _ask(self) -> None:
        """Ask Ray which actors have not ended."""
        self._asked_s = time.monotonic()
        try:
            self._names, answers = {*self._ray.util.list_named_actors()}, True
        except (OSError, RuntimeError, self._ray.exceptions.RayError):
            answers = False
        if self._answers != answers:
            self._answers = answers
            self._program.say("Ray answers again" if answers else "Ray does not answer; waiting for it")
