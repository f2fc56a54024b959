"""Numbers as people type and read them."""

import re
from decimal import Decimal

_FLOAT = re.compile(r"-?(\d+\.\d*(e[+-]?\d+)?|\d+e[+-]?\d+)", re.IGNORECASE)


def short_number(text: str) -> str:
    """``text``; a number that is no integer in its shorter form, such as "1e-4" for "0.0001" and "1.0e-04"."""
    if not _FLOAT.fullmatch(text):
        return text
    plain = repr(float(text))
    number = Decimal(plain).normalize()
    if not number.is_finite() or -3 < number.adjusted() < 5:
        return plain
    first, *rest = map(str, number.as_tuple().digits)
    return f"{'-' * number.is_signed()}{first}{'.' * bool(rest)}{''.join(rest)}e{number.adjusted()}"


def format_duration(seconds: float) -> str:
    """Such as "12 s", "5 min" or "2.1 h"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
