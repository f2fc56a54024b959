"""A PostgreSQL server of the system's packages, in a temporary folder, whose users have passwords."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

PASSWORD = "ca7s/and:d0gs"  # with characters that a URL writes otherwise


class Server:
    """A server that runs, until it is stopped.

    Attributes:
        url: of a database in it, with the password.
    """

    def __init__(self, binaries: Path, folder: Path, user: str | None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._binaries, self._data, self._user = binaries, folder / "data", user
        self._options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.url = f"postgresql://searcher:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
        given = folder / "given"
        given.write_text(PASSWORD)
        given.chmod(0o644)
        self._run("initdb", "-U", "searcher", "-A", "scram-sha-256", f"--pwfile={given}", "-N")
        given.unlink()
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-l", str(self._data / "log"), "-o", self._options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def _run(self, name: str, *words: str) -> None:
        command = [str(self._binaries / name), "-D", str(self._data), *words]
        log = self._data.parent / f"{name}.log"  # no pipe, which the server would keep open
        with log.open("w") as output:
            done = subprocess.run(command, stdout=output, stderr=output, user=self._user, cwd="/", timeout=120)
        assert done.returncode == 0, log.read_text()


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A server. Skips the test where there is none to start."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server (Debian's package postgresql) in /usr/lib/postgresql")
    user = None
    if os.geteuid() == 0:  # as which it does not run
        user = "postgres"
        if user not in {entry.pw_name for entry in pwd.getpwall()}:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir="/tmp"))  # a short path, as there is a socket in it
    try:
        if user:
            shutil.chown(folder, user)
        running = Server(found[-1].parent, folder, user)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder)
