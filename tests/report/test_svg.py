"""A drawing loses bytes and nothing that is seen."""

import io
import re
import xml.etree.ElementTree as ET
from collections import Counter
from urllib.parse import unquote

import numpy as np
import pytest

from trainlab.report.plots.canvas import canvas, compact_svg, legend_below, render, svg_data_uri

pytestmark = pytest.mark.usefixtures("drawn")

SVG = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"
  "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="460.8125pt">
 <g id="text_1">
  <!-- 0.50 -->
  <g transform="translate(28.789771 -0.001) scale(0.015625 -0.1)">
   <path id="m1" d="M 39.922584 226.856936
L -12.345678 3
z
" style="stroke-width: 0.875"/>
   <use xlink:href="#m1" x="0.125001" y="7.0"/>
  </g>
 </g>
</svg>
"""


def test_places_are_rounded_and_scales_are_not():
    assert compact_svg(SVG) == (
        '<?xml version="1.0" encoding="utf-8"?><svg xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" width="460.8125pt"><g>'
        '<g transform="translate(28.79 0) scale(0.015625 -0.1)"><path id="m1" d="M 39.92 226.86 L -12.35 3 z" '
        'style="stroke-width: 0.875"/><use xlink:href="#m1" x="0.13" y="7"/></g></g></svg>'
    )
    assert compact_svg(compact_svg(SVG)) == compact_svg(SVG)


def test_an_address_can_stand_in_double_quotes_and_is_the_same_drawing():
    drawing = """<svg a="50% & more">it's #1</svg>""".replace("&", "&amp;")
    found = svg_data_uri(drawing)
    assert not set(found) & {'"', "#", "&"}
    kind, content = found.split(",", 1)
    assert kind == "data:image/svg+xml"
    element = ET.fromstring(unquote(content))
    assert (element.attrib, element.text) == ({"a": "50% & more"}, "it's #1")


def test_a_figure_keeps_all_that_its_parts_refer_to_and_loses_a_fifth():
    with canvas(6, 4) as (figure, (axes,)):
        x = np.linspace(0, 1, 50)
        axes.plot(x, np.sin(9 * x), marker="o", label="a")
        axes.fill_between(x, x - 0.1, x + 0.1, alpha=0.2)
        axes.scatter(x, x, s=20 * x, c=x)
        legend_below(figure, axes)
        raw = io.StringIO()
        _, svg, _ = render(figure)
        figure.savefig(raw, format="svg")
    text = svg.decode()
    referred = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    assert len(referred) > 10 and referred <= set(re.findall(r' id="([^"]+)"', text))
    parts, before = (Counter(element.tag for element in ET.fromstring(t).iter()) for t in (text, raw.getvalue()))
    assert parts - before == Counter()
    assert all(re.search("metadata|rdf|creativecommons|purl", tag) for tag in before - parts)
    assert len(svg) < 0.8 * len(raw.getvalue())
