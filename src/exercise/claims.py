"""What is usually claimed, compared with what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from exercise.formatting import all_hold, text_cells
from trainlab.report import Table

VERDICTS = {True: "confirmed", False: "contradicted", None: "undecided"}


@dataclass(frozen=True)
class Claim:
    """One that is usually made, and whether it holds here; None where that is open.

    Attributes:
        statement: "SELU over ELU".
        figures: those behind it, "" where they stand elsewhere.
        p: of its comparisons, where there are some.
    """

    statement: str
    figures: str
    holds: bool | None
    p: str = ""


def describe_claims(found: Sequence[Claim], figures: bool = True) -> str:
    """Which claims hold, which do not, and which are open, a sentence each; with the ``figures`` behind them or not."""
    parts = []
    for holds, word in VERDICTS.items():
        texts = [
            f"{claim.statement} ({claim.figures})" if claim.figures and figures else claim.statement
            for claim in found
            if claim.holds is holds
        ]
        parts += [f"{word.capitalize()}: {'; '.join(texts)}."] if texts else []
    return " ".join(parts) or "There is no claim to hold the figures against."


def all_claims_hold(found: Sequence[Claim]) -> bool | None:
    """Whether all hold; False if one is contradicted, None if one is open."""
    return all_hold(*(claim.holds for claim in found))


def claims_table(found: Sequence[Claim], note: str) -> tuple[str, Table]:
    """One row per claim, with its figures, and the p of its comparisons where there are some; with the table's name."""
    has_p = any(claim.p for claim in found)
    rows = [
        text_cells(claim.statement, claim.figures, *([claim.p or "-"] if has_p else []), VERDICTS[claim.holds])
        for claim in found
    ]
    return "What is usually said", Table(["usually said", "measured", *(["p"] if has_p else []), "here"], rows, note)
