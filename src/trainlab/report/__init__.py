"""Reports on finished runs, from what they left on disk: runs, groups, comparisons, tables, plots and pages."""

from trainlab.report.comparisons import Convergence, Pair, compare_all, compare_convergence
from trainlab.report.curves import Band, Curve, Values, band
from trainlab.report.decision import Decision
from trainlab.report.decisions import Decisions, read_decisions
from trainlab.report.descriptions import (
    describe_convergence,
    describe_pair,
    describe_pairs,
    format_epoch_seconds,
)
from trainlab.report.diff import diff_table
from trainlab.report.findings import Findings, analyze
from trainlab.report.formatting import TEST_NOTE, format_bounds, format_mean, format_p, format_points
from trainlab.report.group_table import answer_text, groups_table
from trainlab.report.groups import Group, group_runs
from trainlab.report.labels import NOT_GIVEN, value_of
from trainlab.report.layers import LAYER_STATISTICS, WEIGHT_STATISTICS, LayerStatistics, mean_over_seeds
from trainlab.report.plots.canvas import COLORS, MARKERS, Plot, canvas, legend_below, render
from trainlab.report.plots.curves import curves_note, plot_learning_curves
from trainlab.report.plots.groups import plot_intervals
from trainlab.report.plots.layers import plot_layers
from trainlab.report.provenance import summarize_provenance
from trainlab.report.run_table import RunTable, load_runs, runs_table
from trainlab.report.runs import Run, find_runs, read_run, with_tags
from trainlab.report.tables import Cell, Table
from trainlab.report.write import page_environment, write_report

__all__ = [
    "COLORS",
    "LAYER_STATISTICS",
    "MARKERS",
    "NOT_GIVEN",
    "TEST_NOTE",
    "WEIGHT_STATISTICS",
    "Band",
    "Cell",
    "Convergence",
    "Curve",
    "Decision",
    "Decisions",
    "Findings",
    "Group",
    "LayerStatistics",
    "Pair",
    "Plot",
    "Run",
    "RunTable",
    "Table",
    "Values",
    "analyze",
    "answer_text",
    "band",
    "canvas",
    "compare_all",
    "compare_convergence",
    "curves_note",
    "describe_convergence",
    "describe_pair",
    "describe_pairs",
    "diff_table",
    "find_runs",
    "format_bounds",
    "format_epoch_seconds",
    "format_mean",
    "format_p",
    "format_points",
    "group_runs",
    "groups_table",
    "legend_below",
    "load_runs",
    "mean_over_seeds",
    "page_environment",
    "plot_intervals",
    "plot_layers",
    "plot_learning_curves",
    "read_decisions",
    "read_run",
    "render",
    "runs_table",
    "summarize_provenance",
    "value_of",
    "with_tags",
    "write_report",
]
