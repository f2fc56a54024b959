"""Checks of the settings of a run that no object of it has."""

import os
from pathlib import Path

import torch

from trainlab.config.construct import Config, select
from trainlab.passwords import masked_settings
from trainlab.runs.provenance import provenance
from trainlab.runs.result import Result
from trainlab.training.compilation import check_compile
from trainlab.training.gpus_elsewhere import is_on_gpus_elsewhere
from trainlab.training.length import check_length
from trainlab.validation import check_arguments, check_devices

# Arguments of the Trainer that others have, and why.
_NOT_OF_TRAINER = {
    "callbacks": "they are set by callbacks.*",
    "logger": "loggers are set by logger.*",
    "plugins": "they are those that write checkpoints whole",
    "limit_test_batches": "the test set is read whole",
    "barebones": "every run writes checkpoints and logs",
    "limit_predict_batches": "there are no predictions in training; see trainlab predict",
}

# Written by a run, and read by whoever resumes or reports it: no other run may write there.
_FOLDERS = {
    "callbacks.checkpoint.dirpath": "checkpoints",
    "callbacks.layer_statistics.dirpath": "",
    "callbacks.step_losses.dirpath": "",
    "logger.csv.save_dir": "",
}
_VARIABLES = {"logger.mlflow.tracking_uri": "MLFLOW_TRACKING_URI"}  # that are used where files left a password out


def check_settings(config: Config, gpus_elsewhere: int | None = None) -> None:
    """Raise ValueError unless name, folders, length, devices and the like can be those of a run.

    How many devices another machine has is not known here; see `RunContext.gpus_elsewhere`.
    """
    options, precision = config["trainer"], config["trainer"]["precision"]
    check_arguments(provenance, {"seed": config["seed"]}, "")
    check_arguments(Result, {"tags": config["tags"]}, "")
    for key in ("train", "test"):
        if not isinstance(config[key], bool):
            raise ValueError(f"{key} must be true or false, got {config[key]!r}; set {key}")
    if not (config["train"] or config["test"]):
        raise ValueError("with train=false there must be a test, got test=false; set test=true or train=true")
    check_compile(config["compile"], config["compile_min_steps"])
    name = config["name"]
    path = Path(name if isinstance(name, str) else "")  # of a number, YAML has not kept how it was written
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"name must be that of a folder under output_dir, as text, got {name!r}; set name")
    for key, url in masked_settings(config):
        variable = _VARIABLES.get(key)
        if not (variable and os.environ.get(variable)):
            last, way_out = key.rpartition(".")[2], f", or the environment variable {variable}" if variable else ""
            raise ValueError(f"{last} needs its password, which files leave out, got {url}; set {key}{way_out}")
    for key, part in _FOLDERS.items():
        folder, own = select(config, key), Path(config["run_dir"], part)
        if folder is not None and Path(str(folder)) != own:
            raise ValueError(f"{key} must be {own}, where the run is looked for, got {folder}; set output_dir, name")
    for key, reason in _NOT_OF_TRAINER.items():
        if key in options:
            raise ValueError(f"trainer.{key} would have no effect ({reason}); leave it out")
    if not options.get("enable_checkpointing", True):
        raise ValueError(
            "enable_checkpointing must be true, for the test needs the best checkpoint, got false; "
            "leave out trainer.enable_checkpointing"
        )
    check_length(options)
    check_devices(options["accelerator"], options["devices"], is_elsewhere=gpus_elsewhere is not None)
    if is_on_cpu(config, gpus_elsewhere) and str(precision) in ("16", "16-mixed"):
        raise ValueError(f"precision={precision} needs a GPU; set trainer.precision=bf16-mixed on a CPU")


def is_on_cpu(config: Config, gpus_elsewhere: int | None = None) -> bool:
    """Whether a run is trained on the CPU."""
    accelerator = config["trainer"]["accelerator"]
    if is_on_gpus_elsewhere(accelerator, gpus_elsewhere):
        return False
    return accelerator == "cpu" or not torch.accelerator.is_available()
