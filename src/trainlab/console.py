"""What people see on a console that may show a progress bar."""

import logging
import sys
import warnings

from tqdm.auto import tqdm

_RESUMABLE = "You're resuming from a checkpoint that ended before"  # an epoch: `Batches.start` is where


class BarHandler(logging.Handler):
    """Writes each record to standard output, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``."""
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()


def quiet() -> None:
    """Keep from the console what Lightning says of itself."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    noise = ("LeafSpec", "smaller than the logging interval", "requested to overfit", "sync_dist=True", _RESUMABLE)
    for message in noise:
        warnings.filterwarnings("ignore", message=f".*{message}.*")
