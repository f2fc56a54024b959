"""Passwords in URLs: a run uses them, and leaves them out of all that it writes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
_MASK = "***"
# From the name of the user to the last @; digits before a slash or a comma are a port.
_PASSWORD = re.compile(r"(://[^\s/:@]*:)(?!\d+[/,])[^\s'\"]+(?=@)")


def without_passwords(value: T) -> T:
    """A text, or the nested texts of a plain value, with *** in the place of the passwords in URLs."""
    if isinstance(value, str):
        return _PASSWORD.sub(rf"\1{_MASK}", value)  # type: ignore[return-value]  # a text, as it was
    if isinstance(value, Mapping):
        return {key: without_passwords(item) for key, item in value.items()}  # type: ignore[return-value]  # a mapping
    if isinstance(value, list | tuple):
        return type(value)(map(without_passwords, value))
    return value


def has_masked_password(value: Any) -> bool:
    """Whether a value is a URL whose password was left out."""
    return isinstance(value, str) and f":{_MASK}@" in value


def masked_settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The settings that have a URL whose password was left out, by dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from masked_settings(value, f"{prefix}{key}.")
        elif has_masked_password(value):
            yield f"{prefix}{key}", value
