"""What the textbook says, claim by claim, beside what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainlab.exercise.wording import listed


@dataclass(frozen=True)
class Claim:
    """One of the textbook's, and whether it holds here; None where that is open.

    Attributes:
        says: "SELU over ELU".
        found: the figures behind it.
    """

    says: str
    found: str
    holds: bool | None


def told(found: Sequence[Claim]) -> str:
    """A sentence on which claims hold, which do not, and which are open."""
    parts = [
        f"{word}: {listed([f'{claim.says} ({claim.found})' for claim in found if claim.holds is holds])}"
        for holds, word in ((True, "holds"), (False, "contradicted"), (None, "open"))
        if any(claim.holds is holds for claim in found)
    ]
    return f"Of what the book says, {'; '.join(parts)}." if parts else "There is nothing to hold the book against."
