"""Scripts as users start them, in processes of their own, without the seconds that their imports take."""

import contextlib
import json
import os
import runpy
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from conftest import TINY, save_blank, with_defaults
from fork_server import HERE, fork
from trainlab.config.resolvers import PROJECT
from trainlab.report import write
from trainlab.runs.files import read_rows
from trainlab.sweep import rebalance

FAULT = "+callbacks.fault={_target_: faults.Fault}"
TIMES = ("epoch_s", "images_per_s")


class Script:
    """A script of `src/` with arguments, as a process in a session of its own.

    Figures, which take most of the time here, are left out. With ``FIGURES="blank"`` in the environment they have
    nothing in them, and with ``"on"`` they are drawn.
    """

    def __init__(self, name: str, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        clean = {k: v for k, v in os.environ.items() if k not in ("HYDRA_FULL_ERROR", "TRAINLAB_EXPLAINS")}
        clean |= {"PYTHONPATH": str(HERE), **environment}
        folder = Path(tempfile.mkdtemp(prefix="script-"))
        self._outputs = [folder / "out", folder / "err"]
        for path in self._outputs:
            path.touch()  # a process can be killed before it opens them
        self._process = fork(_become, name, arguments, cwd, clean, *self._outputs)
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.exitcode

    def send(self, number: signal.Signals) -> None:
        """Send it, and it alone, a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def output(self) -> str:
        """What it has printed so far."""
        return self._outputs[0].read_text()

    def finish(self, timeout_s: float = 280, leaves: bool = False) -> "Done":
        """Its end. Nothing that it started is left, unless it ``leaves`` jobs."""
        self._process.join(timeout_s)
        status = self.poll()
        self.send(signal.SIGKILL)
        assert status is not None, "it goes on for ever"
        # With two devices, the second process ends seconds after the first one.
        assert leaves or eventually(lambda: in_session(self.pid) == [])
        done = Done(status, *(path.read_text() for path in self._outputs))
        shutil.rmtree(self._outputs[0].parent)
        return done


@dataclass
class Done:
    """What `subprocess.run` returns."""

    returncode: int
    stdout: str
    stderr: str


def _become(name: str, arguments: Sequence[str], cwd: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), number)
    sys.stdout, sys.stderr = (open(number, "w", 1, closefd=False) for number in (1, 2))  # noqa: SIM115 (for the rest of the process)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if environment.get("PYTHONWARNINGS") == "error::UserWarning":
        warnings.simplefilter("error", UserWarning)
    sys.path.insert(0, str(HERE))
    rebalance.WORTH_S = float(environment.get("WORTH_S", rebalance.WORTH_S))
    if environment.get("FIGURES") == "blank":
        Figure.savefig = save_blank
    elif environment.get("FIGURES") != "on":
        write.plot_groups = write.plot_search = lambda *_: []
    sys.argv = [str(PROJECT / "src" / name), *arguments]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def start(*arguments: str, **environment: str) -> Script:
    """``python src/train.py -m`` with tiny settings."""
    flags = [a for a in arguments if a.startswith("--")]  # argparse wants them first
    argv = [*flags, "-m", *with_defaults(TINY, *(a for a in arguments if a not in flags))]
    return Script("train.py", argv, Path.cwd(), environment)


def sweep(*arguments: str, **environment: str) -> Done:
    return start(*arguments, **environment).finish()


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


REPORT = {"report.html", "report.md", "runs.csv", "pairs.csv"}  # and `figures/`


def eventually(condition, limit_s: float = 60, every_s: float = 0.05) -> bool:
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every_s)
    return True


def holding(folder: Path, *numbers: int) -> dict[str, str]:
    """Variables with which each process waits at these steps or batches, however late it starts; see `faults`."""
    (folder / "held").mkdir(parents=True)
    # Where a signal comes a moment after its announcement, the epoch has not ended yet.
    slow = {"FAULTS_SLEEP": "0.05"}
    return {"FAULTS_FOLDER": str(folder / "held"), "FAULTS_HOLD": ",".join(map(str, numbers)), **slow}


def are_held(folder: Path, number: int, processes: int = 1) -> bool:
    """Waits until so many processes wait at ``number``."""
    return eventually(lambda: len([*(folder / "held").glob(f"at_{number}_*")]) == processes, 200)


def release(folder: Path, number: int) -> None:
    """Let those that wait at ``number`` continue."""
    (folder / "held" / f"go_{number}").touch()


def run_folders(folder: Path) -> list[Path]:
    """All folders in that of a sweep, but the report's and those of leases."""
    return [path for path in folder.iterdir() if path.is_dir() and path.name != "figures" and path.suffix != ".lease"]


def results(folder: Path) -> dict[str, dict]:
    """`result.json` of every run of a sweep, by the overrides that come before those that all tests share."""
    found = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    return {" ".join(o for o in result["overrides"] if _telling(o)): result for result in found}


def _telling(override: str) -> bool:
    return (override not in TINY and override.split("=")[0] in ("model", "optim.lr", "seed", "trainer.devices")) or (
        "fault.what" in override
    )


def figures(folder: Path) -> dict[str, tuple]:
    """Results of all runs of a sweep, without times."""
    return {
        path.parent.name: (
            json.loads(path.read_text())["status"],
            json.loads(path.read_text())["metrics"],
            [{k: v for k, v in row.items() if k not in TIMES} for row in read_rows(path.parent / "metrics.csv")],
        )
        for path in folder.glob("*/result.json")
    }
