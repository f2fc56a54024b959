"""Atomic files, CSV, locks between processes, absolute paths."""

import csv
import errno
import fcntl
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from trainlab.runs.lease import Lease, check_lease, lease_of

_RETRY_S = 0.05  # between two attempts to take a lock
_REREADS = 9  # of a file that is replaced again and again
_NEW: set[Path] = set()  # folders that this process has made, or that did not exist before Hydra made them


def write_atomically(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file atomically, so that it is never half-written: temporary file, fsync, rename.

    In a folder that this process has a lease of, see `trainlab.runs.lease`, it is written under that lease alone.
    ``mode`` are its permissions, less those that the umask takes.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing is left behind.
        LeaseLost: another process has taken over the folder; the file is as that left it.
    """
    lease = lease_of(path)
    if lease:
        lease.check()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        try:
            _write_by_way_of(lease.path if lease else path.parent, path, content, mode, lease)
        except OSError as error:
            if not lease or error.errno != errno.EXDEV:
                raise
            _write_by_way_of(path.parent, path, content, mode)  # a link leads to another file system
    except OSError:
        if lease:
            lease.check()
        raise


def _write_by_way_of(folder: Path, path: Path, content: bytes, mode: int, lease: Lease | None = None) -> None:
    """Write a temporary file in ``folder`` and rename it to ``path``."""
    with named_in_errors(path, folder):
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    try:
        with named_in_errors(path, folder):
            with os.fdopen(handle, "wb") as file:
                if lease:
                    lease.check()  # again, as `folder` may have been made anew by the next holder
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(mode & ~_umask())
            Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):  # the first error says more
            Path(temporary).unlink()
        raise


def read_listed(path: Path) -> bytes | None:
    """Content of a file, or None where its folder lists none.

    NFS answers `exists` from a cache that may be a minute old; for a listing, and to open a file, it asks the server.
    A file that another host replaces while it is read is stale, and is read again.
    """
    for is_last in (*[False] * _REREADS, True):
        try:
            return path.read_bytes() if path.name in os.listdir(path.parent) else None  # noqa: PTH208 (a sweep does it often)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno != errno.ESTALE or is_last:
                raise
    return None


def write_in_place(path: Path, content: bytes) -> None:
    """Overwrite a file that is at least as long, which needs no space on most file systems. A crash may damage it.

    Raises:
        OSError: it cannot be written.
        LeaseLost: another process has taken over its folder.
    """
    check_lease(path)
    with named_in_errors(path), path.open("r+b") as file:
        file.write(content)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def named_in_errors(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Name ``path`` in errors of writing it: those of a full disk name no file, and others a temporary one.

    That lies in the folder ``temporary``, by default beside ``path``.
    """
    try:
        yield
    except OSError as error:
        number = errno.ENOSPC if not error.errno and "written" in str(error) else error.errno  # NumPy's word for it
        folders = (path.parent, temporary)
        if number and (error.filename is None or Path(error.filename).parent in folders):
            raise OSError(number, os.strerror(number), str(path)) from error
        raise


@contextmanager
def setting_of_path(key: str, folder: Path) -> Iterator[None]:
    """Note in errors about ``folder`` or its contents which setting it comes from, for `describe_os_error`."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename and not hasattr(error, "__notes__"):
            path, place = Path(error.filename).absolute(), folder.absolute()
            if path.is_relative_to(place) or place.is_relative_to(path):
                error.add_note(key)
        raise


def describe_os_error(error: OSError, setting: str) -> str:
    """Path, problem and remedy.

    Args:
        error: of the file system; a message of its own is returned unchanged.
        setting: that the path comes from, unless a note of the error names another.
    """
    if not error.errno:
        return str(error)
    setting = getattr(error, "__notes__", [setting])[0]
    path, problem = error.filename, error.strerror or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        way_out = f"make room there, or set {setting} to a place that has room"
    elif error.errno == errno.ENAMETOOLONG:
        way_out = f"set a shorter {'name or ' * (setting == 'output_dir')}{setting}"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST) and path:
        path = next((up for up in (Path(path), *Path(path).parents) if os.path.isfile(up)), path)  # noqa: PTH113
        problem, way_out = "a file is where a folder is needed", f"move it away, or set another {setting}"
    elif error.errno == errno.EISDIR:
        problem, way_out = "a folder is where a file is needed", f"move it away, or set another {setting}"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        way_out = f"allow it there, or set another {setting}"
    else:
        return f"{path}: {problem}" if path else problem
    return f"{path}: {problem}; {way_out}" if path else f"{problem}; {way_out}"


def check_replaceable(path: Path, read: Path, is_own: Callable[[Path], bool], kind: str, setting: str) -> None:
    """Raise ValueError where writing ``path`` would replace the file ``read``, or one of another kind.

    Args:
        path: to write.
        read: that it is made from, and that exists.
        is_own: whether a file is of the kind that is written.
        kind: its name, for the message.
        setting: that the path comes from.
    """
    if not path.exists() or path.is_dir():  # a folder cannot be replaced
        return
    if path.samefile(read):
        raise ValueError(f"{setting} must be another file than the one that is read, got {path}; set {setting}")
    if not path.is_file() or not is_own(path):
        raise ValueError(f"{path} exists and is not {kind}, so it is not replaced; set another {setting}")


def write_json(path: Path, content: Any, indent: int | None = None, mode: int = 0o666) -> None:
    """Write ``content`` atomically as JSON, which has no NaN and no infinity. See `write_atomically`.

    Raises:
        ValueError: a number in it is not finite.
        OSError: as by ``write_atomically``.
    """
    write_atomically(path, (json.dumps(content, indent=indent, allow_nan=False) + "\n").encode(), mode)


def format_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The content of a CSV file of ``rows``, with every column that one of them has."""
    listed = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in listed for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue().encode()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV file, values as strings; empty if there is no file."""
    content = read_listed(path)
    return [] if content is None else list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@contextmanager
def locked(
    path: Path,
    error: str = "",
    patience_s: float = 0.0,
    on_wait: Callable[[], object] = lambda: None,
    is_removed: bool = False,
) -> Iterator[None]:
    """Hold the lock file ``path``, made if need be; it is released with the process, however that ends.

    Args:
        path: the lock file.
        error: message for when another process holds it; without one it is waited for.
        patience_s: how long to wait before that is an error.
        on_wait: is called before waiting without an end.
        is_removed: whether the file is removed at the end.

    Raises:
        ValueError: another process holds it, and there is an ``error``.
    """
    deadline = time.monotonic() + patience_s
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            _take_lock(file, error, deadline, on_wait)
            if not _is_at(file, path):
                continue  # who held it has removed it
            try:
                yield
            finally:
                if is_removed:
                    path.unlink(missing_ok=True)
            return


def _take_lock(file: IO[str], error: str, deadline: float, on_wait: Callable[[], object]) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not error:
                on_wait()
                fcntl.flock(file, fcntl.LOCK_EX)
                return
            if time.monotonic() >= deadline:
                raise ValueError(error) from None
            time.sleep(_RETRY_S)


def _is_at(file: IO[str], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def missing_folders(folder: Path) -> list[Path]:
    """``folder`` and its parents, innermost first: those that do not exist, or are new."""
    return [path for path in (folder, *folder.parents) if path in _NEW or not path.exists()]


def note_missing(folder: Path) -> None:
    """Count ``folder`` and its parents as new where they do not exist yet: Hydra makes them before a run checks."""
    _NEW.update(missing_folders(folder))


def make_new_folder(folder: Path) -> None:
    """Make a folder that does not exist, for a run or sweep that removes it if it writes nothing there.

    Raises:
        OSError: it exists, or cannot be made.
    """
    missing = missing_folders(folder)
    folder.mkdir(parents=True)
    _NEW.update(missing)


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of ``folders`` that exist, up to the first that is not empty."""
    with suppress(OSError):
        for folder in filter(Path.exists, folders):
            folder.rmdir()


def absolute(path: str, start: str | Path) -> str:
    """``path`` as seen from the folder ``start``; `~` is the home folder."""
    whole = Path(start, os.path.expanduser(path))  # noqa: PTH111 (pathlib's raises where there is no such user)
    return str(whole.resolve() if ".." in whole.parts else whole)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
