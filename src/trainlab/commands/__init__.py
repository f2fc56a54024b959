"""The command `trainlab`. Each of its commands is a module of this package, which runs as the main one."""

import runpy
import sys
from pathlib import Path

from trainlab import __version__

COMMANDS = {
    "train": "train a network, or with -m a sweep of networks",
    "eval": "evaluate a checkpoint on the test set",
    "predict": "classify images with the network of a checkpoint",
    "export": "write the network of a checkpoint in a format that other programs read",
    "report": "compare runs: a table, and report.html",
    "exercise": "run the exercises of the book's chapter 11",
    "new": "write a small project with your own network and data set",
}


def main() -> None:
    """Run the command that the first word names, as `python -m` would: files of the current folder are importable."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        lines = [f"  {command:9} {what}" for command, what in COMMANDS.items()]
        print("Usage: trainlab COMMAND ...", "", *lines, "", "trainlab COMMAND --help describes a command.", sep="\n")
    elif name == "--version":
        print(__version__)
    elif name not in COMMANDS:
        print(f"error: trainlab has no command {name!r}; {_nearest(name)}", file=sys.stderr)
        sys.exit(2)
    else:
        del sys.argv[1]
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        # As a module, which Lightning and the launcher start again by its name.
        runpy.run_module(f"{__name__}.{name}", run_name="__main__", alter_sys=True)


def _nearest(wrong: str) -> str:
    import difflib

    close = difflib.get_close_matches(wrong, COMMANDS, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(COMMANDS)}"
