"""The colours and markers of groups, the same in all plots."""

import json
from collections.abc import Sequence
from itertools import cycle

from matplotlib.colors import to_hex, to_rgb

from trainlab.report.groups import Group
from trainlab.report.plots.canvas import BASELINE_LOOK, COLORS, MARKERS

LR = "optim.lr"
_PALEST = 0.35  # share of white in the colour of the worst of a hue; more would be too faint


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


def styles_of(groups: Sequence[Group], shown: Sequence[Group], baseline: str = "") -> dict[str, tuple[str, str]]:
    """Colour and marker of each of the groups ``shown`` by its label; ``groups`` are all that there are.

    The group labelled ``baseline`` is black, and no other is. Groups that differ in the learning rate alone have one
    hue, that of their line in the plots against it: the best of them its full strength, the others the paler the worse
    they are. Markers are then those of the rates.
    """
    if not shares_hues(groups):
        others = [group.label for group in groups if group.label != baseline]
        kept = ([one for one in of if not baseline or one not in BASELINE_LOOK] for of in (COLORS, MARKERS))
        looks = dict(zip(others, cycle(zip(*kept, strict=True)), strict=False)) | {baseline: BASELINE_LOOK}
        return {group.label: looks[group.label] for group in shown}
    rates = sorted({group.settings[LR] for group in shown}, reverse=True)
    found = {}
    for i, line in enumerate(rate_lines(groups)):
        of_line = [group for group in shown if group in line]  # the best first, as in `shown`
        for place, group in enumerate(of_line):
            color = _paler(COLORS[i % len(COLORS)], _PALEST * place / max(1, len(of_line) - 1))
            found[group.label] = color, MARKERS[rates.index(group.settings[LR]) % len(MARKERS)]
    return found | {label: BASELINE_LOOK for label in found if label == baseline}


def _paler(color: str, white: float) -> str:
    red, green, blue = (white + (1 - white) * part for part in to_rgb(color))
    return to_hex((red, green, blue))
