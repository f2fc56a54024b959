"""Answers to sections, made anew only where what they are made of has changed: most of the time goes into figures."""

import logging

from exercise.section import Answer, Section
from exercise.store import Evidence, NotAvailable, State

log = logging.getLogger(__name__)


class Answers:
    """Remembers what was answered, and what was on disk then."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[State, Answer | str]] = {}

    def of(self, section: Section, evidence: Evidence) -> Answer | str:
        """The answer, or what is missing. It is made of the sweeps and measurements that the section names."""
        state = evidence.state(section.sweeps, [measurement.name for measurement in section.measurements])
        before = self._kept.get(section.key)
        if before is None or before[0] != state:
            self._kept[section.key] = before = (state, _answer(section, evidence))
        return before[1]


def _answer(section: Section, evidence: Evidence) -> Answer | str:
    try:
        return section.answer(evidence)
    except NotAvailable as missing:
        return str(missing)
    except Exception as error:  # a fault in one answer takes no other with it; the exercise fails at its end
        log.exception("the answer to %s could not be made", section.title)
        return f"it could not be made ({type(error).__name__}: {error})"
