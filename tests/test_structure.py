"""What `design.md` says of the shape of the code, held over its imports."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from trainlab.cli import PROJECT

SOURCE = PROJECT / "src"
FILES = sorted(SOURCE.rglob("*.py"))

# Imports point one way: a module imports those of its own floor and of the floors below it.
FLOORS = (
    ("train", "eval", "report", "export", "predict", "exercise", "hydra_plugins"),
    ("trainlab.exercise",),
    (
        *("trainlab.run", "trainlab.searched", "trainlab.build", "trainlab.cli", "trainlab.overrides"),
        *("trainlab.report", "trainlab.sweep"),
    ),
    ("trainlab.lr_search", "trainlab.population", "trainlab.endings"),
    ("trainlab.export", "trainlab.predict", "trainlab.predictions"),
    ("trainlab.probe", "trainlab.layer_statistics", "trainlab.step_losses"),
    (
        *("trainlab.callbacks", "trainlab.pictures", "trainlab.evaluation", "trainlab.checkpoints"),
        *("trainlab.run_folder", "trainlab.continuation", "trainlab.pruning"),
    ),
    ("trainlab.loggers", "trainlab.module", "trainlab.data", "trainlab.results", "trainlab.checkpoint_form"),
    (
        *("trainlab.metrics_csv", "trainlab.tensorboard", "trainlab.provenance", "trainlab.console"),
        *("trainlab.mc_dropout", "trainlab.models", "trainlab.scheduler", "trainlab.whole_step"),
    ),
    (
        "trainlab.captured",
        "trainlab.checks",
        "trainlab.files",
        "trainlab.foreign_callbacks",
        "trainlab.flat",
        "trainlab.hyperparameters",
        "trainlab.journal",
        "trainlab.length",
        "trainlab.lightning_internals",
        "trainlab.lightning_processes",
        "trainlab.optimizers",
        "trainlab.randomness",
        "trainlab.statistics",
        "trainlab.val_metrics",
    ),
    ("trainlab",),
)


def name_of(path: Path) -> str:
    """Dotted name of a module."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in FILES}


def imports(path: Path) -> set[str]:
    """All that a file imports, inside functions too; modules of the project, where it takes names out of them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in NAMES else node.module for name in inside}
    return found


IMPORTS = {name_of(path): imports(path) for path in FILES}


def is_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def floor(name: str) -> int:
    """Height of a module, by the longest name that covers it."""
    covering = [(len(top), -i) for i, tops in enumerate(FLOORS) for top in tops if is_in(name, top)]
    return max(covering)[1]


def of_project(names: set[str]) -> set[str]:
    return {name for name in names if is_in(name, "trainlab", *FLOORS[0])}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_module_has_a_floor_and_imports_nothing_above_it(name: str):
    assert is_in(name, *(top for tops in FLOORS for top in tops if top != "trainlab")) or name == "trainlab"
    assert [other for other in of_project(IMPORTS[name]) if floor(other) > floor(name)] == []


def test_no_import_goes_round_in_a_circle():
    TopologicalSorter({name: of_project(found) - {name} for name, found in IMPORTS.items()}).prepare()


def test_only_scripts_run_cli_and_plugins_know_hydra():
    who = {name for name, found in IMPORTS.items() if any(is_in(module, "hydra", "omegaconf") for module in found)}
    allowed = {
        "train",
        "eval",
        *(f"trainlab.{name}" for name in ("run", "build", "searched", "run_folder", "cli", "overrides")),
    }
    assert {name for name in who if not is_in(name, "hydra_plugins")} <= allowed


def test_models_know_nothing_of_the_project_but_randomness():
    found = set().union(*(IMPORTS[name] for name in NAMES if is_in(name, "trainlab.models")))
    assert {name for name in of_project(found) if not is_in(name, "trainlab.models")} == {"trainlab.randomness"}
    assert not any(is_in(name, "lightning") for name in found)


def test_report_reads_results_and_writes_files_and_knows_no_training():
    found = set().union(*(IMPORTS[name] for name in NAMES if is_in(name, "trainlab.report")))
    outside = {name for name in of_project(found) if not is_in(name, "trainlab.report")}
    assert outside == {"trainlab.results", "trainlab.files", "trainlab.val_metrics", "trainlab.statistics"}
    outside_too = set().union(*(IMPORTS[name] for name in outside))
    assert not any(is_in(name, "torch", "lightning", "torchmetrics") for name in found | outside_too)


def test_sweep_is_imported_by_the_plugins_alone():
    for name, found in IMPORTS.items():
        if not is_in(name, "trainlab.sweep", "hydra_plugins"):
            assert not [other for other in found if is_in(other, "trainlab.sweep")], name


def test_files_are_named_for_what_they_hold():
    vague = [path for path in FILES if re.search(r"util|helper|common|misc", str(path.relative_to(SOURCE)))]
    assert vague == []
