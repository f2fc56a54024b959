"""A section of the exercise: trainings, measurements, and an answer made from them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exercise.contrast import Claim, Contrast, Verdict, combine
from exercise.store import Evidence, Measured, NotAvailable, State
from exercise.texts import Texts, render_heading, render_texts
from exercise.trainings import Sweep
from trainlab.report import Plot, Table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measurement:
    """What cannot be trained by a sweep, measured once its sweeps have ended.

    Attributes:
        name: of its file in the folder of the exercise.
        take: returns plain numbers and texts, which are kept as JSON. Much that takes long is several measurements.
        minutes: that it takes on two cores.
    """

    name: str
    take: Callable[[Evidence], Measured]
    minutes: float = 0.0


@dataclass(frozen=True)
class Answer:
    """To the question of a section: what its template, `templates/questions/KEY.html.j2`, shows, and the evidence.

    Attributes:
        figures: by the names that the template has for them: texts, numbers, whether something is so.
        claims: what is usually claimed, with what decides it.
        plot: the one picture of the answer.
        tables: of the evidence, with a name each.
        more_plots: of the evidence.
    """

    figures: Mapping[str, Any]
    claims: Sequence[Claim] = ()
    plot: Plot | None = None
    tables: Sequence[tuple[str, Table]] = ()
    more_plots: Sequence[Plot] = ()

    @property
    def verdict(self) -> Verdict | None:
        """On all claims together; None without any."""
        return combine([claim.verdict for claim in self.claims]) if self.claims else None

    @property
    def contrasts(self) -> list[Contrast]:
        """Those of all claims, each once."""
        return list({id(one): one for claim in self.claims for one in claim.contrasts}.values())


@dataclass(frozen=True)
class Section:
    """A question, and how it is answered.

    Attributes:
        key: in the address of the page, "8b"; its template is named by it.
        part: word of the command line that it belongs to, "8".
        title: a heading.
        question: what is asked, in one line.
        sweeps: what is trained for it.
        measurements: what is measured besides, in this order, after the sweeps.
        answer: makes the answer; raises NotAvailable where something is missing that is under way.
        notes: what a reader should know of how it was done; of the evidence.
    """

    key: str
    part: str
    title: str
    question: str
    answer: Callable[[Evidence], Answer]
    sweeps: Sequence[Sweep] = ()
    measurements: Sequence[Measurement] = ()
    notes: Sequence[str] = ()

    @classmethod
    def titled(cls, key: str, part: str, answer: Callable[[Evidence], Answer], *parts: Sequence[Any]) -> "Section":
        """One whose template has its title and question; ``parts`` are its sweeps and measurements."""
        return cls(key, part, *render_heading(key), answer, *parts)


def sweeps_of(sections: Sequence[Section]) -> list[Sweep]:
    """Those of all sections, each once, in order."""
    return list({sweep.name: sweep for section in sections for sweep in section.sweeps}.values())


class Answers:
    """Remembers what was answered, and what was on disk then."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[State, tuple[Answer, Texts] | str]] = {}

    def of(self, section: Section, evidence: Evidence) -> tuple[Answer, Texts] | str:
        """The answer and its texts, or what is missing. They are made of the sweeps and measurements of the section."""
        state = evidence.state(section.sweeps, [measurement.name for measurement in section.measurements])
        before = self._kept.get(section.key)
        if before is None or before[0] != state:
            found: tuple[Answer, Texts] | str
            try:
                answer = section.answer(evidence)
                figures = {**answer.figures, "claims": answer.claims, "verdict": answer.verdict}
                found = answer, render_texts(section.key, figures)
            except NotAvailable as missing:
                found = str(missing)
            except Exception as error:  # a fault in one answer takes no other with it; the exercise fails at its end
                log.exception("the answer to %s could not be made", section.title)
                found = f"it could not be made ({type(error).__name__}: {error})"
            self._kept[section.key] = before = (state, found)
        return before[1]
