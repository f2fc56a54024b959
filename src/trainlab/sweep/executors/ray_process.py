"""The actor of Ray above the process of an item. It is sent by value: a worker has Python, and not this package."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

# Becomes a command that ignores signals until it has handlers of its own. It leaves a process that waits for the end of
# the actor, however that comes, or of the command, and then ends all processes that the command has started.
_TIED = """
import os, signal, sys
pipe, group = int(sys.argv[1]), os.getpid()
if not os.fork():
    os.setsid()
    if not os.fork():
        os.closerange(0, pipe)
        os.read(pipe, 1)
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os._exit(0)
os.wait()
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2):
    signal.signal(number, signal.SIG_IGN)
os.close(pipe)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class RayProcess:
    """A process on the node that Ray chose. The actor ends with it, and it with the actor."""

    def __init__(self, command: list[str], status: str, log: str, cwd: str, environment: Mapping[str, str]) -> None:
        import ray

        self._own = ray.get_runtime_context().current_actor
        self._pid: int | None = None
        # The GPUs that Ray gave, and none where it gave none.
        cards = os.environ.get("CUDA_VISIBLE_DEVICES", "") if ray.get_gpu_ids() else ""
        given = {**environment, "CUDA_VISIBLE_DEVICES": cards}
        threading.Thread(target=self._run, args=(command, status, log, cwd, given), daemon=True).start()

    def interrupt(self) -> None:
        """Send SIGINT to it and to those that it has started."""
        with contextlib.suppress(ProcessLookupError):
            if self._pid is not None:
                os.killpg(self._pid, signal.SIGINT)

    def leave(self) -> None:
        """End the actor."""
        import ray

        ray.actor.exit_actor()

    def _run(self, command: list[str], status: str, log: str, cwd: str, environment: Mapping[str, str]) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())  # Ray blocks some, which it would inherit
        reading, writing = os.pipe()
        words = [sys.executable, "-c", _TIED, str(reading), *command]
        try:
            with Path(log).open("ab") as out:
                process = subprocess.Popen(
                    words,
                    cwd=cwd,
                    env={**environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    pass_fds=(reading,),
                    start_new_session=True,
                )
            os.close(reading)
            self._pid = process.pid
            code = process.wait()
            os.close(writing)
            with contextlib.suppress(OSError):  # the sweep may have removed it, as it knows the end
                Path(f"{status}.part").write_text(json.dumps(code))
                Path(f"{status}.part").replace(status)
        finally:
            self._own.leave.remote()
