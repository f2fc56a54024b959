"""Tables of an evaluation for the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from trainlab.inference.metrics import DETERMINISTIC, DIFFERENCE, MC, METRICS, Metric
from trainlab.tasks.metrics import Metric as TestMetric
from trainlab.tasks.reported import TaskMetrics


def show(figures: dict[str, Any]) -> None:
    """Print the result of `evaluate_checkpoint`: metrics, and the comparison with MC dropout if there is one."""
    console = Console()
    console.print(by_class(figures) if "class_acc" in figures else by_metric(figures))
    if about := figures.get("mc_dropout"):
        console.print(side_by_side(figures))
        for sentence in about["summary"]:
            console.print(sentence, highlight=False, soft_wrap=True)


def by_class(figures: dict[str, Any]) -> Table:
    """Accuracy on all test images and on each class, and below it the other metrics."""
    others = [f"{of.name} {of.format(figures[of.key])}" for of in _tested(figures) if of.key != "test_acc"]
    table = Table("test images", "accuracy", caption=", ".join(others))
    table.add_row("all", f"{100 * figures['test_acc']:.2f} %", style="bold", end_section=True)
    for name, accuracy in figures["class_acc"].items():
        table.add_row(name, "-" if accuracy is None else f"{100 * accuracy:.2f} %")
    return table


def by_metric(figures: dict[str, Any]) -> Table:
    """Every metric of all test images."""
    table = Table("metric", "test images")
    for metric in _tested(figures):
        table.add_row(metric.name, metric.format(figures[metric.key]))
    return table


def _tested(figures: dict[str, Any]) -> list[TestMetric]:
    tests = (metric.test for metric in TaskMetrics.read(figures.get("task")).every)
    return [metric for metric in tests if metric.key in figures]


def side_by_side(figures: dict[str, Any]) -> Table:
    """Every metric with its interval: deterministic, MC dropout if there is any, and the difference."""
    about = figures["mc_dropout"]
    sides = {DETERMINISTIC: "deterministic"}
    if about:
        sides |= {MC: f"MC dropout\n{about['samples']} sample{'s' * (about['samples'] > 1)}", DIFFERENCE: "difference"}
    table = Table("test images", caption=_caption(figures))
    for heading in sides.values():
        table.add_column(heading, no_wrap=True)
    for key, of in figures["metrics"].items():
        metric = METRICS[key]
        name = f"{metric.name}, %" if metric.percent else metric.name
        table.add_row(name, *(_cell(metric, of.get(side), side) for side in sides))
        table.add_section()
    return table


def _cell(metric: Metric, of: dict[str, float] | None, side: str) -> str:
    if of is None:
        return "-"
    value, low, high = (metric.format(of[part], "+" if side == DIFFERENCE else "") for part in ("value", "low", "high"))
    return f"{value}\n{low} to {high}"


def _caption(figures: dict[str, Any]) -> str:
    """The kind of the intervals, and the cost of the samples."""
    caption = "95 % bootstrap intervals over the test images, not simultaneous; for this network, not over seeds."
    if about := figures["mc_dropout"]:
        cost = about["cost_of_1000_images"]
        one, all_ = cost["deterministic_ms"], cost["ms"][-1]
        caption += f" 1,000 images take {one:.0f} ms, with MC dropout {all_:.0f} ms ({all_ / one:.1f} times as long)."
    return caption
