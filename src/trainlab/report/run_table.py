"""Runs and what they reached as a table, one row per run: `runs.csv`, and what `trainlab.load_runs` returns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlab.report.groups import group_runs
from trainlab.report.provenance import repeat_command
from trainlab.report.runs import Run, find_runs, relative_path
from trainlab.report.settings import NOT_GIVEN, differing_keys, value_of

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class RunTable(Sequence[Run]):
    """Runs, the completed ones first, by validation loss; a sequence of them and a table.

    Attributes:
        runs: what each left on disk.
        rows: by column, of each run: its folder, its group (runs that differ in seed and fold alone), status, tags, the
            settings in which the runs differ, metrics, times and provenance. None where a run has no such value.
    """

    runs: Sequence[Run]
    rows: Sequence[dict[str, Any]]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(dict.fromkeys(column for row in self.rows for column in row))

    def to_pandas(self) -> "DataFrame":
        """The rows as a DataFrame.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError:
            raise ImportError("to_pandas() needs pandas, which is not installed; run `pip install pandas`") from None
        return DataFrame(self.rows, columns=self.columns)

    def __repr__(self) -> str:
        return f"RunTable({len(self.runs)} runs; columns: {', '.join(self.columns)})"

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, index: Any) -> Any:
        return self.runs[index]

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)


def load_runs(folder: str | PathLike[str]) -> RunTable:
    """The runs at or below ``folder``, of a sweep or of many, from what they left on disk.

    Raises:
        FileNotFoundError: the folder does not exist, or there is no run in it.
    """
    runs = find_runs([Path(folder)])
    labels = {path: group.label for group in group_runs(runs) for path in group.folders}
    keys = differing_keys(runs)
    return RunTable(runs, [row_of(run, labels.get(run.folder), keys, Path(folder), _plain) for run in runs])


def row_of(
    run: Run, group: str | None, keys: Sequence[str], root: Path, as_setting: Callable[[Any], Any]
) -> dict[str, Any]:
    """The row of a run, with what ``as_setting`` makes of its settings ``keys``; its folder relative to ``root``."""
    metrics: Mapping[str, Any] = run.result.metrics if run.result else {}
    time: Mapping[str, Any] = run.result.time if run.result else {}
    origin: Mapping[str, Any] = run.result.provenance if run.result else {}
    best_epoch = metrics.get("best_epoch")
    return {
        "folder": relative_path(run.folder, root),
        "group": group,
        "status": run.status,
        "tags": ", ".join(run.tags) or None,
        "reason": run.reason,
        "seed": run.settings.get("seed", origin.get("seed")),
        **{key: as_setting(value_of(run, key)) if run.result else None for key in keys if key != "seed"},
        **{key: metrics.get(key) for key in ("val_loss", "val_acc", "test_loss", "test_acc")},
        "best_epoch": None if best_epoch is None else best_epoch + 1,  # epochs count from one
        **{key: metrics.get(key) for key in ("epochs", "stop_reason")},
        **{key: time.get(key) for key in ("epoch_s", "total_s", "images_per_s", "device")},
        "fingerprint": run.result.fingerprint if run.result else None,
        **{key: origin.get(key) for key in ("git_commit", "git_dirty", "data_digest", "host")},
        "command": repeat_command(run) if run.result and not run.continued else None,
    }


def _plain(value: Any) -> Any:
    return None if value == NOT_GIVEN else value
