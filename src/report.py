"""Compare finished runs: ``python src/report.py outputs/lr_study [more folders]``."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from trainlab.report.runs import find_runs
from trainlab.report.table import runs_table


def main() -> None:
    """Print the table of all runs under the folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="of a run, a sweep, or several of them")
    folders = parser.parse_args().folders
    try:
        runs = find_runs(folders)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    wide_enough = None if sys.stdout.isatty() else 10_000
    Console(width=wide_enough).print(runs_table(runs, Path.cwd()))


if __name__ == "__main__":
    main()
