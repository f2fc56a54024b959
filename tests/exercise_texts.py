"""The texts of an answer, as the page has them."""

import pytest
from markupsafe import escape

from exercise.section import BLOCKS, Answer, Section, Texts, render_texts


def text_of(section: Section, answer: Answer) -> str:
    """All of what a reader sees of an answer before its evidence; a figure that the template lacks is an error."""
    texts = render_texts(section.key, answer)
    return "\n".join(" ".join(texts[name].split()) for name in ("line", "answer", "why", "surprise"))


def verdicts(answer: Answer) -> list[str]:
    """Of each claim, in their order."""
    return [claim.verdict for claim in answer.claims]


@pytest.fixture
def made_up_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sections that are made up and have no template: the figure `text` everywhere, and titles by their keys."""

    def render(key: str, answer: Answer) -> Texts:
        return dict.fromkeys(BLOCKS, escape(answer.figures["text"])) | dict.fromkeys(("surprise", "notes"), escape(""))

    monkeypatch.setattr("exercise.section.render_texts", render)
    monkeypatch.setattr("exercise.section.render_heading", lambda key, block: f"The {block} of {key}")
