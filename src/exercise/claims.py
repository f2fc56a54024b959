"""What is usually said, claim by claim, compared with what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from exercise.formatting import all_hold
from trainlab.report import Cell, Table


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


def describe_claims(found: Sequence[Claim], figures: bool = True) -> str:
    """Which claims hold, which do not, and which are open, a sentence each; with the ``figures`` behind them or not."""
    parts = [
        f"{word}: {'; '.join(_text(claim, figures) for claim in found if claim.holds is holds)}."
        for holds, word in ((True, "Confirmed"), (False, "Contradicted"), (None, "Undecided"))
        if any(claim.holds is holds for claim in found)
    ]
    return " ".join(parts) if parts else "There is no claim to hold the figures against."


def all_claims_hold(found: Sequence[Claim]) -> bool | None:
    """Whether all hold; False if one is contradicted, None if one is open."""
    return all_hold(*(claim.holds for claim in found))


def claims_table(found: Sequence[Claim], note: str, ps: Sequence[str] = ()) -> tuple[str, Table]:
    """Claim by claim, with its figures, and the p of its comparisons where there are some; with the table's name."""
    words = {True: "confirmed", False: "contradicted", None: "undecided"}
    columns = [[claim.says for claim in found], [claim.found for claim in found]]
    if ps:
        columns.append([p or "-" for p in ps])
    columns.append([words[claim.holds] for claim in found])
    headings = ["usually said", "measured", *(["p"] if ps else []), "here"]
    rows: list[list[Cell]] = [[(text, text) for text in row] for row in zip(*columns, strict=True)]
    return "What is usually said", Table(headings, rows, note)


def _text(claim: Claim, figures: bool) -> str:
    return f"{claim.says} ({claim.found})" if claim.found and figures else claim.says
