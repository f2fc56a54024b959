"""Progress of a sweep: a live table; without a terminal, one line per job."""

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trainlab.config.nearest import with_values
from trainlab.console import console, on_terminal, say, wrapped
from trainlab.runs.files import read_rows
from trainlab.runs.fingerprint import training_overrides
from trainlab.runs.numbers import format_duration, short_number
from trainlab.runs.result import ENDED, STATUSES, Result
from trainlab.sweep.outcome import WAITING
from trainlab.sweep.plan import Job, labels_by_number
from trainlab.sweep.state import State, epochs_of
from trainlab.sweep.time_left import seconds_left
from trainlab.tasks.metrics import Metric, key_of

_METRICS, _MAX_COLUMNS = 2, 4  # metrics of a job; of all jobs together
_GAP, _FIGURE_WIDTH, _STATUS_WIDTH = 2, 7, 17  # characters between columns, of a metric, of "epoch 12/100  34%"
_REASON_WIDTH = 40  # characters of a reason that say something; all reasons are printed at the end
_REFRESH_S, _LINES_S = 0.5, 60.0
_DRAWING = 0.15  # maximal share of a core
_MAX_READ = 200  # running jobs whose metrics are read for a drawing, besides those that are shown
_MAX_STATUSES = 8  # of running jobs, on a line
_STYLES = {
    **{"completed": "green", "debug": "blue", "pruned": "blue", "failed": "red", "diverged": "red"},
    **{"interrupted": "yellow", "running": "cyan"},
}


class Lines:
    """One line for each job that has ended, and now and then one for all."""

    def __init__(self, state: State) -> None:
        self._labels: dict[int, str] = {}
        self._places: dict[int, str] = {}
        self._due = time.monotonic() + _LINES_S
        if len(state.waiting) < len(state.jobs):
            self.say(summary(state) + " at the start")

    def tick(self, state: State) -> None:
        """Print how far all are, if that is due."""
        if (now := time.monotonic()) >= self._due:
            self._due = now + _LINES_S
            running = _running_statuses(state)
            more = f" and {len(running) - _MAX_STATUSES} others" if len(running) > _MAX_STATUSES else ""
            which = f"; running: {', '.join(running[:_MAX_STATUSES])}{more}" if running else ""
            self.say(how_far(state, now) + which)

    def ended(self, job: Job, state: State) -> None:
        """Print the line of a job."""
        if len(self._labels) != len(state.jobs):  # at the start, and where some were added
            self._labels = labels_by_number(state.jobs)
            self._places = {job.number: f"{i}/{state.total}" for i, job in enumerate(state.jobs, 1)}
        outcome = state.outcomes[job.number]
        place, took = self._places[job.number], format_duration(state.took(job.number, time.monotonic()) or 0.0)
        share = state.share(job.number)
        elapsed = took if share is None else f"{took} elapsed ({format_duration(share)} share of joint time)"
        found = [f"{metric.heading} {text}" for metric, text in _figures(job, outcome.metrics).items() if text]
        traceback = f"; see {path}" if (path := _traceback(outcome)) else ""
        self.say(
            f"{place} {self._labels[job.number]}{'   ' * bool(found)}{', '.join(found)}   {elapsed}   "
            f"{_status(outcome)}{traceback}"
        )

    def say(self, text: str) -> None:
        """Print a line."""
        say(text)

    def close(self) -> None:
        """Do nothing."""


class LiveTable:
    """A table that fits the screen: running, failed and recently ended jobs, and the time left.

    A job is a row of the values in which it differs from others. What has elapsed is wall time, also in a population.
    """

    def __init__(self, state: State, console: Console) -> None:
        self._console = console
        self._labels: dict[int, str] = {}
        self._values: dict[str, dict[int, str]] = {}
        self._metrics: list[Metric] = []
        # No refresh thread: jobs are forked, and locks of a thread would stay locked in them. Output is not
        # redirected, as jobs would inherit that, too.
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._due = self._free = 0.0  # when to draw next, and when at the earliest
        self._epochs: dict[int, dict[str, Any]] = {}  # metrics of running jobs, those that were read longest ago first
        self._live.start()

    def tick(self, state: State) -> None:
        """Refresh the table if it is due."""
        if (now := time.monotonic()) >= self._due:
            # By the time of the processor: jobs that start at the same time take it away, and the clock would stand.
            begun = time.process_time()
            self._live.update(self.render(state), refresh=True)
            self._free = now + (time.process_time() - begun) / _DRAWING
            self._due = max(now + _REFRESH_S, self._free)

    def ended(self, job: Job, state: State) -> None:
        """Refresh the table at the next tick, unless that takes much time."""
        self._due = self._free

    def say(self, text: str) -> None:
        """Print a line above the table."""
        # Not by `out`, whose options would hold for the table, too, which is drawn again below the line.
        lines = Text(wrapped(text, self._console.file), no_wrap=True, overflow="ignore")
        self._console.print(Group(lines), crop=False)

    def close(self) -> None:
        """Remove the table. It is emptied before: the last drawing is not cut to the height of the window."""
        self._live.update(Text(""), refresh=True)
        self._live.stop()

    def render(self, state: State) -> Group:
        """The table as it is now."""
        if len(self._labels) != len(state.jobs):  # at the start, and where some were added
            self._labels, self._values = labels_by_number(state.jobs), differing_values(state.jobs)
            self._metrics = [*dict.fromkeys(metric for job in state.jobs for metric in job.metrics.ranked[:_METRICS])]
        now, keys = time.monotonic(), [*self._values]
        shown, running = shown_jobs(state, self._console.height - 9), state.started
        self._read_epochs(state, shown)
        known = {number: outcome.metrics for number, outcome in state.outcomes.items()} | self._epochs
        values = [[self._values[key].get(job.number, "") for key in keys] for job in shown]
        figures = [_figures(job, known[job.number]) for job in shown]
        took = [state.took(job.number, now) for job in shown]
        times = ["" if seconds is None else format_duration(seconds) for seconds in took]
        statuses = [
            _running_status(job, state) if job.number in running else _status(state.outcomes[job.number])
            for job in shown
        ]
        headings = [key.rpartition(".")[2] for key in keys]
        own = [max(map(len, column)) for column in zip(headings, *values, strict=True)]
        widths = [*own, max(map(len, ("999 min", *times)))]
        metrics = self._metrics[: self._room_for_metrics([*widths, _STATUS_WIDTH])]
        widths += [max(len(metric.heading), _FIGURE_WIDTH) for metric in metrics]
        room = max(_STATUS_WIDTH, self._console.width - 2 - sum(width + _GAP for width in widths))
        if room < _REASON_WIDTH:
            statuses = [text if len(text) <= room else text.partition(":")[0] for text in statuses]
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
        for heading, width in zip(headings, own, strict=True):
            table.add_column(heading, overflow="fold", min_width=min(width, self._console.width // 2))
        for heading in (*(metric.heading for metric in metrics), "elapsed"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("status", overflow="ellipsis", no_wrap=True, max_width=room)
        for job, of_job, found, seconds, status in zip(shown, values, figures, times, statuses, strict=True):
            style = _STYLES.get("running" if job.number in running else state.outcomes[job.number].status, "default")
            cells = [found.get(metric) or "-" for metric in metrics]
            table.add_row(*map(escape, of_job), *cells, seconds, f"[{style}]{escape(status)}[/]")
        more = [Text(text, style="dim")] if (text := _hidden(state, shown)) else []
        below = ["", how_far(state, now), *filter(None, [self._best(state, known)])]
        return Group("", table, *more, *(Text(line, no_wrap=True, overflow="ellipsis") for line in below))

    def _read_epochs(self, state: State, shown: Sequence[Job]) -> None:
        """Read the metrics of the best epochs of running jobs: of those shown, and of others in turn."""
        jobs = {job.number: job for job in state.jobs}
        self._epochs = {number: of for number, of in self._epochs.items() if number in state.started}
        others = [*(number for number in state.started if number not in self._epochs), *self._epochs][:_MAX_READ]
        for number in dict.fromkeys([*others, *(job.number for job in shown if job.number in state.started)]):
            self._epochs.pop(number, None)
            self._epochs[number] = _best_of_epochs(jobs[number])

    def _room_for_metrics(self, others: Sequence[int]) -> int:
        """How many columns of metrics fit beside columns of such widths."""
        left = self._console.width - 2 - sum(width + _GAP for width in others)
        count = 0
        for metric in self._metrics[:_MAX_COLUMNS]:
            left -= max(len(metric.heading), _FIGURE_WIDTH) + _GAP
            count += left >= 0
        return count

    def _best(self, state: State, metrics: Mapping[int, Mapping[str, Any]]) -> str:
        """The best job by the metric that reports compare runs by."""
        by = state.jobs[0].metrics.compared_by
        known = [number for number, of in metrics.items() if by.key in of]
        first = min(known, key=lambda n: (by.rank(metrics[n][by.key]), n), default=None)
        return "" if first is None else f"best {by.heading} {by.format(metrics[first][by.key])}: {self._labels[first]}"


Watcher = Lines | LiveTable


def watcher(state: State) -> Watcher:
    """A live table on a terminal, otherwise lines."""
    return LiveTable(state, console) if sys.stdout.isatty() and on_terminal() else Lines(state)


def summary(state: State) -> str:
    """Number of jobs by status."""
    counts = Counter(outcome.status for outcome in state.outcomes.values())
    by_status = ", ".join(f"{counts[status]} {status}" for status in (*STATUSES, WAITING) if counts[status])
    return f"{len(state.jobs)} jobs: {by_status}"


def how_far(state: State, now: float) -> str:
    """Number of jobs done, running and so on, and the time left."""
    statuses = [outcome.status for number, outcome in state.outcomes.items() if number not in state.started]
    counts = {
        "running": len(state.started),
        "waiting": statuses.count(WAITING),
        "failed": sum(outcome.failed for outcome in state.outcomes.values()),
    }
    done = f"{sum(map(statuses.count, ENDED))} of {state.total} done"
    left = seconds_left(state, now)
    parts = [done, *(f"{count} {status}" for status, count in counts.items() if count)]
    return ", ".join(parts) + (f"; about {format_duration(left)} left" if left else "")


def differing_values(jobs: Sequence[Job]) -> dict[str, dict[int, str]]:
    """Values of each setting in which jobs differ, by key and number of job; of a lone job, all that it was given."""
    given = {job.number: with_values(training_overrides(job.overrides)) for job in jobs}
    keys = dict.fromkeys(key for values in given.values() for key in values)
    found = {
        key: {number: short_number(values[key]) for number, values in given.items() if key in values} for key in keys
    }
    differ = {key: of for key, of in found.items() if len(of) < len(jobs) or len({*of.values()}) > 1}
    return differ if differ or len(jobs) > 1 else found


def shown_jobs(state: State, room: int) -> list[Job]:
    """At most ``room`` jobs: all in their order, else running, failed and waiting ones, then those that ended last.

    If more are running than fit, half of the room is for the others; failed ones have at most half of it.
    """
    room = max(room, 1)
    if len(state.jobs) <= room:
        return list(state.jobs)
    by_number = {job.number: job for job in state.jobs}
    running = list(state.started)
    failed = [number for number, outcome in state.outcomes.items() if outcome.failed]
    following = [job.number for job in state.waiting]
    first = running if len(running) <= room else running[: -(-room // 2)]
    last = reversed(state.seconds)
    chosen = dict.fromkeys([*first, *failed[-(room // 2) :], *following, *last, *running, *by_number])
    return [by_number[number] for number in [*chosen][:room]]


def _hidden(state: State, shown: Sequence[Job]) -> str:
    """How many jobs are not ``shown``, by status."""
    left = {job.number for job in state.jobs} - {job.number for job in shown}
    counts = Counter("running" if n in state.started else state.outcomes[n].status for n in left)
    return "and " + ", ".join(f"{count} {status}" for status, count in counts.most_common()) if counts else ""


def _best_of_epochs(job: Job) -> dict[str, Any]:
    """Metrics of the best epoch so far of a running job."""
    rows = read_rows(job.folder / "metrics.csv")
    primary = job.metrics.primary
    names = {key_of(name): name for name in (rows[0] if rows else ())}
    chosen_by = names.get(primary.key, "")
    validated = [row for row in rows if row.get(chosen_by)]
    best = min(validated, key=lambda row: primary.rank(float(row[chosen_by])), default={})
    return {key: float(best[name]) for key, name in names.items() if key in job.metrics and best.get(name)}


def _running_statuses(state: State) -> list[str]:
    """Different texts for running jobs; those of a population are at the same step."""
    ones: dict[Any, Job] = {}
    for job in state.jobs:
        if job.number in state.started:
            ones.setdefault((state.reports.get(job.number, job.number), job.max_epochs), job)
    return [*dict.fromkeys(_running_status(job, state) for job in ones.values())]


def _running_status(job: Job, state: State) -> str:
    """Epoch of a running job and its part that is done, where the number of batches is known."""
    of = f"/{job.max_epochs}" if job.max_epochs else ""
    if position := state.position(job.number):
        return f"epoch {position.epoch + 1}{of} {position.batch / position.batches:4.0%}"
    done = epochs_of(job)
    starting = "compiling" if job.settings.get("compile") else "starting"
    return f"epoch {done}{of} done" if done > state.begun.get(job.number, done) else starting


def _status(outcome: Result) -> str:
    """Status and reason, of an exception with its type."""
    kind = f": {(outcome.error or {})['type']}" if _traceback(outcome) else ""
    return outcome.status + kind + (f": {outcome.reason}" if outcome.reason else "")


def _traceback(outcome: Result) -> str:
    """Path of the traceback of a failed job, from the working directory; "" without one."""
    path = (outcome.error or {}).get("traceback", "") if outcome.status == "failed" else ""
    return os.path.relpath(path) if path else ""


def _figures(job: Job, values: dict[str, Any]) -> dict[Metric, str]:
    """The first metrics of a job as text; "" for those that it does not have yet."""
    shown = job.metrics.ranked[:_METRICS]
    return {metric: metric.format(values[metric.key]) if metric.key in values else "" for metric in shown}
