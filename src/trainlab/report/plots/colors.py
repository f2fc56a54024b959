"""The colours and markers of groups, the same in all plots."""

import json
from collections.abc import Sequence

from matplotlib.colors import to_hex, to_rgb

from trainlab.report.groups import Group
from trainlab.report.plots.canvas import COLORS, MARKERS

LR = "optim.lr"
_PALEST = 0.55  # share of white in the colour of the lowest learning rate


def rate_lines(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups with a learning rate, in lists of those that differ in nothing else, from the lowest rate to the highest.

    The list with the best group is first.
    """
    lines: dict[str, list[Group]] = {}
    for group in groups:
        if isinstance(group.settings.get(LR), int | float):
            rest = {key: value for key, value in group.settings.items() if key != LR}
            lines.setdefault(json.dumps(rest, sort_keys=True, default=str), []).append(group)
    return [sorted(line, key=lambda group: group.settings[LR]) for line in lines.values()]


def shares_hues(groups: Sequence[Group]) -> bool:
    """Whether groups that differ in the learning rate alone have shades of one colour: if there are others, too."""
    lines = rate_lines(groups)
    return len(lines) > 1 and max(map(len, lines)) > 1 and sum(map(len, lines)) == len(groups)


def styles_of(groups: Sequence[Group]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each group by its label.

    Groups that differ in the learning rate alone have one hue, that of their line in the plots against it, the paler
    the lower the rate; markers are then those of the rates.
    """
    if not shares_hues(groups):
        return {group.label: (COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]) for i, group in enumerate(groups)}
    rates = sorted({group.settings[LR] for group in groups})
    return {
        group.label: (
            _paler(COLORS[i % len(COLORS)], _PALEST * (1 - place / (len(rates) - 1))),
            MARKERS[place % len(MARKERS)],
        )
        for i, line in enumerate(rate_lines(groups))
        for group in line
        for place in [rates.index(group.settings[LR])]
    }


def _paler(color: str, white: float) -> str:
    red, green, blue = (white + (1 - white) * part for part in to_rgb(color))
    return to_hex((red, green, blue))
