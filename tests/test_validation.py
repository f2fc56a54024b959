import math
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import pytest
import torch
from lightning.pytorch.loggers import WandbLogger

from trainlab.validation import check_arguments, check_devices

T = TypeVar("T")


def target(
    n: int = 1,
    x: float | torch.Tensor = 0.0,
    on: bool = False,
    name: str | None = None,
    pair: tuple[float, float] = (0.0, 1.0),
    sizes: Sequence[Sequence[int]] = (),
    rate: Literal[16, "bf16"] = 16,
    anything: Any = None,
) -> None:
    pass


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n": -3, "x": 2, "on": True, "name": None, "pair": [0, 0.5], "sizes": [[1, 2], []], "rate": "bf16"},
        {"x": 1e-4, "name": "a", "anything": object()},
        {"x": {"_target_": "torch.ones"}},
    ],
)
def test_takes_what_the_signature_takes(arguments: dict[str, Any]):
    check_arguments(target, arguments, "model")


def test_annotations_that_cannot_be_resolved_are_not_checked_and_names_and_other_types_are():
    # `experiment` of this logger has a type that only type checkers import.
    check_arguments(WandbLogger, {"name": "a", "offline": True, "experiment": "run", "tags": ["b"]}, "logger.wandb")
    with pytest.raises(ValueError, match=r"^offline must be true or false, got 'yes'; set logger\.wandb\.offline$"):
        check_arguments(WandbLogger, {"offline": "yes"}, "logger.wandb")

    def unresolved(a: "Missing", b: int, c: T) -> None:  # noqa: F821
        pass

    check_arguments(unresolved, {"a": 1, "b": 2, "c": 3}, "x")
    with pytest.raises(ValueError, match=r"^b must be an integer, got 'c'; set x\.b$"):
        check_arguments(unresolved, {"b": "c"}, "x")
    with pytest.raises(ValueError, match=r"^unresolved takes no d; leave out x\.d$"):
        check_arguments(unresolved, {"d": 1}, "x")


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("n", 1.5, "an integer, got 1.5"),
        ("n", True, "an integer, got True"),
        ("n", None, "an integer, got null"),
        ("x", "abc", "a number, got 'abc'"),
        ("x", False, "a number, got False"),
        ("on", "maybe", "true or false, got 'maybe'"),
        ("on", 1, "true or false, got 1"),
        ("name", 3, "a string or null, got 3"),
        ("pair", 3, "a list of 2, each a number, got 3"),
        ("pair", [0.1], r"a list of 2, each a number, got \[0.1\]"),
        ("pair", [0.1, "b"], "a list of 2, each a number"),
        ("sizes", [32], r"a list, each a list, each an integer, got \[32\]"),
        ("rate", 7, "16 or bf16, got 7"),
        ("x", math.nan, "finite, got nan"),
        ("pair", [0.0, math.inf], r"finite, got \[0.0, inf\]"),
    ],
)
def test_names_the_rule_the_value_and_the_key(key: str, value: Any, rule: str):
    with pytest.raises(ValueError, match=rf"^{key} must be {rule}.*; set model\.{key}$"):
        check_arguments(target, {key: value}, "model")


def test_settings_at_the_top_have_no_section():
    with pytest.raises(ValueError, match=r"^n must be an integer, got 'a'$"):
        check_arguments(target, {"n": "a"}, "")


def test_an_unknown_argument_is_an_error_unless_the_target_takes_any():
    with pytest.raises(ValueError, match=r"^target takes no m; leave out model\.m$"):
        check_arguments(target, {"m": 1}, "model")
    check_arguments(lambda **anything: None, {"m": 1}, "model")


def test_devices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trainlab.validation.count_cores", lambda: 4)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    for accelerator in ("cpu", "auto"):
        check_devices(accelerator, 4)
        with pytest.raises(ValueError, match=r"at most 4, the available CPU cores, got 5; set trainer\.devices"):
            check_devices(accelerator, 5)
    with pytest.raises(ValueError, match=r"needs a GPU, but none is available; set trainer=auto or trainer=cpu"):
        check_devices("gpu", 1)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    for accelerator in ("gpu", "auto"):
        check_devices(accelerator, 2)
        with pytest.raises(ValueError, match=r"at most 2, the available GPUs, got 3; set trainer\.devices"):
            check_devices(accelerator, 3)
    check_devices("cpu", 3)
