"""What a sweep of thousands of runs asks of its process, of the report and of the file system.

    PYTHONPATH=src:tests python benchmarks/large_sweep.py \\
        [--runs 10000] [--seeds 10] [--items 1000] [--folder DIR] [PART ...]

    plan      a sweep of new runs is composed, checked and planned (`sweep.dry_run=true`)
    kept      the same where all runs are completed: their results are read
    report    `report.py` over all runs
    results   all results are read once, by a listing of each folder
    polling   a sweep in which all runs are running, several in each item: one second of it, with a table and with lines
    writing   an epoch and the rest of a population, and a heartbeat

Runs are copies of four tiny ones that were trained, with settings, fingerprint, result and curve of their own; they are
left in DIR/study. Times are of the processor. Calls are those that name a path in the study; each line is one part.
"""

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from child import run_child
from file_calls import KINDS, FileCalls, counts_in
from large_study import EPOCHS, PROJECT, TINY, Study, leave_runs, train_command

WARM_UP_S, POLLED_S = 5.0, 20.0
_WRITTEN_EPOCHS = (2, 6)  # of two runs, of which the difference is that of epochs
_COUNTER = PROJECT / "benchmarks" / "file_calls.py"


@dataclass(frozen=True)
class Measured:
    """What was measured of a part.

    Attributes:
        what: it is, and what it printed.
        cpu_s: seconds of the processor.
        peak_bytes: the largest resident set.
        calls: of the file system, by kind.
    """

    what: str
    cpu_s: float | None = None
    peak_bytes: int | None = None
    calls: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [self.what]
        if self.cpu_s is not None:
            parts.append(f"  {self.cpu_s:.2f} s of the processor")
        if self.peak_bytes is not None:
            parts.append(f"  {self.peak_bytes / 1e9:.2f} GB at most")
        counts = [f"{kind.replace('_', ' ')} {self.calls.get(kind, 0):,.5g}" for kind in KINDS]
        sizes = [
            f"{kind.replace('_', ' ')} {self.calls.get(kind, 0) / 1e6:,.4g} MB"
            for kind in ("bytes_read", "bytes_written")
        ]
        return "\n".join([*parts, f"  {', '.join([*counts, *sizes])}"])


def main() -> None:
    """Measure the parts that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="all if none is given")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=10, help="of each group")
    parser.add_argument("--items", type=int, default=1000, help="that run at the same time")
    parser.add_argument("--folder", type=Path, help="kept for the next time; by default one that is removed")
    parser.add_argument("--seconds", type=float, default=POLLED_S, help="in which the polling is measured")
    parser.add_argument("--inside", help=argparse.SUPPRESS)  # the part that this process is
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        asked = Asked(
            Study(given.runs, given.seeds), (given.folder or Path(temporary)).absolute(), given.items, given.seconds
        )
        if given.inside:
            print(json.dumps([*map(asdict, INSIDE[given.inside](asked))]))
            return
        if not (asked.folder / "study").exists():
            leave_runs(asked.study, asked.folder)
        for part in given.parts or PARTS:
            for measured in PARTS[part](asked):
                print(f"{part}: {measured}", flush=True)


@dataclass(frozen=True)
class Asked:
    """What is to be measured: a study below a folder, in so many items, for so many seconds."""

    study: Study
    folder: Path
    items: int
    seconds: float = POLLED_S


def plan(asked: Asked) -> list[Measured]:
    """New runs, which differ from those on disk in their number of epochs."""
    longer = f"trainer.max_epochs={EPOCHS + 1}"
    words = [longer if word == f"trainer.max_epochs={EPOCHS}" else word for word in asked.study.arguments]
    return [_planned(asked, "new/study", *words, f"output_dir={asked.folder}/new")]


def kept(asked: Asked) -> list[Measured]:
    """The runs on disk."""
    return [_planned(asked, "study", *asked.study.arguments, f"output_dir={asked.folder}")]


def _planned(asked: Asked, place: str, *arguments: str) -> Measured:
    command = train_command("-m", *arguments, f"sweep.jobs={asked.items}", "sweep.dry_run=true")
    done = run_child(command, {})
    lines = [line for line in done.output.splitlines() if line.startswith(("plan: ", f"{asked.study.runs} jobs"))]
    return Measured("; ".join(lines), done.cpu_s, done.peak_bytes, _calls(asked.folder / place, command))


def report(asked: Asked) -> list[Measured]:
    """The report of the study."""
    place = asked.folder / "study"
    command = [sys.executable, str(PROJECT / "src" / "report.py"), str(place)]
    done = run_child(command, {})
    page = (place / "report.html").stat().st_size / 1e6
    return [Measured(f"report.html of {page:.1f} MB", done.cpu_s, done.peak_bytes, _calls(place, command))]


def _calls(root: Path, command: Sequence[str]) -> Mapping[str, float]:
    """What a script asks of the files below a folder."""
    with tempfile.TemporaryDirectory() as counts:
        run_child([command[0], _COUNTER, counts, root, *command[1:]], {})
        return counts_in(Path(counts))


def inside(part: str, asked: Asked) -> list[Measured]:
    """A part that is measured in a process of its own."""
    settings = (f"--runs={asked.study.runs}", f"--seeds={asked.study.seeds}", f"--items={asked.items}")
    where = (f"--folder={asked.folder}", f"--seconds={asked.seconds}")
    done = run_child([sys.executable, __file__, f"--inside={part}", *settings, *where], {})
    return [Measured(**one) for one in json.loads(done.output.splitlines()[-1])]


def read_results(asked: Asked) -> list[Measured]:
    """All results, as a sweep reads them."""
    from trainlab.sweep.outcome import recorded_outcome

    calls, begun = FileCalls(asked.folder / "study"), time.process_time()
    folders = [path for path in (asked.folder / "study").iterdir() if path.is_dir() and path.name != "figures"]
    found = Counter(recorded_outcome(path).status for path in folders)
    return [Measured(str(dict(found)), time.process_time() - begun, calls={**calls.counts})]


def poll_running(asked: Asked) -> list[Measured]:
    """A sweep whose runs are all running: what each second takes."""
    from large_polling import WATCHES, Running

    calls = FileCalls(asked.folder / "study")
    found = []
    with Running(asked.study, asked.folder / "study", asked.items) as running:
        for name, watch in WATCHES.items():
            looks: list[tuple[float, float, Counter[str]]] = []
            threading.Thread(target=_look, args=(looks, calls, asked.seconds)).start()
            running.run(watch)
            (start, cpu, before), (end, cpu_end, after) = looks
            took = end - start
            each = {kind: (after[kind] - before[kind]) / took for kind in after}
            found.append(Measured(f"each second, with a {name}", (cpu_end - cpu) / took, calls=each))
    return found


def _look(looks: list[tuple[float, float, Counter[str]]], calls: FileCalls, seconds: float) -> None:
    """Note the state twice, then press Ctrl-C."""
    for wait_s in (WARM_UP_S, seconds):
        time.sleep(wait_s)
        looks.append((time.monotonic(), time.process_time(), calls.snapshot()))
    signal.raise_signal(signal.SIGINT)


def write_population(asked: Asked) -> list[Measured]:
    """What a population of ten and its heartbeats ask for."""
    from trainlab.runs.lease import held

    totals = []
    for epochs in _WRITTEN_EPOCHS:
        place = asked.folder / f"written-{epochs}"
        settings = [word for word in TINY if not word.startswith(("trainer.max_epochs", "name="))]
        length = (f"trainer.max_epochs={epochs}", f"name={place.name}", "sweep.jobs=1", f"output_dir={asked.folder}")
        rates = ",".join(f"{1e-4 * (i + 1):.0e}" for i in range(10))
        totals.append(_calls(place, train_command("-m", f"optim.lr={rates}", *settings, *length)))
    (few, short), (many, long) = zip(_WRITTEN_EPOCHS, totals, strict=True)
    each = {kind: (long[kind] - short.get(kind, 0)) / (many - few) for kind in long}
    rest = {kind: short[kind] - few * each.get(kind, 0) for kind in short}
    calls = FileCalls(asked.folder)
    with held(asked.folder / "held", "process is training") as lease:
        before = calls.snapshot()
        lease.beat()
        beat = calls.snapshot() - before
    return [
        Measured("an epoch of a population of ten", calls=each),
        Measured("the rest of it and of its sweep", calls=rest),
        Measured("a heartbeat of one run", calls={**beat}),
    ]


Part = Callable[[Asked], list[Measured]]
PARTS: Mapping[str, Part] = {
    **{"plan": plan, "kept": kept, "report": report},
    **{part: partial(inside, part) for part in ("results", "writing", "polling")},  # the last one changes the results
}
INSIDE: Mapping[str, Part] = {"results": read_results, "writing": write_population, "polling": poll_running}

if __name__ == "__main__":
    main()
