"""What tables look like as HTML."""

from trainlab.report.elements import table
from trainlab.report.sections import Table


def test_prose_goes_over_several_lines_and_figures_never_do():
    texts = table(Table(["here", "measured", "p"], [[("a", "a"), ("long", "long"), ("x 0.02", "x 0.02")]]), "T")
    assert '<td>a</td><td class="prose">long</td><td class="prose">x 0.02</td>' in texts
    numbers = table(Table(["p"], [[("0.02", 0.02)]]), "T")
    assert '<td class="number" data-value="0.02">0.02</td>' in numbers
