"""Write a small project with a network and a data set of its own, which runs at once: ``trainlab new myproject``.

It has a network, a data set, an experiment that trains the one on the other, a test of each, and a README with the
commands.
"""

import importlib.util
import keyword
import re
import sys
from pathlib import Path

from trainlab.arguments import command_parser, path_word, run_plain_script
from trainlab.runs.files import describe_os_error

TEMPLATE = Path(__file__).parent / "template"
NAME = "myproject"  # of the template's package, in its files and their names
_FOLDERS = ("conf", "data", "outputs", "tests")  # of a project


def main() -> None:
    """Write the project and print the commands to begin with."""
    parser = command_parser("new", __doc__)
    parser.add_argument("folder", type=path_word, help="folder to make; its name is that of the project's package")
    folder: Path = parser.parse_args().folder
    try:
        write_project(folder)
    except OSError as error:
        sys.exit(f"error: {describe_os_error(error, 'another folder')}")
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(f"{folder}: README.md describes it. To begin:\n\n    cd {folder}")
    print("    trainlab train --config-dir conf experiment=first name=first\n    python -m pytest")


def write_project(folder: Path) -> None:
    """Write the template's files into a new folder, with its name in the place of the template's.

    Raises:
        ValueError: the name cannot be that of a package, or the folder exists.
    """
    name = folder.name
    if folder.exists():
        raise ValueError(f"{folder} exists; give a new folder")
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(f"the name must be that of a Python package, of a-z, 0-9 and _, got {name!r}; give another")
    if name in _FOLDERS or importlib.util.find_spec(name):
        raise ValueError(f"{name} is the name of another package or folder; give another")
    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            target = folder / str(path.relative_to(TEMPLATE)).replace(NAME, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text().replace(NAME, name))


if __name__ == "__main__":
    run_plain_script(main)
