"""Compare runs: print a table of them, and write a report with intervals, tests and figures.

Examples:
  trainlab report outputs/lr_study
  trainlab report outputs/lr_study outputs/search --output-dir outputs/both
  trainlab report outputs --tags baseline --output-dir outputs/baseline
  trainlab report outputs/lr_study --margin 1.0
  trainlab report --diff outputs/first outputs/second
"""

import sys
from pathlib import Path

from trainlab.arguments import command_parser, path_word, run_plain_script
from trainlab.console import output
from trainlab.runs.files import describe_os_error


def main() -> None:
    """Print tables of the runs under the folders and of their groups, and which is best; write the report."""
    parser = command_parser("report", __doc__)
    parser.add_argument("folders", nargs="*", type=path_word, help="folders of runs or sweeps")
    parser.add_argument("--tags", metavar="TAG[,TAG]", help="only runs that have all of these tags")
    parser.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="groups that differ by less are equivalent; in points of a percentage such as accuracy",
    )
    parser.add_argument(
        "--diff", nargs=2, type=path_word, metavar=("A", "B"), help="how two runs differ, instead of a report"
    )
    parser.add_argument(
        "--output-dir", type=path_word, help="folder for report.html, figures and tables; default: the first folder"
    )
    arguments = parser.parse_args()
    if bool(arguments.folders) == bool(arguments.diff):
        parser.error("give folders for a report, or --diff and two runs")
    if arguments.diff and (arguments.tags or arguments.output_dir or arguments.margin is not None):
        parser.error("--diff writes no report; leave out --tags, --margin and --output-dir")
    if arguments.margin is not None and not 0 < arguments.margin < float("inf"):
        parser.error(f"--margin must be above 0, got {arguments.margin:g}")

    from rich.text import Text

    from trainlab.report import (
        analyze,
        answer_text,
        diff_table,
        find_runs,
        groups_table,
        read_run,
        runs_table,
        with_tags,
        write_report,
    )

    console = output()
    try:
        if arguments.diff:
            first, second = map(read_run, arguments.diff)
            console.print(diff_table(first, second, Path.cwd()))
            return
        runs = find_runs(arguments.folders)
        if arguments.tags:
            runs = with_tags(runs, arguments.tags.split(","))
        findings = analyze(arguments.folders, runs, arguments.margin)
        console.print(runs_table(runs, Path.cwd(), console.width), groups_table(findings))
        for note in findings.notes():
            console.print(Text(note))
        console.print(answer_text(findings))
        print(f"report: {write_report(arguments.folders, arguments.output_dir, findings)}")
    except OSError as error:
        sys.exit(f"error: {describe_os_error(error, '--output-dir')}")
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    run_plain_script(main)
