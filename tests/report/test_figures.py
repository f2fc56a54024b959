import io
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from trainlab.report.groups import group_runs
from trainlab.report.plots.canvas import COLORS, MAX_CURVES, PercentTicks, canvas, shorten
from trainlab.report.plots.colors import styles_of
from trainlab.report.plots.curves import curves_note, cut_off, highest_shown, plot_learning_curves
from trainlab.report.plots.groups import axis_positions, plot_against_lr, plot_groups, plot_intervals
from trainlab.report.plots.lr_search import label_without_lr
from trainlab.report.runs import find_runs
from trainlab.runs.result import Result

BY_EPOCH, BY_SECOND = ("accuracy_by_epoch", "loss_by_epoch"), ("accuracy_by_second", "loss_by_second")
BY_LR = ("accuracy_by_lr", "loss_by_lr")

pytestmark = pytest.mark.usefixtures("drawn")


def pictures_of(folder: Path):
    return {picture.name: picture for picture in plot_groups(group_runs(find_runs([folder])))}


def colours_in(svg: bytes) -> set[str]:
    return {colour for colour in COLORS if colour.lower() in svg.decode().lower()}


@pytest.mark.slow
def test_figures_are_drawn_where_there_is_something_to_show(leave, tmp_path: Path):
    leave("a", [1.0, 0.9], [0.5, 0.6])
    leave("b", [1.0, 0.9], [0.5, 0.6], lr=1e-3)
    assert [*pictures_of(tmp_path)] == ["accuracy_intervals", *BY_EPOCH, *BY_LR, *BY_SECOND]
    leave("c", [1.0], [0.5], 1, "selu", overrides=("model=selu", "optim.lr=0.0001", "model.depth=5"), depth=5)
    rows = "epochs,step,layer,mean,std,dead,gradient_norm\n0,0,output,0.1,0.9,0.0,1.5\n"
    (tmp_path / "c" / "layer_statistics.csv").write_text(rows)
    more = ["parallel_coordinates", "layers"]
    assert [*pictures_of(tmp_path)] == ["accuracy_intervals", *BY_EPOCH, *BY_LR, *BY_SECOND, *more]


def test_every_figure_is_a_whole_picture_and_a_whole_drawing(study: Path):
    for picture in pictures_of(study).values():
        pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("L"))
        assert pixels[0, 0] == 255  # white ground, so that it can be read on any page
        assert pixels.std() > 5
        assert ET.fromstring(picture.svg).tag.endswith("svg")


def test_a_colour_a_group_and_the_best_ten_of_many(leave, tmp_path: Path):
    for i in range(12):
        leave(f"m{i}", [2.0, 1 + i / 100], [0.3, 0.4], 1, f"m{i}")
    groups = group_runs(find_runs([tmp_path]))
    found = plot_learning_curves(groups, "val_loss", "epochs")
    assert found.svg == plot_learning_curves(groups, "val_loss", "epochs").svg  # the same figure is the same file
    assert colours_in(found.svg) == set(COLORS)
    assert found.caption == f"The {MAX_CURVES} best of 12 groups by validation accuracy."


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dropout": [0.0, 0.0]}, "averaged over each epoch while the weights change. Where"),
        ({"dropout": [0.0, 0.5]}, "weights change, with dropout where there is any. Where"),
        ({"dropout": 0.1, "stages": [[32, 32], [64]]}, "weights change, with dropout where there is any. Where"),
    ],
)
def test_the_note_says_what_sets_training_apart(leave, tmp_path: Path, settings: dict[str, object], words: str):
    leave("m", [2.0, 1.0], [0.3, 0.4], 1, "m", **settings)
    note = curves_note(group_runs(find_runs([tmp_path])))
    assert note.startswith("Dotted: training, averaged over each epoch") and words in note


def test_colors_differ_without_hue():
    """Each two differ by lightness or by blue against yellow, which the red-green blind see."""
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLORS])
    seen = np.stack([rgb @ (0.299, 0.587, 0.114), rgb[:, 2] - rgb[:, :2].mean(axis=1)], axis=1)
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[np.triu_indices(len(COLORS), 1)]
    assert distances.min() > 0.04


def test_nothing_without_a_completed_run(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], status="failed")
    assert pictures_of(tmp_path) == {}


def test_widely_spread_numbers_are_placed_by_their_logarithm():
    heights, ticks = axis_positions([1e-4, 1e-3, 1e-2])
    assert heights == pytest.approx([0, 0.5, 1])
    assert [text for _, text in ticks] == ["1e-4", "1e-3", "0.01"]
    assert axis_positions([5, 10, 20])[0] == pytest.approx([0, 1 / 3, 1])


def test_what_is_no_number_is_spaced_evenly():
    heights, ticks = axis_positions(["bn", "selu", "elu", "bn"])
    assert heights == [0, 1, 0.5, 0]
    assert ticks == [(0, "bn"), (0.5, "elu"), (1, "selu")]
    assert axis_positions([True, False])[0] == [1, 0]
    assert axis_positions([3, 3])[0] == [0.5, 0.5]


def test_names_are_shortened_in_the_middle():
    assert shorten("short") == "short"
    assert shorten("a" * 40 + "z" * 40, 11) == "aaaaa…zzzzz"
    assert label_without_lr("bn lr=1e-3 depth=5") == "bn depth=5"
    assert label_without_lr("lr=1e-3") == "all"


def test_a_wild_epoch_or_group_does_not_flatten_the_others():
    usual = np.array([2.0, 1.5, 1.2])
    assert highest_shown([usual, usual + 0.2]) == pytest.approx(1.15 * 2.2)
    assert highest_shown([np.array([900.0, 1.5, 1.2])]) == pytest.approx(1.15 * 1.5)
    assert highest_shown([usual, np.array([900.0, 800.0, 700.0])]) == pytest.approx(1.15 * 2.0)
    assert highest_shown([]) == float("inf")


def test_the_caption_says_what_is_cut_and_what_is_left_out(leave, tmp_path: Path):
    leave("a", [2.0, 1.5, 1.2], [0.3, 0.4, 0.5], 1, "elu")
    leave("b", [900.0, 1.5, 1.2], [0.3, 0.4, 0.5], 1, "selu")
    caption = plot_learning_curves(group_runs(find_runs([tmp_path])), "val_loss", "epochs").caption
    assert caption == "Cut off at the top: selu."
    for i in range(3):
        leave(f"m{i}", [2.0, 1.0], [0.3, 0.4], 1, f"m{i}")
    groups = group_runs(find_runs([tmp_path]))
    assert plot_learning_curves(groups, "val_acc", "epochs").caption == curves_note(groups) == ""  # more than 4 groups


def test_an_axis_that_is_cut_off_at_the_top_begins_just_below_what_is_shown():
    with canvas(3, 3) as (_, (axes,)):
        axes.plot([1, 2, 3], [2.0, 1.0, 90.0])
        assert axes.get_ylim()[0] < -3  # 5 % of all that there is
        cut_off(axes, 2.5)
        assert axes.get_ylim() == pytest.approx((1.0 - 0.05 * 1.5, 2.5))
        cut_off(axes, 100.0)
        assert axes.get_ylim() == pytest.approx((1.0 - 0.05 * 1.5, 2.5))


def test_means_end_where_the_first_seed_ends_and_epochs_are_integers(leave, tmp_path: Path, monkeypatch):
    leave("a", [2.0, 1.5, 1.2, 1.0], [0.3, 0.4, 0.5, 0.6], 1)
    leave("b", [2.2, 1.7], [0.2, 0.3], 2, epoch_s=3.0)
    drawn = []
    monkeypatch.setattr(
        "trainlab.report.plots.curves.render", lambda figure: drawn.append(figure.axes[0]) or (b"", b"")
    )
    groups = group_runs(find_runs([tmp_path]))
    plot_learning_curves(groups, "val_acc", "epochs")
    plot_learning_curves(groups, "val_acc", "seconds")
    by_epoch, by_second = drawn
    mean, rest, *_ = by_epoch.get_lines()
    assert (mean.get_xdata().tolist(), mean.get_ydata().tolist()) == ([1, 2], pytest.approx([0.25, 0.35]))
    assert (rest.get_xdata().tolist(), rest.get_ydata().tolist()) == ([2, 3, 4], [0.4, 0.5, 0.6])  # of the longer one
    assert all(tick == round(tick) for tick in by_epoch.get_xticks())
    mean, *others = by_second.get_lines()
    assert (mean.get_xdata()[0], mean.get_xdata()[-1]) == (3, 6)  # of 2 to 8 s, and of 3 to 6 s
    assert mean.get_markevery() == []  # at a second between two epochs nothing was measured
    assert [2, 4, 6, 8] in [line.get_xdata().tolist() for line in others if line.get_marker() == "o"]


def test_nothing_moves_along_the_axis_of_the_learning_rate(leave, tmp_path: Path, monkeypatch):
    for model in ("elu", "selu", "bn"):
        for lr in (1e-4, 1e-3):
            for seed in (1, 2):
                leave(f"{model},{lr},{seed}", [1.0], [0.5 + 0.01 * seed], seed, model, lr=lr)
    drawn = []
    monkeypatch.setattr(
        "trainlab.report.plots.groups.render", lambda figure: drawn.append(figure.axes[0]) or (b"", b"")
    )
    plot_against_lr(group_runs(find_runs([tmp_path])), "val_acc")
    lines = [line.get_xdata() for line in drawn[0].get_lines() if line.get_linestyle() == "-"]
    assert [list(xs) for xs in lines] == [[1e-4, 1e-3]] * 3


@pytest.fixture
def axes_of(monkeypatch: pytest.MonkeyPatch):
    """The axes of all figures drawn from now on."""
    drawn = []
    for module in ("curves", "groups"):
        keep = f"trainlab.report.plots.{module}.render"
        monkeypatch.setattr(keep, lambda figure: drawn.append(figure.axes[0]) or (b"", b""))
    return drawn


def test_a_model_has_one_hue_in_all_plots_and_a_worse_rate_a_paler_shade(leave, tmp_path: Path, axes_of):
    for model in ("elu", "selu"):
        for lr in (1e-4, 1e-3):
            leave(f"{model},{lr}", [1.0], [0.5 + 10 * lr + 0.1 * (model == "selu")], 1, model, lr=lr)
    groups = group_runs(find_runs([tmp_path]))
    plot_learning_curves(groups, "val_acc", "epochs")
    plot_against_lr(groups, "val_acc")
    curves = {line.get_label(): line.get_color() for line in axes_of[0].get_lines()}
    by_rate = {line.get_label(): line.lines[0].get_color() for line in axes_of[1].containers}
    assert by_rate == {"selu": COLORS[0], "elu": COLORS[1]}
    widths = {line.get_label(): line.get_linewidth() for line in axes_of[0].get_lines() if line.get_label() in curves}
    assert max(widths, key=widths.get) == "selu lr=1e-3" and sorted(widths.values())[-2] < widths["selu lr=1e-3"]
    assert [curves[f"{model} lr=1e-3"] for model in by_rate] == [color.lower() for color in by_rate.values()]
    full, pale = (np.array(to_rgb(curves[f"selu lr={lr}"])) for lr in ("1e-3", "1e-4"))
    assert (pale >= full).all() and (pale > full).any()
    assert (
        1.05 / (pale**2.2 @ (0.2126, 0.7152, 0.0722) + 0.05) > 2.5
    )  # contrast with white; the dark page turns it over


def test_nothing_is_plotted_against_the_learning_rate_where_each_model_has_one(leave, tmp_path: Path):
    for model, lr in (("elu", 1e-4), ("selu", 1e-3)):
        leave(model, [1.0], [0.5], 1, model, lr=lr)
    assert [*pictures_of(tmp_path)] == ["accuracy_intervals", *BY_EPOCH, *BY_SECOND]


def test_rates_without_a_completed_run_are_named(leave, tmp_path: Path):
    for lr, status in ((1e-4, "completed"), (1e-3, "completed"), (1e30, "diverged")):
        leave(f"elu,{lr}", [1.0], [0.5], 1, "elu", lr=lr, status=status)
    leave("selu", [1.0], [0.5], 1, "selu", lr=1e-4)
    leave("wild", [1.0], [0.5], 1, "selu", lr=1e-3, status="failed")
    assert pictures_of(tmp_path)["accuracy_by_lr"].caption == "1e30: all diverged; selu lr=1e-3: all failed."


def test_the_epoch_of_a_run_alone_is_marked_and_runs_trained_together_have_no_curves_against_seconds(
    leave, tmp_path: Path, axes_of
):
    folder = leave("a", [1.0, 0.9, 1.1], [0.5, 0.6, 0.6])
    assert "accuracy_by_second" in pictures_of(tmp_path)
    lines = [line for line in axes_of[0].get_lines() if line.get_label() == "chosen epoch"]
    assert [list(line.get_xdata()) for line in lines] == [[2, 2]]
    result = Result.read(folder)
    result.time["population"] = {"members": 3, "wall_s": 27.0}
    result.write(folder)
    assert [*pictures_of(tmp_path)] == [*BY_EPOCH]


def test_an_axis_that_hides_something_says_where_it_is_cut(leave, tmp_path: Path, axes_of):
    leave("a", [2.0, 1.5, 1.2], [0.3, 0.4, 0.5], 1, "elu")
    plot_learning_curves(group_runs(find_runs([tmp_path])), "val_loss", "epochs")
    leave("b", [900.0, 1.5, 1.2], [0.3, 0.4, 0.5], 1, "selu")
    plot_learning_curves(group_runs(find_runs([tmp_path])), "val_loss", "epochs")
    whole, cut = ([text.get_text() for text in axes.texts] for axes in axes_of)
    assert (whole, cut) == ([], ["axis cut at 2.3"])  # 1.15 * 2.0


def test_an_arrow_at_the_edge_stands_for_a_group_far_below(leave, tmp_path: Path, axes_of):
    for model, values in {"best": (0.50, 0.51), "near": (0.49, 0.50), "far": (0.1, 0.1)}.items():
        for seed, value in enumerate(values, 1):
            leave(f"{model}{seed}", [1.0], [value], seed, model)
    groups = group_runs(find_runs([tmp_path]))
    plot_intervals(groups, beyond=groups[2:])
    (axes,) = axes_of
    assert axes.get_xlim()[0] > 0.4
    assert [line.get_marker() for line in axes.get_lines()].count("<") == 1
    assert [text.get_text() for text in axes.get_yticklabels()] == ["best", "near", "far"]


def test_undecided_groups_are_hollow_and_lost_ones_are_named(leave, tmp_path: Path, axes_of):
    for model, values in {"best": (0.50, 0.51), "near": (0.49, 0.50), "far": (0.2, 0.211)}.items():
        for seed, value in enumerate(values, 1):
            leave(f"{model}{seed}", [1.0], [value], seed, model)
    leave("wild", [1.0], [0.1], 1, "wild", status="diverged")
    groups = group_runs(find_runs([tmp_path]))
    verdicts = {"best": "best", "near": "undecided", "far": "significantly worse"}
    plot_intervals(groups[:3], verdicts, groups[3:])
    (axes,) = axes_of
    dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "white" for line in dots] == [False, True, False]
    assert [line.get_color() == COLORS[0] for line in dots] == [True, False, False]  # the colour of the best is its own
    assert [text.get_text() for text in axes.get_yticklabels()] == ["best", "near", "far", "wild"]
    assert axes.texts[-1].get_text() == "1 diverged"
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*verdicts.values()]


def test_the_baseline_is_black_and_what_is_equivalent_to_it_or_not_tested_has_its_own_look(
    leave, tmp_path: Path, axes_of
):
    for i in range(11):
        leave(f"m{i}", [1.0], [0.5 - 0.01 * i], 1, f"m{i:02}")
    groups = group_runs(find_runs([tmp_path]))
    styles = styles_of(groups, groups, "m03")
    assert styles["m03"] == ("#000000", "D") and [*styles.values()].count(styles["m00"]) == 2  # 9 looks for 10 groups
    assert [look for look in styles.values() if look[0] == "#000000" or look[1] == "D"] == [styles["m03"]]
    verdicts = {"m03": "baseline", "m00": "significantly better", "m01": "equivalent", "m02": "not tested"}
    plot_intervals([groups[3], *groups[:3]], verdicts)
    looks = [(line.get_marker(), line.get_color(), line.get_markerfacecolor()) for line in axes_of[0].get_lines()]
    black, blue = "#000000", COLORS[0]
    assert looks[:3] == [("D", black, black), ("o", blue, blue), ("D", black, "white")] and looks[3][0] == "x"


def test_the_title_names_training_where_it_is_drawn_and_seconds_say_where_means_end(leave, tmp_path: Path):
    for seed in (1, 2):
        leave(f"{seed}", [2.0, 1.0], [0.3, 0.4], seed)
    groups = group_runs(find_runs([tmp_path]))
    by_epoch, by_second = (plot_learning_curves(groups, "val_acc", against) for against in ("epochs", "seconds"))
    assert by_epoch.title == "Accuracy, validation and training, against epochs"
    assert by_epoch.caption == "" and by_second.caption.startswith("Each mean ends where the first of its seeds ends")


def test_ticks_in_percent_have_as_many_digits_as_they_need():
    assert [PercentTicks()(value) for value in (0.5, 0.29, 0.295, 1.0)] == ["50 %", "29 %", "29.5 %", "100 %"]


def test_shades_are_of_the_rates_shown(leave, tmp_path: Path):
    for model in ("elu", "selu"):
        for i in range(8):
            leave(f"{model}{i}", [1.0], [0.5 - 0.01 * i], 1, model, lr=10 ** (-5 + i / 4))
    groups = group_runs(find_runs([tmp_path]))
    best = styles_of(groups, groups[:2])  # both models, at the lowest rate
    assert sorted(color for color, _ in best.values()) == sorted(color.lower() for color in COLORS[:2])
