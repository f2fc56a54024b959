"""Compare runs: print a table of them, and write a report with intervals, tests and figures.

Examples:
  trainlab report outputs/lr_study
  trainlab report outputs/lr_study outputs/search --output-dir outputs/both
"""

import sys
from pathlib import Path

from trainlab.arguments import command_parser, path_word, run_plain_script
from trainlab.runs.files import describe_os_error


def main() -> None:
    """Print a table of all runs under the folders and write the report."""
    parser = command_parser("report", __doc__)
    parser.add_argument("folders", nargs="+", type=path_word, help="folders of runs or sweeps")
    parser.add_argument(
        "--output-dir", type=path_word, help="folder for report.html, figures and tables; default: the first folder"
    )
    arguments = parser.parse_args()

    from rich.console import Console

    from trainlab.report import find_runs, runs_table, write_report

    wide_enough = None if sys.stdout.isatty() else 10_000
    try:
        runs = find_runs(arguments.folders)
        Console(width=wide_enough).print(runs_table(runs, Path.cwd()))
        print(f"report: {write_report(arguments.folders, arguments.output_dir, runs)}")
    except OSError as error:
        sys.exit(f"error: {describe_os_error(error, '--output-dir')}")


if __name__ == "__main__":
    run_plain_script(main)
