"""Log lines on a console that may show a progress bar."""

import logging
import sys

from tqdm.auto import tqdm


class BarHandler(logging.Handler):
    """Writes each record to standard output, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``."""
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()
