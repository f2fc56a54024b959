"""A compact drawing looks as the whole one does."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainlab.report.plots.canvas import COLORS, canvas, compact_svg, legend_below, svg_data_uri

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("drawn")]


def test_a_compact_drawing_looks_as_the_whole_one_does(open_page, tmp_path: Path):
    x = np.linspace(0, 1, 200)
    raw = io.StringIO()
    with canvas(6.4, 3.7, 2) as (figure, (left, right)):
        for i, colour in enumerate(COLORS):
            left.plot(x, np.sin(9 * x + i), color=colour, marker="o", markevery=20, label=f"50 % & 'more', #{i}")
        left.fill_between(x, x - 0.1, x + 0.1, alpha=0.2)
        right.barh(range(5), x[10:60:10], xerr=0.1)
        right.contour(np.add.outer(x * x, x), levels=5)
        legend_below(figure, left)
        figure.savefig(raw, format="svg")
    whole = f"data:image/svg+xml;base64,{base64.b64encode(raw.getvalue().encode()).decode()}"
    shots = []
    for name, source in (("whole", whole), ("compact", svg_data_uri(compact_svg(raw.getvalue())))):
        path = tmp_path / f"{name}.html"
        path.write_text(f'<!doctype html><meta charset="utf-8"><title>{name}</title><img alt="" src="{source}">')
        page = open_page(path).page
        page.evaluate("document.querySelector('img').decode()")
        shots.append(np.asarray(Image.open(io.BytesIO(page.locator("img").screenshot())).convert("L"), dtype=int))
    assert shots[0].shape == shots[1].shape and shots[0].std() > 10
    # An edge that moves by a hundredth of a point covers up to one more of the four places that a pixel is sampled at,
    # one below the other; a letter or a mark that is not there is black on white.
    assert np.abs(shots[0] - shots[1]).max() <= 256 / 4
