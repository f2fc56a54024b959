"""A section of the exercise: trainings, measurements, and an answer made from them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exercise.store import Evidence, Measured, NotAvailable, State
from exercise.trainings import Sweep
from trainlab.report import Plot, Table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measurement:
    """What cannot be trained by a sweep, measured once its sweeps have ended.

    Attributes:
        name: of its file in the folder of the exercise.
        take: returns plain numbers and texts, which are kept as JSON. Much that takes long is several measurements.
    """

    name: str
    take: Callable[[Evidence], Measured]


@dataclass(frozen=True)
class Answer:
    """To the question of a section.

    Attributes:
        sentences: two or three, or short paragraphs, made from the figures by rules.
        agrees: whether the measurement confirms what is usually claimed; None where that is undecided.
        figures: with captions that say what to see.
        tables: with a name each.
        details: further paragraphs, for those who want to know more than the answer.
    """

    sentences: Sequence[str]
    agrees: bool | None = None
    figures: Sequence[Plot] = ()
    tables: Sequence[tuple[str, Table]] = ()
    details: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """A question, and how it is answered.

    Attributes:
        key: in the address of the page, "8b".
        part: word of the command line that it belongs to, "8".
        title: a heading.
        question: what is asked, in our words.
        textbook: the answer that is usually given; "" where there is none.
        sweeps: what is trained for it.
        measurements: what is measured besides, in this order, after the sweeps.
        answer: makes the answer; raises NotAvailable where something is missing that is under way.
        notes: what a reader should know of how it was done.
    """

    key: str
    part: str
    title: str
    question: str
    textbook: str
    answer: Callable[[Evidence], Answer]
    sweeps: Sequence[Sweep] = ()
    measurements: Sequence[Measurement] = ()
    notes: Sequence[str] = ()


def sweeps_of(sections: Sequence[Section]) -> list[Sweep]:
    """Those of all sections, each once, in order."""
    return list({sweep.name: sweep for section in sections for sweep in section.sweeps}.values())


class Answers:
    """Remembers what was answered, and what was on disk then."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[State, Answer | str]] = {}

    def of(self, section: Section, evidence: Evidence) -> Answer | str:
        """The answer, or what is missing. It is made of the sweeps and measurements that the section names."""
        state = evidence.state(section.sweeps, [measurement.name for measurement in section.measurements])
        before = self._kept.get(section.key)
        if before is None or before[0] != state:
            answer: Answer | str
            try:
                answer = section.answer(evidence)
            except NotAvailable as missing:
                answer = str(missing)
            except Exception as error:  # a fault in one answer takes no other with it; the exercise fails at its end
                log.exception("the answer to %s could not be made", section.title)
                answer = f"it could not be made ({type(error).__name__}: {error})"
            self._kept[section.key] = before = (state, answer)
        return before[1]
