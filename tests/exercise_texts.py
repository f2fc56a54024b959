"""The texts of an answer, as the page has them."""

from collections.abc import Mapping
from typing import Any

import pytest
from markupsafe import Markup, escape

from exercise.section import Answer, Section
from exercise.texts import Texts, render_texts


def text_of(section: Section, answer: Answer) -> str:
    """All of what a reader sees of an answer before its evidence; a figure that the template lacks is an error."""
    texts = render_texts(section.key, {**answer.figures, "claims": answer.claims, "verdict": answer.verdict})
    return "\n".join(" ".join(block.split()) for block in (texts.line, texts.answer, texts.why, texts.surprise))


def verdicts(answer: Answer) -> list[str]:
    """Of each claim, in their order."""
    return [claim.verdict for claim in answer.claims]


@pytest.fixture
def made_up_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sections that are made up and have no template: the figure `text` everywhere."""

    def render(key: str, figures: Mapping[str, Any]) -> Texts:
        return Texts(*[escape(figures["text"])] * 3, Markup(""))

    monkeypatch.setattr("exercise.section.render_texts", render)
