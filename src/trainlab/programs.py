"""How the commands are started: as scripts of a checkout, `python src/train.py`, or installed, `trainlab train`."""

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[1]


def is_script_of_checkout() -> bool:
    """Whether this process runs a script of `src/`."""
    return Path(sys.argv[0]).resolve().parent == _SOURCE


def project_path(name: str) -> str:
    """A path in the folder that outputs/ and data/ are in: the checkout of a script, else the current folder."""
    return str(_SOURCE.parent / name) if is_script_of_checkout() else name


def command_words(name: str) -> list[str]:
    """The words that start a command, as shown to a person: in the same way as this process was started."""
    program = ["python", f"src/{name}.py"] if is_script_of_checkout() else ["trainlab", name]
    folder = config_folder()
    return [*program, *(("--config-dir", folder) if name == "train" and folder else ())]


def command_line(name: str) -> str:
    """`command_words` as one text."""
    return shlex.join(command_words(name))


def tensorboard_line(root: Path, folders: Iterable[Path]) -> str:
    """The command that shows the curves of all runs below ``root``; "" if no event file is in ``folders``."""
    if not any(any(folder.glob("events.out.tfevents.*")) for folder in folders):
        return ""
    return "curves: " + shlex.join(["tensorboard", "--logdir", _from_here(root)])


def report_line(folder: Path) -> str:
    """The command that makes the report of the runs in ``folder``."""
    return "report: " + shlex.join([*command_words("report"), _from_here(folder)])


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def same_command(overrides: Iterable[str], name: str, *more: str) -> str:
    """How the command with ``overrides`` is given again for the same folder, ``name``, with ``more`` settings."""
    is_named = any(override.startswith("name=") for override in overrides)
    settings = [*(() if is_named else (f"name={name}",)), *more]
    return "the same command" + (f" with {' '.join(settings)}" if settings else "")


def restart_words() -> list[str]:
    """The words that start the command of this process again, as Lightning does for further devices."""
    spec = sys.modules["__main__"].__spec__
    return [sys.executable, *(("-m", spec.name) if spec else (str(Path(sys.argv[0]).absolute()),))]


def config_folder() -> str | None:
    """The user's config folder, `--config-dir` of the command line, where flags have their long names."""
    flag = "--config-dir"
    return sys.argv[sys.argv.index(flag) + 1] if flag in sys.argv[1:-1] else None


def import_from(config_dir: str | Path) -> None:
    """Make Python files of a config folder, and packages of the folder that holds it, importable.

    Settings name them by `_target_`.
    """
    folder = Path(config_dir).absolute()
    for path in map(str, (folder, folder.parent)):
        if path not in sys.path:
            sys.path.insert(0, path)
