"""A section of the exercise: trainings, measurements, and an answer made from them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from exercise.contrast import Claim, Contrast, Verdict, combine
from exercise.store import Evidence, Measured, NotAvailable
from exercise.trainings import Sweep
from trainlab.report import Plot, Table, page_environment

log = logging.getLogger(__name__)
TEMPLATES = Path(__file__).parent / "templates"
PAGES = page_environment(TEMPLATES)  # of the page and of the questions
# The answer in one line, for the top of the page; in one sentence; why it is so; what surprised; how it was done.
BLOCKS = ("line", "answer", "why", "surprise", "notes")
Texts = dict[str, Markup]  # by the names of these; "" where a template lacks one


@dataclass(frozen=True)
class Measurement:
    """What cannot be trained by a sweep, measured once its sweeps have ended. What takes long is several of them."""

    name: str  # of its file in the folder of the exercise
    take: Callable[[Evidence], Measured]
    minutes: float = 0.0  # on two cores


@dataclass(frozen=True)
class Answer:
    """To the question of a section: what its template, `templates/questions/KEY.html.j2`, shows, and the evidence."""

    figures: Mapping[str, Any]  # by the names that the template has for them
    claims: Sequence[Claim] = ()
    plot: Plot | None = None  # the one picture of the answer
    tables: Sequence[tuple[str, Table]] = ()  # of the evidence, with their names
    more_plots: Sequence[Plot] = ()
    are_tabled: bool = False  # the comparisons: the tables have them

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
    """A question, and how it is answered; its template has all texts."""

    key: str  # in the address of the page, "8b"; its template is named by it
    part: str  # word of the command line that it belongs to, "8"
    answer: Callable[[Evidence], Answer]  # raises NotAvailable where something is missing that is under way
    sweeps: Sequence[Sweep] = ()
    measurements: Sequence[Measurement] = ()  # taken in this order, after the sweeps
    evidence_in: str = ""  # the key of another section, if that one has the tables and settings of this one, too

    @property
    def title(self) -> str:
        """A heading."""
        return render_heading(self.key, "title")

    @property
    def question(self) -> str:
        """What is asked, in one line."""
        return render_heading(self.key, "question")


Answered = tuple[Answer | None, Texts, str]  # the answer with its texts, or what is missing


def sweeps_of(sections: Sequence[Section]) -> list[Sweep]:
    """Those of all sections, each once, in order."""
    return list({sweep.name: sweep for section in sections for sweep in section.sweeps}.values())


def render_heading(key: str, block: str) -> str:
    """A block of `questions/KEY.html.j2` that has no figures."""
    template = PAGES.get_template(f"questions/{key}.html.j2")
    return "".join(template.blocks[block](template.new_context()))


def render_texts(key: str, answer: Answer) -> Texts:
    """The others, filled with the figures of an answer."""
    template = PAGES.get_template(f"questions/{key}.html.j2")
    context = template.new_context({**answer.figures, "claims": answer.claims, "verdict": answer.verdict})
    for _ in template.root_render_func(context):  # leaves the template's macros in the context
        pass
    found = {name: "".join(template.blocks[name](context)).strip() for name in BLOCKS if name in template.blocks}
    return dict.fromkeys(BLOCKS, Markup()) | {name: Markup(text) for name, text in found.items()}


class Answers:
    """Remembers what was answered, and of which runs and measurements."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, Answered]] = {}

    def of(self, section: Section, evidence: Evidence) -> Answered:
        """The answer of the sweeps and measurements of a section."""
        state = evidence.what_ran(section.sweeps), [evidence.measured_of(of.name) for of in section.measurements]
        if section.key not in self._kept or self._kept[section.key][0] != state:
            self._kept[section.key] = state, _answer(section, evidence)
        return self._kept[section.key][1]


def _answer(section: Section, evidence: Evidence) -> Answered:
    try:
        answer = section.answer(evidence)
        return answer, render_texts(section.key, answer), ""
    except NotAvailable as missing:
        return None, {}, str(missing)
    except Exception as error:  # a fault in one answer takes no other with it; the exercise fails at its end
        log.exception("the answer to %s could not be made", section.title)
        return None, {}, f"it could not be made ({type(error).__name__}: {error})"
