"""`metrics.csv`: one row per epoch."""

import csv
import io
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from trainlab.runs.files import write_atomically


class MetricsCSV(Logger):
    """Logger that writes one row per epoch to `metrics.csv` in ``save_dir``.

    A resumed run keeps the rows of the epochs before it.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.path = Path(save_dir) / "metrics.csv"

    @property
    def name(self) -> str:
        """Constant: a run has one folder."""
        return ""

    @property
    def version(self) -> str:
        """Constant: a run has one folder."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the configuration is written to `config.yaml`."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Write the row of ``metrics["epoch"]``; it replaces rows of the same and of later epochs.

        Metrics without "epoch", which other callbacks log, are ignored.
        """
        if "epoch" not in metrics:
            return
        row = {"epoch": metrics["epoch"], "step": step, **metrics}
        rows = [old for old in read_rows(self.path) if int(old["epoch"]) < metrics["epoch"]]
        columns = list(dict.fromkeys(key for line in [*rows, row] for key in line))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, row])
        write_atomically(self.path, text.getvalue().encode())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV file, values as strings; empty if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
