"""A prediction for an image file, and how predictions are printed."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Uncertainty:
    """Uncertainty of a prediction by MC dropout.

    Attributes:
        deviations: standard deviations of the probabilities over the samples, in the order of the prediction's classes.
        entropy: entropy of the mean probabilities, in nats.
        mutual_information: mutual information of class and dropout mask, in nats: the part of the entropy that comes
            from the disagreement of the samples (Houlsby et al., 2011, equation 2).
    """

    deviations: list[float]
    entropy: float
    mutual_information: float


@dataclass(frozen=True)
class Prediction:
    """Prediction for one file.

    Attributes:
        file: the image file.
        classes: names of the classes or labels, the most probable first; or of values, in their order.
        probabilities: probabilities of ``classes``, or their values; with MC dropout the means over the samples.
        uncertainty: None without MC dropout.
        are_values: whether they are values, which have no order and are all reported.
    """

    file: Path
    classes: list[str]
    probabilities: list[float]
    uncertainty: Uncertainty | None = None
    are_values: bool = False

    def as_json(self, top: int) -> dict[str, Any]:
        """Plain values with the ``top`` most probable classes, or all values by name."""
        if self.are_values:
            return {"file": str(self.file), "values": dict(zip(self.classes, self.probabilities, strict=True))}
        columns: dict[str, list[Any]] = {"class": self.classes, "probability": self.probabilities}
        more: dict[str, float] = {}
        if self.uncertainty:
            columns["std"] = self.uncertainty.deviations
            more["entropy"] = self.uncertainty.entropy
            more["mutual_information"] = self.uncertainty.mutual_information
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return {"file": str(self.file), "top": rows[:top], **more}

    def formatted(self, top: int) -> list[tuple[str, str]]:
        """The ``top`` most probable classes, each with its probability as text; or all values."""
        if self.are_values:
            values = [f"{value:.4g}" for value in self.probabilities]
            return list(zip(self.classes, values, strict=True))
        chances = [f"{100 * probability:.1f}" for probability in self.probabilities]
        if self.uncertainty:
            chances = [f"{p} ± {100 * d:.1f}" for p, d in zip(chances, self.uncertainty.deviations, strict=True)]
        return [(name, f"{chance} %") for name, chance in zip(self.classes, chances, strict=True)][:top]


@dataclass(frozen=True)
class Unread:
    """A path that could not be read, with the reason."""

    reason: str


def show(outcomes: Iterable[Prediction | Unread], top: int, as_json: bool) -> int:
    """Print predictions to stdout, and paths that could not be read to stderr.

    Args:
        outcomes: predictions, either all with uncertainty or none.
        top: number of most probable classes to print.
        as_json: print one JSON object per line, instead of a table on a terminal and lines elsewhere.

    Returns:
        Exit status: 1 if a path could not be read.
    """
    rows: list[Prediction] = []
    status = 0
    for outcome in outcomes:
        if isinstance(outcome, Unread):
            print(outcome.reason, file=sys.stderr)
            status = 1
        elif as_json:
            print(json.dumps(outcome.as_json(top), allow_nan=False))
        elif sys.stdout.isatty():
            rows.append(outcome)
        else:
            print(_line(outcome, top))
    if rows:
        Console().print(_table(rows, top))
    return status


def _line(prediction: Prediction, top: int) -> str:
    text = f"{prediction.file}: {', '.join(f'{name} {chance}' for name, chance in prediction.formatted(top))}"
    if (uncertainty := prediction.uncertainty) is None:
        return text
    return f"{text}; entropy {uncertainty.entropy:.3f}, mutual information {uncertainty.mutual_information:.3f} nats"


def _table(predictions: list[Prediction], top: int) -> Table:
    """One row per class, which leaves space for long file names."""
    table = Table()
    table.add_column("image", overflow="fold")
    are_values = predictions[0].are_values
    table.add_column("name" if are_values else "class", overflow="fold")
    table.add_column("value" if are_values else "probability", justify="right", no_wrap=True)
    if predictions[0].uncertainty:
        table.caption = "mean and standard deviation over the samples of MC dropout; uncertainty in nats"
        table.add_column("entropy", justify="right", no_wrap=True)
        table.add_column("mutual information", justify="right")
    for prediction in predictions:
        first, *others = prediction.formatted(top)
        uncertainty = prediction.uncertainty
        measures = [f"{uncertainty.entropy:.3f}", f"{uncertainty.mutual_information:.3f}"] if uncertainty else []
        table.add_row(*map(escape, (str(prediction.file), *first, *measures)), end_section=not others)
        for other in others:
            table.add_row("", *map(escape, other), end_section=other == others[-1])
    return table
