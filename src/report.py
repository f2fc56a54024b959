"""Compare runs: print a table of them, and write a report with intervals, tests and figures."""

from trainlab.arguments import run_plain_script
from trainlab.commands.report import main

if __name__ == "__main__":
    run_plain_script(main)
