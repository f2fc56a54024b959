"""A sweep whose runs are all running, of which nothing changes: the loop of its process, with real files."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rich.console import Console

from elsewhere import Elsewhere
from large_study import EPOCHS, Study
from trainlab.runs.result import Result
from trainlab.sweep.executors.executor import LEAVE, Program
from trainlab.sweep.executors.remote_item import Remote
from trainlab.sweep.folder import sweep_folder_lock
from trainlab.sweep.items import ItemFolder, new_item
from trainlab.sweep.outcome import results_before
from trainlab.sweep.plan import RUN, Item, Job
from trainlab.sweep.progress import Lines, LiveTable, Watcher
from trainlab.sweep.run_items import run_items
from trainlab.sweep.state import State
from trainlab.training.step_report import Position


class Running(AbstractContextManager["Running"]):
    """All runs of a study, running in items of equal size.

    Args:
        study: whose runs are in ``folder``; their results become those of running ones.
        folder: of the sweep.
        items: number of items.
    """

    def __init__(self, study: Study, folder: Path, items: int) -> None:
        names = {tuple(_own(path)): path.parent for path in folder.glob("*/result.json")}
        self.jobs = []
        for number, overrides in enumerate(study.overrides()):
            place = names[tuple(overrides)]
            result = Result.read(place)
            assert result
            result.status = "running"
            result.write(place)
            settings = dict(override.split("=") for override in overrides)
            job = Job(
                number, tuple(overrides), place, result.fingerprint, RUN, max_epochs=EPOCHS + 1, settings=settings
            )
            self.jobs.append(job)
        self.folder, each = folder, len(self.jobs) // items
        self.items = [Item(tuple(self.jobs[i : i + each])) for i in range(0, len(self.jobs), each)]

    def __enter__(self) -> "Running":
        self._lock = sweep_folder_lock(self.folder)
        self._lock.__enter__()
        self.submitted = [self._submitted(item) for item in self.items]
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.submitted:
            one.files.remove()
        self._lock.__exit__(None, None, None)

    def run(self, watch: "Watch") -> None:
        """The loop, until Ctrl-C."""
        executor, state = Elsewhere(on_interrupt=LEAVE), State(self.jobs, len(self.items), self.items)
        with watch(state) as watcher, executor.opened(Program(self.folder, print), len(self.items), 0) as notices:
            executor._live = [*self.submitted]
            for one in self.submitted:
                one.due = 0.0
            run_items([], executor, state, notices, stop_early=False, watch=watcher, attached=self.submitted)

    def _submitted(self, item: Item) -> Remote:
        files = new_item(self.folder, item.jobs[0].number + 1, {"jobs": [str(job.folder) for job in item.jobs]})
        files.write_submitted(Elsewhere.name, f"1_{item.jobs[0].number}")
        files.write_started()
        position = Position(EPOCHS, 3, 10, 0.0, 0.1)
        files.report.write_text(" ".join(map(str, vars(position).values())) + "\n")
        return Remote(item, results_before(item), files.report, ItemFolder(files.path), "1")


Watch = Callable[[State], AbstractContextManager[Watcher]]


@contextmanager
def _table(state: State) -> Iterator[Watcher]:
    """On a terminal of 160 x 50 characters."""
    watch = LiveTable(state, Console(file=io.StringIO(), force_terminal=True, width=160, height=50))
    try:
        yield watch
    finally:
        watch.close()


class _Unseen(Lines):
    def say(self, text: str) -> None:
        """Print nothing: the output of this process is its figures."""


@contextmanager
def _lines(state: State) -> Iterator[Watcher]:
    """In a log."""
    yield _Unseen(state)


WATCHES: Mapping[str, Watch] = {"table": _table, "log": _lines}


def _own(path: Path) -> list[str]:
    """The overrides of a run that differ in the study."""
    overrides: list[str] = json.loads(path.read_text())["overrides"]
    return overrides[:4]
