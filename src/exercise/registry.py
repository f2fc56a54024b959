"""All sections of the exercise, in the order of the page."""

from collections.abc import Sequence

from exercise.questions import (
    best,
    biases,
    convolutions,
    dropout,
    mistakes,
    momentum,
    selection,
    self_normalizing,
    symmetry,
    tuning,
    variants,
)
from exercise.questions.activations import comparison, outputs
from exercise.questions.sparsity import sections as sparsity
from exercise.section import Section

SECTIONS: tuple[Section, ...] = (
    *(symmetry.SECTION, biases.SECTION, self_normalizing.SECTION, comparison.SECTION, outputs.SECTION),
    *(momentum.SECTION, sparsity.SECTION, dropout.SECTION, *tuning.SECTIONS),
    *(variants.SECTION, convolutions.SECTION, best.SECTION, *mistakes.SECTIONS, selection.SECTION),
)
BY_DEFAULT = ("1", "2", "3", "4", "5", "6", "7", "8", "mistakes")  # the others take longer: only when named


def choose_sections(words: Sequence[str]) -> list[Section]:
    """Sections of the parts that ``words`` name, in the order of the page; of those by default, without any.

    Raises:
        ValueError: there is no such part.
    """
    whole = {section.key: section.part for section in SECTIONS}
    parts = dict.fromkeys(whole.values())
    for word in words:
        if word not in parts:
            of = f"it belongs to part {whole[word]}" if word in whole else f"there are: {', '.join(parts)}"
            raise ValueError(f"there is no part {word!r}; {of}")
    return [section for section in SECTIONS if section.part in (words or BY_DEFAULT)]
