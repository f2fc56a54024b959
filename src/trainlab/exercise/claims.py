"""What is usually said, claim by claim, beside what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainlab.exercise.wording import all_hold


@dataclass(frozen=True)
class Claim:
    """One that is usually made, and whether it holds here; None where that is open.

    Attributes:
        says: "SELU over ELU".
        found: the figures behind it, "" where they stand elsewhere.
    """

    says: str
    found: str
    holds: bool | None


def told(found: Sequence[Claim]) -> str:
    """Which claims hold, which do not, and which are open, a sentence each."""
    parts = [
        f"{word}: {'; '.join(_text(claim) for claim in found if claim.holds is holds)}."
        for holds, word in ((True, "Holds here"), (False, "Contradicted"), (None, "Open"))
        if any(claim.holds is holds for claim in found)
    ]
    return " ".join(parts) if parts else "There is no claim to hold the figures against."


def all_of(found: Sequence[Claim]) -> bool | None:
    """Whether all hold; False if one is contradicted, None if one is open."""
    return all_hold(*(claim.holds for claim in found))


def _text(claim: Claim) -> str:
    return f"{claim.says} ({claim.found})" if claim.found else claim.says
