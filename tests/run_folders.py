"""Folders as finished runs leave them, without any training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from trainlab.runs.fingerprint import fingerprint
from trainlab.runs.result import Result

HEADER = "epoch,step,train/loss,train/acc,val/loss,val/acc,lr,momentum,epoch_s,images_per_s,parameters\n"


def config_of(seed: int, activation: str, lr: float, **more: Any) -> dict[str, Any]:
    """A resolved configuration with as many leaves as a real one has."""
    return {
        "name": "study",
        "output_dir": "/outputs",
        "seed": seed,
        "task": {"_target_": "trainlab.tasks.Classification", "label_smoothing": 0.0},
        "model": {
            **{"_target_": "trainlab.models.MLP", "seed": seed, "num_classes": 10, "activation": activation},
            **{"depth": 20, **more},
        },
        "optim": {"_target_": "torch.optim.NAdam", "lr": lr, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0},
        "data": {"root": f"/images/{seed}", "batch_size": 32, "val_size": 5000, "split_seed": 0, "seed": seed},
        "trainer": {"accelerator": "auto", "devices": 1, **{f"setting_{i}": i for i in range(40)}},
        "callbacks": {"early_stopping": {"monitor": "val/loss", "patience": 10}, "progress": None},
        "logger": {"csv": {"save_dir": f"/outputs/{seed}"}},
    }


def leave_run(
    folder: Path,
    losses: list[float] | np.ndarray,
    accuracies: list[float] | np.ndarray,
    seed: int = 1,
    activation: str = "elu",
    lr: float = 1e-4,
    overrides: tuple[str, ...] | None = None,
    epoch_s: float = 2.0,
    status: str = "completed",
    error: dict[str, str] | None = None,
    optim: dict[str, Any] | None = None,
    **more: Any,
) -> Path:
    """A run whose validation losses and accuracies by epoch are given; `provenance_` keys replace those there.

    ``optim`` has more settings of the optimizer, ``more`` of the model.
    """
    replaced = {key[11:]: more.pop(key) for key in list(more) if key.startswith("provenance_")}
    config = config_of(seed, activation, lr, **more)
    config["optim"] |= optim or {}
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.dump(config, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    lines = [
        f"{i},{(i + 1) * 1407},{loss + 0.1},{acc - 0.1},{loss},{acc},{lr},0.9,{epoch_s},5000.0,500210\n"
        for i, (loss, acc) in enumerate(zip(losses, accuracies, strict=True))
    ]
    (folder / "metrics.csv").write_text(HEADER + "".join(lines))
    best = int(np.argmin(losses))
    given = overrides if overrides is not None else (f"model={activation}", f"optim.lr={lr}", f"seed={seed}")
    Result(
        status,
        fingerprint(config),
        [*given, "name=study"],
        metrics={
            **{"epochs": len(losses), "stop_reason": "max_epochs", "best_epoch": best},
            **{"val_loss": float(losses[best]), "val_acc": float(accuracies[best])},
            **({"test_loss": float(losses[best]) + 0.5, "test_acc": 0.25} if status == "completed" else {}),
        },
        time={"total_s": epoch_s * len(losses) + 1, "epoch_s": epoch_s, "images_per_s": 5000.0, "device": "cpu"},
        provenance={
            "command": "python src/train.py -m model=elu,selu seed=1,2,3 name=study",
            **{"git_commit": "c0ffee" * 6, "git_dirty": False, "versions": {"python": "3.11.7", "torch": "2.15.0"}},
            **{"host": "host", "seed": seed, "data_digest": "d1ge57"},
            **replaced,
        },
        error=error,
    ).write(folder)
    return folder


def outcome(status: str, metrics: dict[str, Any], total_s: float | None = None, reason: str = "") -> Result:
    """What a sweep knows of a job that has ended."""
    error = {"message": reason} if reason else None
    return Result(status, "", [], metrics, {} if total_s is None else {"total_s": total_s}, error=error)


@pytest.fixture
def leave(tmp_path: Path) -> Callable[..., Path]:
    """``leave_run`` for a folder by its name in ``tmp_path``."""
    return lambda name, *arguments, **settings: leave_run(tmp_path / name, *arguments, **settings)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, which take most of a report's time."""
    monkeypatch.setattr("trainlab.report.write.plot_groups", lambda *_: [])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two models of three seeds: selu reaches elu's best loss in half the epochs, which take twice as long."""
    for seed in (1, 2, 3):
        worse = 0.01 * seed
        elu = [2.0, 1.6, 1.3, 1.0 + worse]
        selu = [1.5, 1.0, 0.9 + worse, 0.95 + worse]
        leave_run(tmp_path / f"elu,{seed}", elu, [0.2, 0.3, 0.4, 0.50 - worse], seed, "elu", epoch_s=2.0)
        best = 0.55 - worse + 0.001 * (seed == 2)  # than elu by 0.05, 0.051 and 0.05
        leave_run(tmp_path / f"selu,{seed}", selu, [0.3, 0.4, best, 0.54], seed, "selu", epoch_s=4.0)
    return tmp_path
