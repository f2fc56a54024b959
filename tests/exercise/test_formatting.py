from exercise.formatting import format_list, format_percent, format_rate, mean_cell
from trainlab.statistics import interval


def test_figures_with_their_interval():
    assert format_percent(interval([0.50, 0.51, 0.52])) == "51.0 ± 2.5 %"
    assert format_percent(interval([0.5])) == "50.0 %"
    assert format_percent(interval([])) == "no completed run"
    assert mean_cell(interval([1.0, 2.0])) == ("1.5 ± 6.4", 1.5)
    assert [format_rate(lr) for lr in (5.3e-5, 0.019, 1e-3)] == ["5.3e-5", "0.019", "0.001"]


def test_lists():
    assert [format_list(of) for of in ([], ["a"], ["a", "b", "c"])] == ["", "a", "a, b and c"]
