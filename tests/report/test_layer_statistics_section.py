from pathlib import Path

import numpy as np
import pytest

from trainlab.report.groups import group_runs
from trainlab.report.layers import LAYER_STATISTICS, LayerStatistics, mean_over_seeds, read_layer_statistics
from trainlab.report.plots.canvas import canvas
from trainlab.report.plots.groups import plot_groups
from trainlab.report.plots.layers import MAX_EPOCHS, MAX_GROUPS, choose_epochs, draw_layers
from trainlab.report.runs import find_runs

HEADER = "epochs,step,layer,mean,std,dead,gradient_norm\n"


def look(folder: Path, epochs: int = 2, shift: float = 0.0, layers: int = 3) -> None:
    """Leave an `layer_statistics.csv` in the folder of a run."""
    lines = [
        f"{e},{e * 19},layer_{i},{e + i / 10 + shift},{1 + i},{i / 10},{10.0**-i}\n"
        for e in range(epochs + 1)
        for i in range(1, layers + 1)
    ]
    (folder / "layer_statistics.csv").write_text(HEADER + "".join(lines))


def pictures_of(folder: Path):
    return {picture.name: picture for picture in plot_groups(group_runs(find_runs([folder])))}


def test_rows_are_read_by_epoch_and_layer(leave):
    folder = leave("a", [1.0], [0.5])
    look(folder)
    layers = read_layer_statistics(folder / "layer_statistics.csv")
    assert layers.names == ("layer_1", "layer_2", "layer_3")
    assert [*layers.by_epochs] == [0, 1, 2]
    expected = {"mean": [2.1, 2.2, 2.3], "std": [2, 3, 4], "dead": [0.1, 0.2, 0.3], "gradient_norm": [0.1, 0.01, 0.001]}
    assert layers.by_epochs[2] == pytest.approx(np.array([expected[figure] for figure in LAYER_STATISTICS]))


def test_figures_of_weights_are_read_where_they_are(leave):
    folder = leave("a", [1.0], [0.5])
    header = HEADER.rstrip("\n") + ",rank,distinct_units\n"
    (folder / "layer_statistics.csv").write_text(header + "0,0,a,1,2,0,3,nan,nan\n0,0,b,4,5,0,6,7.0,8.0\n")
    layers = read_layer_statistics(folder / "layer_statistics.csv")
    assert layers.by_epochs[0].tolist() == [[1, 4], [2, 5], [0, 0], [3, 6]]
    assert layers.weights_by_epochs[0] == pytest.approx(np.array([[np.nan, 7], [np.nan, 8]]), nan_ok=True)
    assert mean_over_seeds([layers, layers]).weights_by_epochs[0][1, 1] == 8
    look(folder)
    assert read_layer_statistics(folder / "layer_statistics.csv").weights_by_epochs == {}


def test_without_the_file_there_is_nothing(tmp_path):
    assert read_layer_statistics(tmp_path / "layer_statistics.csv") is None


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "epochs,layer\n0,a\n",
        HEADER,
        HEADER + "0,0,a,1,1\n",
        HEADER + "0,0,a,x,1,1,1\n",
        HEADER + "0,0,a,1,1,0,1\n1,9,b,1,1,0,1\n",
    ],
)
def test_a_damaged_file_is_noted_and_the_run_counts(leave, tmp_path, damage):
    folder = leave("a", [1.0], [0.5])
    (folder / "layer_statistics.csv").write_text(damage)
    with pytest.raises(ValueError, match=r"layer_statistics\.csv is damaged"):
        read_layer_statistics(folder / "layer_statistics.csv")
    [run] = find_runs([tmp_path])
    assert (run.is_completed, run.layers, run.reason) == (True, None, "layer_statistics.csv is damaged")
    assert "layers" not in pictures_of(tmp_path)


def test_the_mean_is_over_seeds_where_all_have_come_to():
    names, other = ("a", "b"), ("a", "c")
    one = LayerStatistics(names, {e: np.full((4, 2), float(e)) for e in (0, 1, 2)})
    two = LayerStatistics(names, {e: np.full((4, 2), e + 1.0) for e in (0, 1)})
    mean = mean_over_seeds([one, two, LayerStatistics(other, {0: np.full((4, 2), 99.0)})])
    assert mean.names == names
    assert {e: values.tolist() for e, values in mean.by_epochs.items()} == {0: [[0.5] * 2] * 4, 1: [[1.5] * 2] * 4}


def test_a_figure_has_a_column_a_group_and_a_line_an_epoch(leave, tmp_path):
    look(leave("a1", [1.0], [0.5], 1))
    look(leave("a2", [1.0], [0.5], 2), shift=1.0)
    look(leave("b", [0.9], [0.5], 1, "selu"), layers=2)
    leave("c", [0.8], [0.5], 1, "relu")  # has no layer statistics
    picture = pictures_of(tmp_path)["layers"]
    assert "The layers from the input on" in picture.caption
    groups = {group.label: group for group in group_runs(find_runs([tmp_path]))}
    shown = {name: mean_over_seeds([r.layers for r in groups[name].runs.values()]) for name in ("elu", "selu")}
    with canvas(6, 8, 2, 4, scale_a_row=True) as (_, axes):
        draw_layers(axes, shown)
        assert [one.get_title(loc="left") for one in axes[:2]] == ["elu", "selu"]
        assert [one.get_ylabel() for one in axes[::2]] == ["mean", "standard deviation", "dead units", "gradient norm"]
        for row, figure in enumerate(LAYER_STATISTICS):
            for one, layers in zip(axes[2 * row : 2 * row + 2], shown.values(), strict=True):
                lines = {line.get_label(): line for line in one.get_lines() if line.get_label()[0] != "_"}
                assert [*lines] == ["before training", "after epoch 1", "after epoch 2"], figure
                for epoch, line in enumerate(lines.values()):
                    assert line.get_ydata() == pytest.approx(layers.by_epochs[epoch][row])
        assert axes[6].get_yscale() == axes[7].get_yscale() == "log"
    assert shown["elu"].by_epochs[0][0] == pytest.approx([0.6, 0.7, 0.8])  # between seeds one apart


def test_the_best_of_many_groups(leave, tmp_path):
    for i in range(MAX_GROUPS + 2):
        look(leave(f"m{i}", [1 + i / 100], [0.4], 1, f"m{i}"))
    picture = pictures_of(tmp_path)["layers"]
    assert picture.caption.startswith(f"The {MAX_GROUPS} best of {MAX_GROUPS + 2} groups by validation loss. ")


def test_nothing_is_drawn_without_layer_statistics(leave, tmp_path):
    leave("a", [1.0], [0.5])
    assert "layers" not in pictures_of(tmp_path)


def test_numbers_that_are_not_finite_and_gradients_of_nothing_are_left_out(leave, tmp_path, recwarn):
    folder = leave("a", [1.0], [0.5])
    rows = ["0,0,a,nan,inf,0.0,nan\n", "0,0,b,nan,inf,1.0,0.0\n"]
    (folder / "layer_statistics.csv").write_text(HEADER + "".join(rows))
    assert pictures_of(tmp_path)["layers"].png
    assert not [str(w.message) for w in recwarn]


def test_epochs_shown_are_few_and_mostly_early():
    assert choose_epochs([0, 1, 2]) == [0, 1, 2]
    assert choose_epochs([*range(31)]) == [0, 1, 2, 5, 13, 30]  # 30 ** (1/4) is 2.3
    assert choose_epochs([0, 5, 10, 15, 20, 25, 30, 35]) == [0, 5, 10, 15, 20, 35]
    assert all(
        len(choose_epochs([*range(n)])) <= MAX_EPOCHS and choose_epochs([*range(n)])[-1] == n - 1 for n in range(1, 200)
    )
