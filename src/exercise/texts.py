"""The texts of an answer, from the template of its question: written by hand, with figures filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from trainlab.report import page_environment

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Texts:
    """The blocks of a template, as HTML.

    Attributes:
        line: the answer in one line, for the top of the page.
        answer: in one sentence, with its figure.
        why: why it is so.
        surprise: what surprised; "" where nothing did.
        notes: what a reader should know of how it was done, if there is something; of the evidence.
    """

    line: Markup
    answer: Markup
    why: Markup
    surprise: Markup
    notes: str = ""


@cache
def pages() -> Environment:
    """Jinja's environment of the page and of the questions."""
    return page_environment(TEMPLATES)


def render_heading(key: str) -> tuple[str, str]:
    """Title and question of a section: blocks of its template that have no figures."""
    template = pages().get_template(f"questions/{key}.html.j2")
    title, question = ("".join(template.blocks[name](template.new_context())) for name in ("title", "question"))
    return title, question


def render_texts(key: str, figures: Mapping[str, Any]) -> Texts:
    """The blocks of `questions/KEY.html.j2` filled with ``figures``."""
    template = pages().get_template(f"questions/{key}.html.j2")
    context = template.new_context(dict(figures))
    for _ in template.root_render_func(context):  # leaves the template's macros in the context
        pass
    names = [field.name for field in fields(Texts) if field.name in template.blocks]
    return Texts(*(Markup("".join(template.blocks[name](context)).strip()) for name in names))
