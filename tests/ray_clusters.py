"""Ray clusters on this machine, for tests."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeping import eventually, in_session

_RAY = Path(sys.executable).parent / "ray"
_COMMON = ("--block", "--node-ip-address=127.0.0.1", "--object-store-memory=83886080", "--disable-usage-stats")


@contextlib.contextmanager
def ray_cluster(log: Path, *options: str) -> Iterator[str]:
    """Start the head of a cluster. Yields its address; at the end none of its processes is left."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # below a short path, as there are sockets in it
    more = ("--port=0", f"--temp-dir={folder}", "--include-dashboard=false", f"--ray-client-server-port={_free_port()}")
    try:
        with _started(log, "--head", *more, *options):
            yield (folder / "ray_current_cluster").read_text().strip()
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def ray_node(log: Path, address: str, *options: str) -> Iterator[int]:
    """Start a further node of a cluster. Yields the session that its processes are in."""
    with _started(log, f"--address={address}", *options) as process:
        yield process.pid


def lose(session: int) -> None:
    """Kill all processes of a node."""
    for pid in in_session(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _started(log: Path, *options: str) -> Iterator[subprocess.Popen]:
    with pytest.MonkeyPatch.context() as patch, log.open("w+") as out:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # as the cluster and the sweeps share no token
        process = subprocess.Popen([_RAY, "start", *_COMMON, *options], stdout=out, stderr=out, start_new_session=True)
        try:
            assert eventually(lambda: "Ray runtime started" in log.read_text(), 200), log.read_text()
            yield process
        finally:
            process.terminate()
            process.wait(120)
            assert eventually(lambda: in_session(process.pid) == [], 120)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
