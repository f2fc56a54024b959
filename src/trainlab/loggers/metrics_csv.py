"""`metrics.csv`: one row per epoch."""

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from trainlab.runs.files import format_rows, read_rows, write_atomically


class MetricsCSV(Logger):
    """Logger that writes one row per epoch to `metrics.csv` in ``save_dir``.

    A resumed run keeps the rows of the epochs before it.
    """

    name = version = ""  # a run has one folder

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.path = Path(save_dir) / "metrics.csv"

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the configuration is written to `config.yaml`."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Write the row of ``metrics["epoch"]``; it replaces rows of the same and of later epochs.

        Metrics without "epoch_s", which Lightning and other callbacks log, are ignored.
        """
        if "epoch_s" not in metrics:
            return
        row = {"epoch": metrics["epoch"], "step": step, **metrics}
        rows = [old for old in read_rows(self.path) if int(old["epoch"]) < metrics["epoch"]]
        write_atomically(self.path, format_rows([*rows, row]))
