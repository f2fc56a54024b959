"""Whether the process that holds a folder is alive, as seen from any host that shares its file system.

Who holds a folder has a `trainlab.runs.lease.Lease` of it: a folder `PLACE/NUMBER`, such as `.lease/7`, with a file
`owner`. That says who it is, and its time of change is the heartbeat, which is compared with nothing but its earlier
value. The largest number counts; without the file `owner` nobody holds the folder.

On the same host a lock (`flock`) on `owner`, which ends with the holder, decides at once. From elsewhere the holder is
dead when its heartbeat has not changed for ``TTL_S``, by the clock of who watches.

This relies on listings, and on opening a file: on NFS from version 3 on both ask the server, while `stat` and `exists`
may be answered from a cache that is a minute old. The mount option `nocto` takes that away.
"""

import errno
import fcntl
import json
import logging
import os
import platform
import time
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

OF_RUN = ".lease"  # place of the leases of a run, in its folder
OWNER, RELEASED = "owner", "released"  # names in the folder of a lease: of a file, and of a folder after that
BEAT_S = 10.0  # between two heartbeats
TTL_S = 60.0  # without one, after which a holder elsewhere is dead
GONE = (errno.ENOENT, errno.ESTALE)  # removed, perhaps by another host
_POLL_S = 0.2  # between two looks of a process that waits


class Watch:
    """Observes whether a process that is alive holds a folder. Each look reads the folder anew.

    Args:
        folder: of a run, or another one with leases.
        place: name of the folder of its leases.

    Attributes:
        number: of the newest lease, 0 without one, as of the latest look.
    """

    def __init__(self, folder: Path, place: str = OF_RUN) -> None:
        self.number, self._place = 0, folder / place
        self._owner: dict[str, Any] | None = None
        self._seen: tuple[int, int] | None = None  # number and heartbeat
        self._looked, self._quiet_s, self._has_changed = 0.0, 0.0, False

    def is_alive(self) -> bool | None:
        """Whether the holder is alive; None as long as that is not known, and False where nobody holds the folder.

        Several looks find a holder on another host dead, the first of them ``TTL_S`` before the last. Of the time
        between two looks at most a quarter of that counts: this process may have been suspended along with the holder.

        Raises:
            OSError: the leases cannot be read.
        """
        now = time.monotonic()
        self.number, self._owner, beat = newest_lease(self._place)
        if self._owner is None:
            return False
        if self._owner.get("where") == where():
            locked = _is_locked(self._place / str(self.number) / OWNER)
            if locked is not None:
                return locked
        if self._seen != (self.number, beat):
            self._has_changed, self._quiet_s = self._seen is not None and now - self._looked < TTL_S, 0.0
            self._seen = self.number, beat
        else:
            self._quiet_s += min(now - self._looked, TTL_S / 4)
        self._looked = now
        return False if self._quiet_s >= TTL_S else self._has_changed or None

    def holder(self, also_here: bool = False) -> str:
        """Who holds it, where that is on another host, or ``also_here``, as of the latest look."""
        is_named = self._owner and (also_here or self._owner.get("where") != where())
        return describe(self._owner) if self._owner and is_named else ""


_watched: dict[Path, Watch] = {}  # by the folders of runs, for who takes them next


def observe(folder: Path) -> bool | None:
    """Whether a process that is alive holds the ``folder`` of a run; None while that is not known, see `Watch`.

    Who takes the folder after several looks does not wait again. So one wait is enough for many runs, see `wait_for`.
    """
    return _watched.setdefault(folder.absolute(), Watch(folder.absolute())).is_alive()


def holder_of(folder: Path) -> str:
    """Who holds a folder that is observed."""
    return _watched[folder.absolute()].holder(also_here=True)


def wait_for(folders: Sequence[Path], for_ends: bool = False, on_wait: Callable[[str], object] = log.info) -> None:
    """Wait until it is known of all runs' ``folders`` whether their holders are alive, or ``for_ends`` of these."""
    is_said = False
    while True:
        seen = {folder: observe(folder) for folder in folders}
        waits = [folder for folder, alive in seen.items() if alive is None or (for_ends and alive)]
        if not waits:
            return
        if not is_said:
            is_said, more = True, f" (and {len(waits) - 1} more)" if len(waits) > 1 else ""
            until = f"until that has ended, or has been silent for {TTL_S:.0f} s"
            on_wait(f"{waits[0]}{more} is held by {holder_of(waits[0])}: waiting {until}")
        time.sleep(_POLL_S)


def watch_of(folder: Path, place: str) -> Watch:
    """What has been observed of the folder of a run, for who takes it; of other folders, nothing."""
    return (_watched.pop(folder.absolute(), None) if place == OF_RUN else None) or Watch(folder, place)


def newest_number(leases: Path) -> int:
    """The largest number in a folder of leases; 0 without one."""
    try:
        return max((int(path.name) for path in leases.iterdir() if path.name.isdecimal()), default=0)
    except FileNotFoundError:
        return 0


def newest_lease(leases: Path) -> tuple[int, dict[str, Any] | None, int]:
    """Number, owner and heartbeat of the newest lease; the owner is None where it is released or there is none."""
    while True:
        number = newest_number(leases)
        try:
            with (leases / str(number) / OWNER).open() as file:
                beat, text = os.fstat(file.fileno()).st_mtime_ns, file.read()
        except OSError as error:
            if error.errno not in GONE:
                raise
            if newest_number(leases) == number:
                return number, None, 0
            continue
        try:
            return number, dict(json.loads(text)), beat
        except (ValueError, TypeError):  # its host has crashed while it was new
            return number, {}, beat


def this_process() -> dict[str, Any]:
    """What `owner` says of this process."""
    return {"host": platform.node(), "pid": os.getpid(), "where": where()}


def describe(owner: dict[str, Any]) -> str:
    """Name of a process by what `owner` says of it."""
    return f"process {owner.get('pid', '?')} on {owner.get('host', '?')}"


@cache
def where() -> str:
    """Name of what locks and process ids hold for: the kernel since its start, the pid namespace, the host name."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    kernel = boot.read_text().strip() if boot.exists() else f"{uuid.getnode():x}"
    return " ".join([platform.node(), kernel, str(namespace.readlink()) if namespace.is_symlink() else ""])


def _is_locked(path: Path) -> bool | None:
    """Whether a process holds the lock on a file; None where the file system does not know."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # released since it was read
        return False
    except OSError:
        return None
    return False
