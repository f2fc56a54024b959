"""What a section of the exercise is: trainings, measurements, and an answer made from what they left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainlab.report.figures import Picture
from trainlab.report.sections import Table

if TYPE_CHECKING:
    from trainlab.exercise.evidence import Evidence

Measured = dict[str, Any]  # what a measurement leaves; JSON


class NotYet(Exception):
    """What an answer is made of is not there; says what is missing."""


@dataclass(frozen=True)
class Sweep:
    """Trainings that `python src/train.py -m` makes.

    Attributes:
        name: of the folder in that of the exercise; sections with the same sweep share it.
        overrides: of all its runs, `key=value`.
        quick: what takes their place, key by key, or is added, in the quick version.
    """

    name: str
    overrides: tuple[str, ...]
    quick: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """What cannot be trained by a sweep, measured once its sweeps have ended.

    Attributes:
        name: of its file in the folder of the exercise.
        take: returns plain numbers and texts, which are kept as JSON. Much that takes long is several measurements.
    """

    name: str
    take: "Callable[[Evidence], Measured]"


@dataclass(frozen=True)
class Answer:
    """To the question of a section.

    Attributes:
        sentences: two or three, made from the figures by rules.
        agrees: whether the measurement says what the textbook says; None where it cannot tell.
        figures: with captions that say what to see.
        tables: with a name each.
    """

    sentences: Sequence[str]
    agrees: bool | None = None
    figures: Sequence[Picture] = ()
    tables: Sequence[tuple[str, Table]] = ()


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
        answer: makes the answer; raises NotYet where something is missing that is under way.
        notes: what a reader should know of how it was done.
    """

    key: str
    part: str
    title: str
    question: str
    textbook: str
    answer: "Callable[[Evidence], Answer]"
    sweeps: Sequence[Sweep] = ()
    measurements: Sequence[Measurement] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Setting:
    """How the exercise is carried out.

    Attributes:
        quick: on a small data set, to see what comes out; none of its figures mean anything.
        overrides: of every training, from the command line: where the images are, say.
    """

    quick: bool = False
    overrides: tuple[str, ...] = ()


# Of the quick version: a small embedded data set, two seeds, two short epochs.
QUICK = (
    *("data=shapes", "data.num_train=2500", "data.num_test=500", "data.val_size=500"),
    *("trainer.max_epochs=2", "seed=1,2", "lr_search=none"),
)


def overrides_of(sweep: Sweep, setting: Setting) -> list[str]:
    """All overrides of a sweep; later ones take the place of earlier ones with the same key."""
    given = [*sweep.overrides, *((*QUICK, *sweep.quick) if setting.quick else ()), *setting.overrides]
    return list({override.partition("=")[0].lstrip("+"): override for override in given}.values())


def command(sweep: Sweep, setting: Setting, name: str) -> list[str]:
    """The words of the command line that trains a sweep under ``name``, after `python src/train.py`."""
    return ["-m", *overrides_of(sweep, setting), f"name={name}/{sweep.name}"]


def seeds_of(sweep: Sweep, setting: Setting) -> int:
    """How many seeds each group of a sweep has."""
    by_key: Mapping[str, str] = dict(o.split("=", 1) for o in overrides_of(sweep, setting))
    return len(by_key.get("seed", "1").split(","))


def sweeps_of(sections: Sequence[Section]) -> list[Sweep]:
    """Those of all sections, each once, in order."""
    return list({sweep.name: sweep for section in sections for sweep in section.sweeps}.values())
