"""What tables look like as HTML."""

import math

from trainlab.report.tables import Table
from trainlab.report.write import page_environment


def html_of(table: Table) -> str:
    return page_environment().get_template("macros.html.j2").module.table(table, "T")


def test_prose_goes_over_several_lines_and_figures_never_do():
    texts = html_of(Table(["here", "measured", "p"], [[("a", "a"), ("long", "long"), ("x 0.02", "x 0.02")]]))
    assert '<td>a</td><td class="prose">long</td><td class="prose">x 0.02</td>' in texts
    numbers = html_of(Table(["p"], [[("0.02", 0.02)]]))
    assert '<td class="n">0.02</td>' in numbers


def test_numbers_have_the_value_to_sort_by_unless_it_is_their_text():
    cells = [[("51.25%", 0.5125), ("3", 3), ("-", math.nan), ("1e+03", math.inf), ("0.1235", 0.123456789012)]]
    html = html_of(Table(["a", "b", "c", "d", "e"], cells))
    assert (
        '<td data-value="0.5125">51.25%</td><td class="n">3</td><td data-value="">-</td>'
        '<td data-value="inf">1e+03</td><td data-value="0.12345679">0.1235</td>'
    ) in html


def test_a_link_leads_to_a_path_and_is_escaped():
    html = html_of(Table(["run"], [[("a <b>", "../x & y/lr=1,z #1:2")]], link="run"))
    assert '<a href="../x%20%26%20y/lr=1,z%20%231%3A2">a &lt;b&gt;</a>' in html


def test_a_table_without_links_has_none_whatever_its_headings():
    assert "<a " not in html_of(Table(["", "b"], [[("1 a", "1 a"), ("2", 2)]]))
