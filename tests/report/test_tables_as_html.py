"""What tables look like as HTML."""

from trainlab.report.tables import Table
from trainlab.report.write import page_environment


def html_of(table: Table) -> str:
    return page_environment().get_template("macros.html.j2").module.table(table, "T")


def test_prose_goes_over_several_lines_and_figures_never_do():
    texts = html_of(Table(["here", "measured", "p"], [[("a", "a"), ("long", "long"), ("x 0.02", "x 0.02")]]))
    assert '<td>a</td><td class="prose">long</td><td class="prose">x 0.02</td>' in texts
    numbers = html_of(Table(["p"], [[("0.02", 0.02)]]))
    assert '<td class="number" data-value="0.02">0.02</td>' in numbers
