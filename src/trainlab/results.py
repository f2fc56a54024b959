"""What a run leaves behind, `result.json`, and the fingerprint that says whether two runs are one."""

import contextlib
import errno
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainlab.files import write_atomically, write_in_place
from trainlab.val_metrics import METRICS

Config = Mapping[str, Any]
RESULT = "result.json"
CONTINUATION = "continuation"  # folder in that of a completed run, while it is continued with other settings
STATUSES = ("running", "completed", "debug", "pruned", "diverged", "failed", "interrupted")

# Where a run is kept, what watches it and what machine does it: none of it changes what is trained.
_NOT_IN_FINGERPRINT = (
    "name",
    "output_dir",
    "run_dir",
    "ckpt_path",
    "sweep",
    "compile",
    "logger",
    "data.root",
    "data.cache_dir",
    "trainer.accelerator",
    "trainer.strategy",
    "trainer.enable_progress_bar",
    "trainer.profiler",
    "callbacks.checkpoint.dirpath",
    "callbacks.progress",
    "callbacks.pictures",
    "callbacks.activations",
    "callbacks.step_losses",
    "lr_search.cache_dir",
)
# Overrides that say where and how, not what.
_WHERE_AND_HOW = (
    *("name=", "output_dir=", "run_dir=", "sweep.", "hydra.", "hydra/"),
    *("data.cache_dir=", "lr_search.cache_dir=", "callbacks.progress=", "callbacks.pictures=", "callbacks.activations"),
    "callbacks.step_losses",
    "logger.",
)


_ROOM_FOR_THE_END = 8192  # bytes: metrics, times and an error
_LIST_OF_NUMBERS = re.compile(r"\[\n[\s\d.,eE+\-nul]*\]")  # no text: that has no line breaks in JSON


@dataclass
class Result:
    """Outcome of a run.

    Attributes:
        status: one of ``STATUSES``.
        fingerprint: see ``fingerprint``.
        overrides: of this run, as given.
        metrics: best_epoch, val_loss, val_acc, test_loss, test_acc, epochs, stop_reason; of the best checkpoint.
            Of a debug run epochs and stop_reason alone.
        time: total_s, epoch_s (median), images_per_s, device; population, of one that was trained together with others:
            members of the largest, wall_s of all. total_s and wall_s have what earlier processes spent on the run, and
            on a run whose checkpoint it continues: as they recorded it, but at least the seconds of the epochs in the
            checkpoint. Of a process that was killed only these are known, of its wall_s only the member's share.
        provenance: command, git commit and whether dirty, versions, seed, data digest; continued_from, of a run
            that was not trained with these settings in this folder from its start, see `trainlab.continuation`.
        error: type, message and traceback file, where there is one.
        lr_search: where the learning rate was searched, what that came to: method, lr, rule, suggestions, curve,
            search_s, which total_s does not contain.
    """

    status: str
    fingerprint: str
    overrides: list[str]
    metrics: dict[str, Any] = field(default_factory=dict)
    time: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] | None = None
    lr_search: dict[str, Any] | None = None

    def write(self, folder: Path) -> None:
        """Write `result.json` atomically. Numbers that are not finite become null: JSON has none.

        While a run is running blanks fill up the file, so that its end can be written in their place on a full disk.

        Raises:
            OSError: it cannot be written.
        """
        assert self.status in STATUSES
        content = json.dumps(_without_nan(asdict(self)), indent=2, allow_nan=False)
        text = _LIST_OF_NUMBERS.sub(lambda found: " ".join(found[0].split()), content)
        path, bytes_ = folder / RESULT, (text + "\n").encode()
        try:
            write_atomically(path, bytes_ + b" " * _ROOM_FOR_THE_END * (self.status == "running"))
        except OSError as error:
            fits = error.errno in (errno.ENOSPC, errno.EDQUOT) and path.exists() and len(bytes_) <= path.stat().st_size
            if not fits:
                raise
            write_in_place(path, bytes_)

    @classmethod
    def read(cls, folder: Path) -> "Result | None":
        """The result in ``folder``, or None where there is none. A metric of null is NaN.

        Raises:
            ValueError: the file is damaged.
        """
        path = folder / RESULT
        if not path.exists():
            return None
        try:
            result = cls(**json.loads(path.read_text()))
            if not isinstance(result.metrics, dict):
                raise TypeError("metrics is no mapping")
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is damaged ({error}); remove it, or set another name=") from None
        result.metrics = {key: math.nan if value is None else value for key, value in result.metrics.items()}
        return result


def _without_nan(value: Any) -> Any:
    """``value``, plain, with None in place of NaN and infinities."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def folder_of_result(folder: Path, fingerprint: str) -> Path:
    """Where the run with that fingerprint has its result: ``folder``, or inside while it continues a completed run."""
    with contextlib.suppress(ValueError):
        inside = Result.read(folder / CONTINUATION)
        if inside and inside.fingerprint == fingerprint:
            return folder / CONTINUATION
    return folder


def is_search(found: Any) -> bool:
    """Whether ``found`` is what a search of the learning rate leaves: `lr_search` of a result."""
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


def is_debug_run(config: Config) -> bool:
    """Whether a run of ``config`` only tries whether everything works.

    It ends as "debug", has no figures and counts for nothing: not as done, in no report, as no trial of a search.
    """
    trainer = config.get("trainer") or {}
    return bool(config.get("debug_run") or trainer.get("fast_dev_run") or trainer.get("overfit_batches"))


def describe(result: Result, folder: Path) -> str:
    """Two lines that sum up a run."""
    m = result.metrics
    test = f"test loss {m['test_loss']:.4f}, accuracy {m['test_acc']:.2%}" if "test_loss" in m else ""
    if "val_loss" in m:
        validated = f"validation loss {m['val_loss']:.4f}, accuracy {m['val_acc']:.2%}"
        figures = f"best epoch {m['best_epoch'] + 1} of {m['epochs']} ({m['stop_reason']}): {validated}"
        figures += f", {test}" if test else ""
    elif test:
        figures = f"no epoch was validated, so the last of {m['epochs']} was tested ({m['stop_reason']}): {test}"
    else:
        return f"{result.status}: {folder}"
    return f"{figures}\n{result.status} in {result.time['total_s']:.0f} s: {folder}"


def telling(overrides: Sequence[str]) -> list[str]:
    """The overrides that say what a run is, without those that say where and how it is made."""
    return [override for override in overrides if not override.lstrip("+~").startswith(_WHERE_AND_HOW)]


def fingerprint(config: Config) -> str:
    """Hexadecimal hash of the resolved ``config`` without paths and machine settings."""
    content = json.dumps(_deciding(config), sort_keys=True, default=str)
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def identity(config: Config, folder: Path) -> str:
    """Hexadecimal hash of all that sets runs of a sweep apart: the fingerprint, and machine settings and paths too.

    Where the run itself lies, in ``folder``, is left out.
    """
    rest = {key: value for key, value in config.items() if key not in ("name", "output_dir", "run_dir", "sweep")}
    if rest.get("lr_search"):
        rest["optim"] = {key: value for key, value in rest["optim"].items() if key != "lr"}
    content = json.dumps([fingerprint(config), rest], sort_keys=True, default=str)
    here = json.dumps(str(folder))[1:-1]
    return hashlib.blake2b(content.replace(here, "").encode(), digest_size=8).hexdigest()


def settings(config: Config) -> dict[str, Any]:
    """Leaves of the nested ``config`` by dotted key, without paths and machine settings: what decides a result."""
    return dict(_relevant(config))


def differences(old: Config, new: Config) -> list[str]:
    """What sets two configurations apart, as "key: old value, now new value"."""
    before, after = _deciding(old), _deciding(new)
    return [
        f"{key}: {before.get(key, 'not set')}, now {after.get(key, 'not set')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key, "not set") != after.get(key, "not set")
    ]


def _deciding(config: Config) -> dict[str, Any]:
    """The settings but for what follows from others: a learning rate that is searched."""
    found = settings(config)
    if config.get("lr_search"):
        found.pop("optim.lr", None)
    return found


def _relevant(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a nested mapping by dotted key, without what is not in the fingerprint."""
    for key, value in config.items():
        path = f"{prefix}{key}"
        if key == "mode" and value is None and config.get("monitor") in METRICS:
            value = METRICS[config["monitor"]].mode
        if path in _NOT_IN_FINGERPRINT or (path in ("lr_search", "debug_run") and not value):  # as in earlier runs
            continue
        if isinstance(value, Mapping) and value:
            yield from _relevant(value, f"{path}.")
        else:
            yield path, value
