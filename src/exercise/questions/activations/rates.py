"""The learning rates that the activations were trained at, and whether they lie at an end of the range searched."""

from collections.abc import Sequence
from math import nan

from exercise.formatting import format_list
from exercise.outcomes import is_at_an_end, range_searched
from trainlab.report import Group


def rate_of(group: Group) -> float:
    """The one that was found, or given."""
    return float(group.search["lr"] if group.search else group.settings.get("optim.lr", nan))


def describe_rates_at_ends(groups: Sequence[Group]) -> list[str]:
    """A sentence on the rates that are."""
    found = [f"{group.label} ({rate_of(group):.2g})" for group in groups if is_at_an_end(group)]
    if not found:
        return []
    rates, lie, one = ("rates", "lie", "each") if len(found) > 1 else ("rate", "lies", "it")
    return [
        f"The {rates} found for {format_list(found)} {lie} at the end of the range searched: beyond {one} there may be "
        "a better one."
    ]


def describe_search(groups: Sequence[Group]) -> str:
    """Where the rates come from; "" where none was searched."""
    searched = [group for group in groups if group.search]
    if not searched:
        return ""
    ranges = sorted({range_searched(group) for group in searched})
    spans = format_list([f"{low:.2g} to {high:.2g}" for low, high in ranges])
    settings = searched[0].settings
    epochs, batches = (settings.get(key) for key in ("lr_search.epochs", "trainer.limit_train_batches"))
    length = f", each trained for {epochs} epochs" if epochs else ""
    length += f" of {batches} batches at most" if epochs and isinstance(batches, int) else ""
    starred = "; * at an end of the range, beyond which a better one may lie" if any(map(is_at_an_end, groups)) else ""
    return f"The rate is the one with the lowest validation loss among several from {spans}{length}{starred}."
