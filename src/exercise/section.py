"""What a section of the exercise is: trainings, measurements, and an answer made from what they left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exercise.store import Evidence, Measured
from exercise.trainings import Sweep
from trainlab.report import Plot, Table


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
