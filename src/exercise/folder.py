"""The folder of an exercise: who works there, and with which settings."""

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from exercise.trainings import Setting, Sweep, overrides_of, runs_of
from trainlab.runs import locked, write_json

FORMAT = 2  # of settings.json; trainlab 0.1 wrote no number


@contextmanager
def claim_folder(folder: Path, sweeps: Sequence[Sweep], setting: Setting) -> Iterator[None]:
    """Lock the folder, and refuse other settings than those that its runs were trained with.

    Raises:
        ValueError: another is running there, what was trained there had other settings, or a setting cannot be read.
    """
    error = f"another exercise is running in {folder}; wait for it, or set another --name"
    with locked(folder / ".exercise.lock", error):
        _keep_settings(folder, sweeps, setting)
        yield


def _keep_settings(folder: Path, sweeps: Sequence[Sweep], setting: Setting) -> None:
    path = folder / "settings.json"
    before = _read_settings(path) if path.exists() else {}
    now = {}
    for sweep in sweeps:
        runs_of(sweep, setting)  # raises where they cannot be read
        now[sweep.name] = [o for o in overrides_of(sweep, setting) if not o.startswith("sweep.")]
        others = before.get(sweep.name, now[sweep.name])
        if others != now[sweep.name] and (folder / sweep.name).exists():
            raise ValueError(
                f"{folder / sweep.name} was trained {_difference(others, now[sweep.name])}; give what was given then, "
                "set another --name, or remove that folder"
            )
    write_json(path, {"format": FORMAT, "sweeps": before | now}, indent=1)


def _read_settings(path: Path) -> dict[str, list[str]]:
    content = json.loads(path.read_text())
    if (found := content.get("format", 1)) != FORMAT:
        reader = "trainlab 0.1" if found == 1 else "another version of trainlab"
        raise ValueError(
            f"{path} is of format {found} (read it with {reader}) and this version reads format {FORMAT}; set another "
            "--name"
        )
    return content["sweeps"]


def _difference(before: Sequence[str], now: Sequence[str]) -> str:
    """What sets the settings before from those now, in words: their order, if nothing else does."""
    gone, new = ([o for o in ours if o not in others] for ours, others in ((before, now), (now, before)))
    if not gone and not new:
        return f"with its settings in another order, {shlex.join(before)}"
    parts = [f"{word} {shlex.join(some)}" for word, some in (("with", gone), ("without", new)) if some]
    return " and ".join(parts)
