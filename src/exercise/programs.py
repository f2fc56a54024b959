"""How the exercise and its trainings are started: as scripts of a checkout, or installed, by `trainlab`."""

import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[1]


def shown(name: str) -> list[str]:
    """The words that start `exercise` or `train`, as shown to a person: in the way this process was started."""
    return ["python", f"src/{name}.py"] if _is_script_of_checkout() else ["trainlab", name]


def train_program() -> list[str]:
    """The words that start a training."""
    script = [str(_SOURCE / "train.py")] if _is_script_of_checkout() else ["-m", "trainlab.commands.train"]
    return [sys.executable, *script]


def outputs() -> Path:
    """`outputs/` of the checkout whose script runs, or of the current folder."""
    return (_SOURCE.parent if _is_script_of_checkout() else Path.cwd()) / "outputs"


def _is_script_of_checkout() -> bool:
    return Path(sys.argv[0]).resolve() == _SOURCE / "exercise.py"
