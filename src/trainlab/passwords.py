"""Passwords and tokens in URLs: a run uses them, and leaves them out of all that it writes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
_MASK = "***"
_SECRET = re.compile(
    r"""
    # A password: from the name of the user to the last @; digits before a slash or a comma are a port.
    # A quote that ends the URL is before one of ,;:)]} or a space.
    (?P<kept>://[^\s/:@]*:) (?!\d+[/,]) (?:[^\s'"] | ['"](?![\s,;:)\]}]|$))+ (?=@)
    # A token in the place of the user, which is longer than names are.
    | (?P<scheme>https?://) [^\s/:@'"?\#,]{20,} (?=@)
    # A setting of the query.
    | (?P<setting>
        [?&][\w.-]*(?:password|passwd|pwd|(?<!max_)token|secret|signature|\bsig|api[_-]?key|access[_-]?key)=
      ) [^\s&\#'"]+
    """,
    re.VERBOSE | re.IGNORECASE,
)


def without_passwords(value: T) -> T:
    """A text, or the nested texts of a plain value, with *** in the place of the passwords and tokens in URLs."""
    if isinstance(value, str):
        return _SECRET.sub(_masked, value)  # type: ignore[return-value]  # a text, as it was
    if isinstance(value, Mapping):
        return {key: without_passwords(item) for key, item in value.items()}  # type: ignore[return-value]  # a mapping
    if isinstance(value, list | tuple):
        return type(value)(map(without_passwords, value))
    return value


def has_masked_password(value: Any) -> bool:
    """Whether a value is a URL whose password or token was left out."""
    return isinstance(value, str) and any(found[0] == _masked(found) for found in _SECRET.finditer(value))


def masked_settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The settings that have a URL whose password was left out, by dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from masked_settings(value, f"{prefix}{key}.")
        elif has_masked_password(value):
            yield f"{prefix}{key}", value


def _masked(found: re.Match[str]) -> str:
    """A part of a URL with *** in the place of its password or token."""
    return f"{found[found.lastgroup or 0]}{_MASK}"
