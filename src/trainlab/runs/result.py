"""The result of a run, `result.json`."""

import contextlib
import errno
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainlab.passwords import without_passwords
from trainlab.runs.files import read_listed, write_atomically, write_in_place
from trainlab.runs.format import FORMAT, check_format
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics

RESULT = "result.json"
CONFUSION_FILE = "confusion.json"  # of the best checkpoint on the test images: classes and counts
CONTINUATION = "continuation"  # folder in that of a completed run, while it is continued with other settings
ENDED = ("completed", "debug", "pruned", "diverged", "failed")
STATUSES = ("running", *ENDED, "interrupted")

_PADDING = 8192  # bytes: metrics, times and an error
_LIST_OF_NUMBERS = re.compile(r"\[\n[\s\d.,eE+\-nul]*\]")  # no text: that has no line breaks in JSON


@dataclass
class Result:
    """Outcome of a run.

    Attributes:
        status: one of ``STATUSES``.
        fingerprint: see ``fingerprint``.
        overrides: of this run, as given; those that decide what is trained, by the command that began it.
        metrics: best_epoch, epochs, stop_reason, and those of ``measures``, of the best checkpoint: val_loss, val_acc,
            test_loss, test_acc. Of a debug run only epochs and stop_reason; without a test none of the test.
        time: total_s, epoch_s (median), images_per_s, device; population, of a member of one:
            members of the largest, wall_s of all. total_s and wall_s have what earlier processes spent on the run, and
            on a run whose checkpoint it continues: as they recorded it, but at least the seconds of the epochs in the
            checkpoint. Of a process that was killed only these are known, of its wall_s only the member's share.
        provenance: command, git commit and whether dirty, versions, seed, data digest; continued_from, of a run
            that was not trained with these settings in this folder from its start, see `trainlab.runs.continuation`.
        error: type, message and traceback file, where there is one.
        lr_search: result of the learning-rate search, if there was one: method, lr, rule, suggestions, curve,
            search_s, which total_s does not contain.
        tags: words that the run was given, to find it by.
        task: names, directions and formats of its metrics, see `trainlab.tasks.reported`; None for those of the
            default classification.
        compiled: whether its steps were compiled.
        num_threads: of the CPU that it was trained with; None on another device, or with several.
    """

    status: str
    fingerprint: str
    overrides: list[str]
    metrics: dict[str, Any] = field(default_factory=dict)
    time: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] | None = None
    lr_search: dict[str, Any] | None = None
    tags: list[str] = field(default_factory=list)
    task: dict[str, Any] | None = None
    compiled: bool = False
    num_threads: int | None = None

    @property
    def failed(self) -> bool:
        """Whether the run failed, as opposed to not ended."""
        return self.status in ("failed", "diverged")

    @property
    def reason(self) -> str:
        """Reason of a failure, one line; "" if there is none."""
        return (self.error or {}).get("message", "").strip().partition("\n")[0]

    def write(self, folder: Path) -> None:
        """Write `result.json` atomically, without the passwords of URLs. Numbers that are not finite become null.

        While a run is running the file is padded with blanks, so that the final result fits in it on a full disk.

        Raises:
            OSError: it cannot be written.
        """
        assert self.status in STATUSES
        content = json.dumps({"format": FORMAT} | _plain(asdict(self)), indent=2, allow_nan=False)
        text = _LIST_OF_NUMBERS.sub(lambda found: " ".join(found[0].split()), content)
        path, bytes_ = folder / RESULT, (text + "\n").encode()
        try:
            write_atomically(path, bytes_ + b" " * _PADDING * (self.status == "running"))
        except OSError as error:
            fits = error.errno in (errno.ENOSPC, errno.EDQUOT) and path.exists() and len(bytes_) <= path.stat().st_size
            if not fits:
                raise
            write_in_place(path, bytes_)

    @classmethod
    def read(cls, folder: Path, to_train: bool = True) -> "Result | None":
        """The result in ``folder``, or None where there is none. A metric of null is NaN.

        Args:
            to_train: whether a run is to be trained there, for which errors say how.

        Raises:
            ValueError: the file is damaged, or of another format.
        """
        path = folder / RESULT
        text = read_listed(path)
        if text is None:
            return None
        try:
            content = dict(json.loads(text.decode()))
            found = content.pop("format", 1)
        except (ValueError, TypeError) as error:
            raise _damaged(path, error, to_train) from None
        try:
            check_format(found)
        except ValueError as error:
            raise ValueError(f"{path} {error}{'; set another name=' * to_train}") from None
        try:
            result = cls(**content)
            if not isinstance(result.metrics, dict):
                raise TypeError("metrics is no mapping")
            TaskMetrics.read(result.task)
        except (TypeError, ValueError) as error:
            raise _damaged(path, error, to_train) from None
        result.metrics = {key: math.nan if value is None else value for key, value in result.metrics.items()}
        return result


def _damaged(path: Path, error: Exception, to_train: bool) -> ValueError:
    return ValueError(f"{path} is damaged ({error}){'; remove it, or set another name=' * to_train}")


def _plain(value: Any) -> Any:
    """``value`` for JSON: None in place of NaN and infinities, and no passwords."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else without_passwords(value)


def folder_of_result(folder: Path, fingerprint: str) -> Path:
    """The folder with the result of that fingerprint: ``folder``, or that of a continuation in it."""
    with contextlib.suppress(ValueError):
        inside = Result.read(folder / CONTINUATION)
        if inside and inside.fingerprint == fingerprint:
            return folder / CONTINUATION
    return folder


def is_search(found: Any) -> bool:
    """Whether ``found`` is a valid `lr_search` of a result."""
    try:
        rates, rows = found["curve"]["lr"], found["curve"]["losses"]
        marks = [found["lr"], found["suggestions"][found["rule"]], *found["suggestions"].values(), *rates]
        losses = [loss for row in rows for loss in row if loss is not None]
        fine = all(map(is_number, [*marks, *losses])) and all(0 < mark < math.inf for mark in marks)
        many = [len(rows) == len(rates)] if found["method"] == "grid" else [len(row) <= len(rates) for row in rows]
        return fine and bool(losses) and all(rows) and all(many) and found["method"] in ("grid", "range_test")
    except (KeyError, TypeError, AttributeError):
        return False


def is_number(value: Any) -> bool:
    """Whether ``value``, read from JSON, can be a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        float(value)  # JSON knows integers that are larger than any float
    except OverflowError:
        return False
    return True


def describe(result: Result, folder: Path) -> str:
    """Summary of a run in a few lines."""
    m, test, primary = result.metrics, describe_test(result), TaskMetrics.read(result.task).primary
    chosen_by = f"{primary.by_mode('lowest', 'highest')} {primary.label}"
    reason = str(m.get("stop_reason"))
    ended = f"ended {'at' if reason.startswith('max_') else 'by'} {reason}"
    if validated := _listed(TaskMetrics.read(result.task).every, m):
        figures = f"best epoch {m['best_epoch'] + 1} of {m['epochs']} ({chosen_by}; {ended}): {validated}"
        figures += f"\n{test}" if test else ""
    elif test:
        figures = f"no epoch has a finite {primary.label}, so the last of {m['epochs']} was tested ({ended}): {test}"
    else:
        return f"{result.status}: {folder}"
    share = " (share of joint time)" if "population" in result.time else ""
    return f"{figures}\n{result.status} in {result.time['total_s']:.0f} s{share}: {folder}"


def describe_test(result: Result) -> str:
    """The metrics of the test, such as "test loss 1.2345, test accuracy 50.00 %"; "" without one."""
    known = [of.test for of in TaskMetrics.read(result.task).every if of.test.key in result.metrics]
    return ", ".join(f"{of.label} {of.format(result.metrics[of.key])}" for of in known)


def _listed(metrics: Sequence[Metric], values: Mapping[str, Any]) -> str:
    """Those that there are, the first with its split: "validation loss 1.2345, accuracy 50.00 %"."""
    known = [metric for metric in metrics if metric.key in values]
    names = [metric.name if i else metric.label for i, metric in enumerate(known)]
    return ", ".join(f"{name} {metric.format(values[metric.key])}" for name, metric in zip(names, known, strict=True))
