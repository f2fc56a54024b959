"""An item of a sweep as files, for a process that shares nothing but the file system with that of the sweep.

Each has a folder in `.items` of the sweep's: `item.json` says what to run, `submitted.json` by which executor and as
what it was submitted, `started.json` where it runs, `ended.json` how it has ended. `stop` keeps it from starting.
PyTorch is not imported here: a process has to set the number of its threads before.
"""

import json
import os
import shutil
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trainlab.runs.files import read_listed, write_json
from trainlab.runs.heartbeat import where
from trainlab.sweep import slurm_job

ITEMS = ".items"
NOTICES = "notices"  # in ITEMS; all items of a sweep write to it
_ITEM, _SUBMITTED, _STARTED, _ENDED, _STOP = "item.json", "submitted.json", "started.json", "ended.json", "stop"
_SAVED = "saved"


@dataclass(frozen=True)
class ItemFolder:
    """The files of an item in ``path``."""

    path: Path

    @property
    def report(self) -> Path:
        """File with the position of the training."""
        return self.path / "steps"

    def describe(self) -> dict[str, Any]:
        """What to run.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        found = json.loads((self.path / _ITEM).read_text())
        assert isinstance(found, dict)
        return found

    def submitted(self) -> dict[str, Any] | None:
        """Executor and id, if it was submitted."""
        return _read(self.path / _SUBMITTED)

    def started(self) -> dict[str, Any] | None:
        """Host and process, and the variables of the job that it runs in, once it has started."""
        return _read(self.path / _STARTED)

    def ended(self) -> dict[str, Any] | None:
        """Exit status and errors, once it has ended."""
        return _read(self.path / _ENDED)

    def write_submitted(self, executor: str, id_: str, about: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Record that an executor has taken it, and what that has to know about it."""
        write_json(self.path / _SUBMITTED, {"executor": executor, "id": id_, **about})

    def write_started(self) -> None:
        """Record that this process runs it."""
        (self.path / _SAVED).unlink(missing_ok=True)  # of an earlier process
        job = slurm_job.job_id() or os.environ.get("SUBMITIT_LOCAL_JOB_ID")
        write_json(self.path / _STARTED, {**process_of(os.getpid()), "job": job})

    def write_ended(
        self, status: int, errors: Mapping[str, dict[str, str]], cut_short: bool = False, reason: str = ""
    ) -> None:
        """Record how it has ended: exit status, errors by folder of the run, whether it has not had enough time.

        Nothing is recorded where the scheduler has started it again meanwhile, or the sweep has given it up.
        """
        if self._is_own:
            about = {"status": status, "errors": {**errors}, "cut_short": cut_short, "reason": reason}
            write_json(self.path / _ENDED, about)

    def leave_to_another(self) -> None:
        """Take back that it has started: the scheduler starts it again."""
        if self._is_own:
            (self.path / _STARTED).unlink(missing_ok=True)

    def write_saved(self) -> None:
        """Record that its jobs were saved before an end that was announced."""
        if self._is_own:
            (self.path / _SAVED).touch()

    @property
    def _is_own(self) -> bool:
        """Whether it runs in this process, which has started last."""
        started = self.started()
        return started is not None and is_process(started) and started["pid"] == os.getpid()

    @property
    def is_saved(self) -> bool:
        """Whether its jobs were saved before an end that was announced."""
        return _SAVED in os.listdir(self.path)  # noqa: PTH208 (as below)

    def forbid(self) -> None:
        """Keep it from starting, if it has not."""
        (self.path / _STOP).touch()

    def permit(self) -> None:
        """Take back that it is not to start."""
        (self.path / _STOP).unlink(missing_ok=True)

    @property
    def is_forbidden(self) -> bool:
        """Whether it is not to start."""
        return _STOP in os.listdir(self.path)  # noqa: PTH208 (a listing is fresh where attributes are cached)

    @property
    def is_removed(self) -> bool:
        """Whether the sweep has given it up: a process that was submitted is not its."""
        return read_listed(self.path / _ITEM) is None

    def remove(self) -> None:
        """Remove all of it; nothing where that is done."""
        shutil.rmtree(self.path, ignore_errors=True)


def new_item(sweep: Path, first: int, about: Mapping[str, Any]) -> ItemFolder:
    """The files of a new item.

    Args:
        sweep: folder of the sweep.
        first: number of its first job, counted from one, which names it.
        about: what its process has to know.
    """
    # A name that never comes again: a scheduler may start an item of which it has not said that it took it.
    item = ItemFolder(sweep / ITEMS / f"{first}-{uuid.uuid4().hex[:8]}")
    write_json(item.path / _ITEM, {**about}, mode=0o600)  # settings may have passwords
    return item


def items_of(sweep: Path) -> list[ItemFolder]:
    """All items whose end has not been recorded, of the sweep in a folder."""
    paths = sorted(sweep.glob(f"{ITEMS}/*/{_ITEM}"))
    return [ItemFolder(path.parent) for path in paths]


def check_executor(sweep: Path, name: str) -> None:
    """Raise ValueError where items of the sweep in a folder were submitted by another executor than ``name``."""
    for item in items_of(sweep):
        submitted = item.submitted()
        if submitted and submitted["executor"] != name:
            raise ValueError(
                f"jobs of this sweep were submitted by sweep/executor={submitted['executor']}, got {name}; set that, "
                f"or cancel them and remove {item.path.parent}"
            )


def process_of(pid: int) -> dict[str, Any]:
    """A process of this host, so that it is not taken for a later one with the same id."""
    return {"host": socket.gethostname(), "where": where(), "pid": pid, "begun": _begun(pid)}


def is_process(about: Mapping[str, Any]) -> bool:
    """Whether there is the process, on this host, that `process_of` has described."""
    begun = _begun(about["pid"])
    return begun is not None and (about["where"], about["begun"]) == (where(), begun)


def _begun(pid: int) -> str | None:
    """When a process of this host has begun, in ticks of its clock; "" where that is not known, None without it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "" if not Path("/proc/self/stat").exists() else None


def _read(path: Path) -> dict[str, Any] | None:
    content = read_listed(path)
    if content is None:
        return None
    found = json.loads(content)
    assert isinstance(found, dict)
    return found
