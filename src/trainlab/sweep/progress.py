"""Progress of a sweep: a live table; without a terminal, one line per job."""

import os
import sys
import time
from collections import Counter
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trainlab.console import console, on_terminal, say
from trainlab.runs.files import read_rows
from trainlab.runs.result import STATUSES, Result
from trainlab.sweep.outcome import WAITING
from trainlab.sweep.plan import Item, Job, labels_by_number
from trainlab.sweep.state import State, epochs_of
from trainlab.tasks.metrics import Metric, key_of

_METRICS, _MAX_COLUMNS = 2, 4  # metrics of a job; of all jobs together
_REFRESH_S = 0.5
_DRAWING = 0.05  # maximal share of the time; a table of hundreds of running jobs reads hundreds of files
_STYLES = {
    **{"completed": "green", "debug": "blue", "pruned": "blue", "failed": "red", "diverged": "red"},
    **{"interrupted": "yellow", "running": "cyan"},
}


class Lines:
    """One line for each job that has ended."""

    def __init__(self, state: State) -> None:
        self._labels = labels_by_number(state.jobs)
        self._places = {job.number: f"{i}/{len(state.jobs)}" for i, job in enumerate(state.jobs, 1)}
        if len(state.waiting) < len(state.jobs):
            self.say(summary(state) + " at the start")

    def tick(self, state: State) -> None:
        """Do nothing."""

    def ended(self, job: Job, state: State) -> None:
        """Print the line of a job."""
        outcome = state.outcomes[job.number]
        place, took = self._places[job.number], _duration(state.took(job.number) or 0.0)
        found = [f"{metric.heading} {text}" for metric, text in _figures(job, outcome.metrics).items() if text]
        traceback = f"; see {path}" if (path := _traceback(outcome)) else ""
        self.say(
            f"{place} {self._labels[job.number]}{'   ' * bool(found)}{', '.join(found)}   {took}   "
            f"{_status(outcome)}{traceback}"
        )

    def say(self, text: str) -> None:
        """Print a line."""
        say(text)

    def close(self) -> None:
        """Do nothing."""


class LiveTable:
    """A table that fits the screen: running, failed and recently ended jobs, and the time left."""

    def __init__(self, state: State, console: Console) -> None:
        self._labels, self._console = labels_by_number(state.jobs), console
        columns = dict.fromkeys(metric for job in state.jobs for metric in job.metrics.every[:_METRICS])
        self._columns, self._primary = [*columns][:_MAX_COLUMNS], state.jobs[0].metrics.primary
        # No refresh thread: jobs are forked, and locks of a thread would stay locked in them. Output is not
        # redirected, as jobs would inherit that, too.
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._due = 0.0
        self._live.start()

    def tick(self, state: State) -> None:
        """Refresh the table if it is due."""
        begun = time.monotonic()
        if begun >= self._due:
            self._live.update(self._render(state), refresh=True)
            self._due = begun + max(_REFRESH_S, (time.monotonic() - begun) / _DRAWING)

    def ended(self, job: Job, state: State) -> None:
        """Refresh the table at the next tick."""
        self._due = 0.0

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(escape(text), highlight=False)

    def close(self) -> None:
        """Remove the table."""
        self._live.stop()

    def _render(self, state: State) -> Group:
        rows = {job.number: _running_row(job, state) for job in state.jobs if job.number in state.started}
        table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        table.add_column("run", overflow="ellipsis", no_wrap=True)
        for heading in (*(metric.heading for metric in self._columns), "time"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("status", overflow="ellipsis", no_wrap=True)
        shown = shown_jobs(state, self._console.height - 8)
        for job in shown:
            outcome = state.outcomes[job.number]
            took = state.took(job.number)
            ended = outcome.metrics, "" if took is None else _duration(took), _status(outcome)
            metrics, seconds, status = rows.get(job.number, ended)
            figures = _figures(job, metrics)
            style = _STYLES.get("running" if job.number in rows else outcome.status, "default")
            styled = f"[{style}]{escape(status)}[/]"
            values = [figures.get(metric) or "-" for metric in self._columns]
            table.add_row(escape(self._labels[job.number]), *values, seconds, styled)
        hidden = len(state.jobs) - len(shown)
        more = [Text(f"and {hidden} more", style="dim")] if hidden else []
        best = {n: outcome.metrics for n, outcome in state.outcomes.items()} | {n: row[0] for n, row in rows.items()}
        return Group(table, *more, Text(self._summary(state, best), overflow="ellipsis", no_wrap=True))

    def _summary(self, state: State, metrics: dict[int, dict[str, Any]]) -> str:
        statuses = [outcome.status for number, outcome in state.outcomes.items() if number not in state.started]
        bad = sum(outcome.failed for outcome in state.outcomes.values())
        parts = [
            f"{sum(map(statuses.count, ('completed', 'debug', 'pruned')))} of {len(state.jobs)} done",
            f"{len(state.started)} running",
            f"{statuses.count('waiting')} waiting",
            f"{bad} failed",
        ]
        primary = self._primary
        known = [n for n, of in metrics.items() if primary.key in of]
        first = min(known, key=lambda n: (primary.rank(metrics[n][primary.key]), n), default=None)
        best = "" if first is None else f"; best {primary.format(metrics[first][primary.key])} ({self._labels[first]})"
        left = seconds_left(state, time.monotonic())
        return ", ".join(parts) + (f"; about {_duration(left)} left" if left else "") + best


Watcher = Lines | LiveTable


def watcher(state: State) -> Watcher:
    """A live table on a terminal, otherwise lines."""
    return LiveTable(state, console) if sys.stdout.isatty() and on_terminal() else Lines(state)


def summary(state: State) -> str:
    """Number of jobs by status."""
    counts = Counter(outcome.status for outcome in state.outcomes.values())
    by_status = ", ".join(f"{counts[status]} {status}" for status in (*STATUSES, WAITING) if counts[status])
    return f"{len(state.jobs)} jobs: {by_status}"


def shown_jobs(state: State, room: int) -> list[Job]:
    """At most ``room`` jobs in order: running, failed, recently ended and next ones.

    If more are running than fit, half of the room is for the others.
    """
    room = max(room, 1)
    if len(state.jobs) <= room:
        return list(state.jobs)
    by_number = {job.number: job for job in state.jobs}
    running = list(state.started)
    failed = [number for number, outcome in state.outcomes.items() if outcome.failed]
    last = list(reversed(state.seconds))
    following = [job.number for job in state.waiting[: max(1, room // 4)]]
    first = running if len(running) <= room else running[: -(-room // 2)]
    chosen = list(dict.fromkeys([*first, *following, *failed[-(room // 2) :], *last, *running]))[:room]
    return [by_number[number] for number in sorted(chosen)]


def seconds_left(state: State, now: float) -> float | None:
    """Estimate of the seconds left, from ended items and the epochs of running ones; None without either.

    An item takes as long as others of its size; without such, its time per job is that of the others.
    """
    to_come = {job.number for job in state.waiting}
    waiting = [item for item in state.items if item.jobs[0].number in to_come]
    running = [item for item in state.items if item.jobs[0].number in state.started]
    ended = [item for item in state.items if item.jobs[0].number in state.seconds]
    passed = [now - state.started[item.jobs[0].number] for item in running]
    known = [
        (len(item.jobs), state.seconds[item.jobs[0].number])
        for item in ended
        if not all(state.outcomes[job.number].reason for job in item.jobs)
    ]
    shares = [_share_done(item, state) for item in running]
    guesses = [seconds / share if share else None for seconds, share in zip(passed, shares, strict=True)]
    guessed = [(len(i.jobs), guess) for i, guess in zip(running, guesses, strict=True) if guess is not None]
    if not known and not guessed:
        return None

    def usual(item: Item) -> float:
        size = len(item.jobs)
        for found in (known, guessed):
            if same := [seconds for jobs, seconds in found if jobs == size]:
                return sum(same) / len(same)
        found = known or guessed
        return size * sum(seconds for _, seconds in found) / sum(jobs for jobs, _ in found)

    whole = [usual(item) if guess is None else guess for item, guess in zip(running, guesses, strict=True)]
    left = [max(0.0, seconds - gone) for seconds, gone in zip(whole, passed, strict=True)]
    at_once = min(state.slots, len(running) + len(waiting)) or 1
    return max([*left, (sum(left) + sum(map(usual, waiting))) / at_once])


def _share_done(item: Item, state: State) -> float | None:
    """Share of an item's epochs that is done, of those left when it started.

    A population runs until its last member ends, so the member with the most epochs is decisive.
    """
    limits = [job.max_epochs for job in item.jobs]
    if not all(limits):
        return None
    begun = min(state.begun.get(job.number, 0) for job in item.jobs)
    done = max(map(epochs_of, item.jobs)) - begun
    return done / max(1, max(n or 0 for n in limits) - begun)


def _running_row(job: Job, state: State) -> tuple[dict[str, Any], str, str]:
    rows = read_rows(job.folder / "metrics.csv")
    primary = job.metrics.primary
    names = {key_of(name): name for name in (rows[0] if rows else ())}
    chosen_by = names.get(primary.key, "")
    validated = [row for row in rows if row.get(chosen_by)]
    best = min(validated, key=lambda row: primary.rank(float(row[chosen_by])), default={})
    metrics = {key: float(best[name]) for key, name in names.items() if key in job.metrics and best.get(name)}
    of = f" of {job.max_epochs}" if job.max_epochs else ""
    epoch = min(int(rows[-1]["epoch"]) + 2 if rows else 1, job.max_epochs or sys.maxsize)
    return metrics, _duration(time.monotonic() - state.started[job.number]), f"epoch {epoch}{of}"


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
    shown = job.metrics.every[:_METRICS]
    return {metric: metric.format(values[metric.key]) if metric.key in values else "" for metric in shown}


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
