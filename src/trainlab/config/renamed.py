"""Settings and values that were renamed or removed: the old name is an error that gives the new one."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

SETTINGS = {
    "callbacks.activations.every_epochs": "callbacks.layer_statistics.every_n_epochs",
    "callbacks.activations": "callbacks.layer_statistics",
    "callbacks.pictures": "callbacks.figures",
    "callbacks.progress.refresh_steps": "callbacks.progress.refresh_rate",
    "callbacks.step_losses.keep": "callbacks.step_losses.enabled",
    "label_smoothing": "task.label_smoothing",
    "lr_search.explosion_factor": "lr_search.early_stop_threshold",
}
REMOVED = {
    "callbacks.checkpoint.mode": "follows from the metric; leave it out, or of task=logged set task.mode",
}
_CONSTANT = {f"{rule}_same": f"{rule}_constant" for rule in ("he", "lecun", "glorot")}
VALUES = {
    "model.dropout_kind": {"ordinary": "standard"},
    "model.initializer": _CONSTANT,
    "model.output_initializer": _CONSTANT,
}


def describe_renamed(settings: Mapping[str, Any]) -> str:
    """What to set instead of the first setting or value that has an old name; "" if none has.

    Args:
        settings: values by key, nested or by dotted keys; for a sweep the text of all its values.
    """
    return next(_messages(settings), "")


def _messages(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in settings.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _messages(value, f"{key}.")
        for old, new in SETTINGS.items():
            if key == old or key.startswith(f"{old}."):
                yield f"{old} was renamed; set {new}{key.removeprefix(old)}"
        if key in REMOVED:
            yield f"{key} {REMOVED[key]}"
        for old, new in VALUES.get(key, {}).items():
            if old in re.findall(r"\w+", str(value)):
                yield f"{key}={old} was renamed; set {key}={new}"
