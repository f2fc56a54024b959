"""Sweeps as users start them, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from conftest import TINY
from trainlab.cli import PROJECT
from trainlab.metrics_csv import read_rows

HERE = Path(__file__).parent
# Without what all tests share: folders are then named by what a sweep is about.
FAULT = "+callbacks.fault={_target_: faults.Fault}"
TIMES = ("epoch_s", "images_per_s")


def start(*arguments: str, **environment: str) -> subprocess.Popen:
    """A sweep, in a process group of its own."""
    clean = {k: v for k, v in os.environ.items() if k not in ("HYDRA_FULL_ERROR", "TRAINLAB_EXPLAINS")}
    return subprocess.Popen(
        [sys.executable, str(PROJECT / "src" / "train.py"), "-m", *arguments, *TINY],
        env={**clean, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen, timeout_s: float = 120) -> subprocess.CompletedProcess:
    """Its end. Nothing that it started is left."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    assert eventually(lambda: in_session(process.pid) == [], 5)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def sweep(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return finish(start(*arguments, **environment))


def in_session(session: int) -> list[int]:
    """Processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def eventually(condition, limit_s: float = 60) -> bool:
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def results(folder: Path) -> dict[str, dict]:
    """`result.json` of every run of a sweep, by the overrides that come before those that all tests share."""
    found = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    return {" ".join(o for o in result["overrides"] if _telling(o)): result for result in found}


def _telling(override: str) -> bool:
    return override not in TINY and override.split("=")[0] in ("model", "optim.lr", "seed", "trainer.devices") or (
        "fault.what" in override
    )


def figures(folder: Path) -> dict[str, tuple]:
    """All that runs of a sweep came to, without the times."""
    return {
        path.parent.name: (
            json.loads(path.read_text())["status"],
            json.loads(path.read_text())["metrics"],
            [{k: v for k, v in row.items() if k not in TIMES} for row in read_rows(path.parent / "metrics.csv")],
        )
        for path in folder.glob("*/result.json")
    }


def interrupt(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
