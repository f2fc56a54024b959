"""Folders of thousands of completed runs, made of one tiny run for each network that was really trained."""

import csv
import itertools
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from child import run_child

PROJECT = Path(__file__).resolve().parents[1]
MODELS = ("elu_he", "relu_he", "bn", "selu")
EPOCHS, MAX_RATES = 20, 25
TINY = (
    *("data=shapes", "data.num_train=300", "data.num_test=60", "data.val_size=60", "model.depth=3", "model.width=16"),
    *("trainer=cpu", f"trainer.max_epochs={EPOCHS}", "callbacks.figures=null", "callbacks.early_stopping=null"),
    *("compile=false", "name=study"),
)
_SHARED = ("checkpoints", "events.out")  # starts of names of what is linked, and not copied


@dataclass(frozen=True)
class Study:
    """A sweep over networks, learning rates, weight decays and seeds.

    Args:
        runs: number of all.
        seeds: of each group.
    """

    runs: int
    seeds: int

    @cached_property
    def values(self) -> dict[str, list[str]]:
        """Those of each setting."""
        groups = self.runs // self.seeds
        rates = min(MAX_RATES, groups // len(MODELS))
        decays = groups // (len(MODELS) * rates)
        if len(MODELS) * rates * decays * self.seeds != self.runs:
            raise ValueError(f"{self.runs} runs are no grid of {len(MODELS)} networks with {self.seeds} seeds")
        return {
            "model": [*MODELS],
            "optim.lr": [f"{rate:.2g}" for rate in np.geomspace(1e-4, 1e-2, rates)],
            "optim.weight_decay": [f"{1e-5 * (i + 1):.3g}" for i in range(decays)],
            "seed": [str(seed) for seed in range(1, self.seeds + 1)],
        }

    @property
    def arguments(self) -> list[str]:
        """Those of the command."""
        return [*(f"{key}={','.join(of)}" for key, of in self.values.items()), *TINY]

    def overrides(self) -> Iterator[list[str]]:
        """Those of each run, in the order of the sweep."""
        for values in itertools.product(*self.values.values()):
            yield [f"{key}={value}" for key, value in zip(self.values, values, strict=True)]


def train_command(*arguments: str) -> list[str]:
    """The words that start ``train.py``."""
    return [sys.executable, str(PROJECT / "src" / "train.py"), *arguments]


def leave_runs(study: Study, output_dir: Path) -> list[Path]:
    """Leave all runs of ``study`` below ``output_dir``, completed. Returns their folders, in the order of the sweep.

    One run of each network is trained. Of the others settings, fingerprint and curve are their own.
    """
    from trainlab.config.compose import compose
    from trainlab.config.overrides import folder_name
    from trainlab.runs.fingerprint import fingerprint

    draw, trained = np.random.default_rng(0), output_dir / "trained"
    first = [f"{key}={of[0]}" for key, of in study.values.items() if key != "model"]
    run_child(train_command("-m", f"model={','.join(MODELS)}", *first, *TINY, f"output_dir={trained}"), {})
    sources = {model: trained / "study" / f"model={model}" for model in MODELS}
    bases = {model: compose([f"model={model}", *TINY, f"output_dir={output_dir}"]) for model in MODELS}
    swept = {key for key, of in study.values.items() if len(of) > 1}
    folders = []
    for overrides in study.overrides():
        own = dict(override.split("=") for override in overrides)
        name = folder_name([override for override in overrides if override.split("=")[0] in swept])
        folder, source = output_dir / "study" / name, sources[own["model"]]
        changes: dict[str, Any] = {key: float(own[key]) for key in ("optim.lr", "optim.weight_decay")}
        cfg = bases[own["model"]].changed(changes | {"run_dir": str(folder), "seed": int(own["seed"])})
        worse = 1 + 0.05 * abs(np.log10(changes["optim.lr"]) + 3) + draw.normal(0, 0.01)
        _copy(source, folder)
        (folder / "config.yaml").write_text(cfg.to_yaml())
        result = json.loads((source / "result.json").read_text())
        result["overrides"] = [*overrides, *result["overrides"][len(overrides) : -1], f"output_dir={output_dir}"]
        result["fingerprint"], result["provenance"]["seed"] = fingerprint(cfg.settings), int(own["seed"])
        result["metrics"] = {key: _scaled(key, value, worse) for key, value in result["metrics"].items()}
        (folder / "result.json").write_text(json.dumps(result, indent=2))
        with (source / "metrics.csv").open(newline="") as file:
            names, *rows = csv.reader(file)
        rows = [[str(_scaled(key, cell, worse)) for key, cell in zip(names, row, strict=True)] for row in rows]
        with (folder / "metrics.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([names, *rows])
        folders.append(folder)
    return folders


def _copy(source: Path, folder: Path) -> None:
    """Copy a run; large files that no part of a sweep reads again are links."""
    for path in source.rglob("*"):
        place = folder / path.relative_to(source)
        if path.name in ("config.yaml", "result.json", "metrics.csv"):
            continue
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif path.relative_to(source).parts[0].startswith(_SHARED):
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


def _scaled(name: str, value: Any, by: float) -> Any:
    """A loss or accuracy of a run that is worse by a factor; what is neither stays."""
    if value == "" or not name.endswith(("loss", "acc")):
        return value
    return float(value) * by if name.endswith("loss") else min(1.0, float(value) / by)
