"""Leases: one process at a time writes to a folder, also where several hosts share its file system.

A lease is a folder `PLACE/NUMBER`, such as `.lease/7` in the folder of a run; `trainlab.runs.heartbeat` has what is in
it and how others see whether its holder is alive. The number is the fencing token: it grows by one with each lease.

Who takes over from a holder that is dead removes the folder of its lease before writing anything. All files of a holder
come into being in that folder, by `trainlab.runs.files.write_atomically`, and are renamed to their place. So a holder
that was only suspended, and wakes, cannot write: its temporary files are gone, and it can make no new ones there. That
holds at the rename itself, however long before it the holder has looked at the number. `owner` has an id of the lease,
by which the holder notices that the folder was removed and made anew, where the numbers begin again.

What this relies on, and what NFS from version 3 on, Lustre and other POSIX file systems have:

- Renaming a folder is atomic, and fails where its target is a folder that is not empty: one process gets a number.
- A file that was removed cannot be renamed, and nothing can be made in a folder that was removed.
- Listing a folder asks the server.

It does not rely on clocks of different hosts, on locks (`flock`) that other hosts see, or on their process ids.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trainlab.runs import heartbeat
from trainlab.runs.errors import Held, LeaseLost
from trainlab.runs.heartbeat import GONE, OF_RUN, OWNER, RELEASED, newest_lease, newest_number

log = logging.getLogger(__name__)

_POLL_S = 0.2  # between two looks of a process that waits
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, *GONE)  # another process was faster
_REMOVALS = 100  # attempts to remove a folder that its earlier holder may still write to
_NEW, _REMOVED = "new-", "removed-"  # starts of the names of folders that are no lease yet, or no longer
_held: dict[Path, list["Lease"]] = {}  # leases of this process by the folder that they are of, the latest last


class Lease:
    """The right to write to a folder, until it is released or another process takes over.

    Attributes:
        folder: that it is of.
        number: the fencing token.
        path: its own folder, for temporary files.
        lost: whether another process is known to have taken over.
    """

    def __init__(self, folder: Path, path: Path, file: int, id_: str) -> None:
        self.folder, self.number, self.path, self.lost = folder, int(path.name), path, False
        self._id = id_  # which is in `owner`
        self._file: int | None = file  # open, and locked where the file system can
        self._beats = threading.Lock()  # not while the file is closed: another one would get its number

    def check(self) -> None:
        """Raise LeaseLost unless this lease is the newest one, by a listing and what `owner` says."""
        number, owner, _ = newest_lease(self.path.parent)
        if not self.lost and self._is_own(number, owner):
            return
        self.lost = True
        by = (
            f"was taken over by {heartbeat.describe(owner)}"
            if owner
            else "was removed, or taken over by another process,"
        )
        raise LeaseLost(
            f"{self.folder} {by} while this one ({heartbeat.describe(heartbeat.this_process())}) was suspended or cut "
            "off from it; this process writes nothing more there"
        )

    def beat(self) -> None:
        """Renew the heartbeat, and note if the lease is lost."""
        try:
            with self._beats:
                if self._file is not None:
                    os.utime(self._file)
                    number, owner, _ = newest_lease(self.path.parent)
                    self.lost = self.lost or not self._is_own(number, owner)
        except OSError as error:  # with any other one it is not known, and the next beat may succeed
            self.lost = self.lost or error.errno in GONE

    def _is_own(self, number: int, owner: dict[str, Any] | None) -> bool:
        """Whether the newest lease is this one: where the folder was removed and made anew, its number comes again."""
        return number == self.number and owner is not None and owner.get("lease") == self._id

    def release(self) -> None:
        """Give it back; a second time, and in a forked process, this does nothing."""
        if self not in (leases := _held.get(self.folder, [])):
            return
        leases.remove(self)
        if not leases:
            del _held[self.folder]
        _heart.follow()
        with self._beats:
            assert self._file is not None
            with contextlib.suppress(OSError):  # it is taken over; if not, it ends with the heartbeat
                number, owner, _ = newest_lease(self.path.parent)
                if self._is_own(number, owner):
                    (self.path / RELEASED).mkdir()  # so that nobody else can rename a folder to this number
                    (self.path / OWNER).unlink()
            os.close(self._file)
            self._file = None


@contextlib.contextmanager
def held(
    folder: Path,
    holder: str,
    place: str = OF_RUN,
    patience_s: float = 0.0,
    on_wait: Callable[[str], object] = log.info,
) -> Iterator[Lease]:
    """Hold the lease of ``folder``, made if need be, with a heartbeat.

    Where another host holds it, this takes until it is known whether the holder is alive: up to `heartbeat.TTL_S`.

    Args:
        folder: to write to.
        holder: what such a process does, for the message: "process is training".
        place: name of the folder of its leases.
        patience_s: how long to wait for a holder that is alive.
        on_wait: is called with a text before it waits for the heartbeat of another host.

    Raises:
        Held: a process that is alive has it.
        OSError: the folder cannot be written.
    """
    folder = folder.absolute()
    with _kept(acquire(folder, holder, place, patience_s, on_wait)) as lease:
        yield lease


@contextlib.contextmanager
def taken_over(folder: Path, number: int) -> Iterator[Lease | None]:
    """Hold the lease of a run's ``folder`` next after that of ``number``, whose holder is known to be lost.

    None where another process has it. If the earlier holder was only suspended, it can no longer write.
    """
    lease = take(folder.absolute(), OF_RUN, number + 1)
    with _kept(lease) if lease else contextlib.nullcontext() as found:
        yield found


@contextlib.contextmanager
def _kept(lease: Lease) -> Iterator[Lease]:
    """Renew its heartbeat, and release it at the end."""
    _held.setdefault(lease.folder, []).append(lease)
    _heart.follow()
    try:
        yield lease
    finally:
        lease.release()


def lease_of(path: Path) -> Lease | None:
    """The lease of this process that covers ``path``: that of the innermost folder."""
    if not _held:
        return None
    return next((_held[folder][-1] for folder in path.absolute().parents if folder in _held), None)


def check_lease(path: Path) -> None:
    """Raise LeaseLost where a lease of this process covers ``path`` and another process has taken over."""
    if lease := lease_of(path):
        lease.check()


def discard(folder: Path, place: str = OF_RUN) -> None:
    """Release a lease of this process, and leave no trace of leases unless another process holds one."""
    for lease in [*_held.get(folder.absolute(), [])]:
        if lease.path.parent.name == place:
            lease.release()
    with contextlib.suppress(OSError):  # one that is not empty: another process holds it, or is about to
        for path in (folder / place).iterdir():
            with contextlib.suppress(FileNotFoundError):
                (path / RELEASED).rmdir()
            path.rmdir()
        (folder / place).rmdir()


def acquire(
    folder: Path,
    holder: str,
    place: str = OF_RUN,
    patience_s: float = 0.0,
    on_wait: Callable[[str], object] = log.info,
) -> Lease:
    """The lease of ``folder``, without a heartbeat; see `held`."""
    watch, deadline, is_said = heartbeat.watch_of(folder, place), time.monotonic() + patience_s, False
    while True:
        alive = watch.is_alive()
        if alive is False and (lease := take(folder, place, watch.number + 1)):
            return lease
        who = watch.holder()
        if alive and time.monotonic() >= deadline:
            raise Held(f"another {holder} in {folder}{who and f' ({who})'}; wait for it, or set another name=")
        if alive is None and not is_said:
            is_said, at_most = True, f"{heartbeat.TTL_S:.0f} s"
            on_wait(f"{folder} is held by {who}: waiting up to {at_most} to see whether that is still alive")
        time.sleep(_POLL_S)


def take(folder: Path, place: str, number: int) -> Lease | None:
    """The lease of that number, with all earlier ones removed; None where another process was faster.

    Raises:
        OSError: the folder cannot be written.
    """
    leases = folder / place
    leases.mkdir(parents=True, exist_ok=True)
    id_ = uuid.uuid4().hex
    made, path, file = leases / f"{_NEW}{id_}", leases / str(number), -1
    try:
        made.mkdir()
        file = os.open(made / OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        about = heartbeat.this_process() | {"lease": id_}
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a file system without locks: the heartbeat decides on this host, too
            about["where"] = ""
        with (made / OWNER).open("r+") as content:  # "w" would have ext4 wait for the disk
            content.write(json.dumps(about))  # NFS has it on the server when this is closed
        made.rename(path)
        if newest_number(leases) == number:
            for other in leases.iterdir():
                is_earlier = other.name.isdecimal() and int(other.name) < number
                if is_earlier or other.name.startswith((_NEW, _REMOVED)):
                    _remove(other)
            if newest_number(leases) == number:
                return Lease(folder, path, file, id_)
    except OSError as error:
        if error.errno not in _TAKEN:
            _undo(file, made, path)
            raise OSError(error.errno, error.strerror, str(leases)) from error
    _undo(file, made, path)
    return None


def _undo(file: int, *folders: Path) -> None:
    """Remove what was made of a lease that this process does not get."""
    if file < 0:
        return
    own = os.fstat(file)
    for folder in folders:
        with contextlib.suppress(OSError):
            if os.path.samestat((folder / OWNER).stat(), own):
                shutil.rmtree(folder)
    os.close(file)


def _remove(path: Path) -> None:
    """Remove the folder of an earlier lease, so that its holder can make and rename no files there.

    It is renamed first: where the holder uses the same NFS client, its open file keeps the folder from being removed.
    """
    aside = path.with_name(f"{_REMOVED}{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    for _ in range(_REMOVALS):
        shutil.rmtree(aside, ignore_errors=True)
        try:
            left = [entry.name for entry in aside.iterdir()]
        except FileNotFoundError:
            return
        if left and all(name.startswith(".nfs") for name in left):
            return
        time.sleep(_POLL_S / _REMOVALS)
    raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(aside))


class _Heart:
    """The thread that renews all leases of this process, and ends with the last one."""

    def __init__(self) -> None:
        self._over: threading.Event | None = None  # of the thread that runs

    def follow(self) -> None:
        """Have a thread run as long as there are leases."""
        if _held and self._over is None:
            self._over = threading.Event()
            threading.Thread(target=self._run, args=(self._over,), name="heartbeat", daemon=True).start()
        elif not _held and self._over is not None:
            self._over.set()
            self._over = None

    @staticmethod
    def _run(over: threading.Event) -> None:
        while not over.wait(heartbeat.BEAT_S):
            for lease in [lease for leases in [*_held.values()] for lease in [*leases]]:
                lease.beat()

    def forget(self) -> None:
        """In a forked process: the leases, and the thread that renews them, are the parent's."""
        _held.clear()
        self._over = None


_heart = _Heart()
os.register_at_fork(after_in_child=_heart.forget)
