"""The shape of the code, held over its imports."""

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from trainlab.config.resolvers import PROJECT

SOURCE = PROJECT / "src"
FILES = sorted(SOURCE.rglob("*.py"))

# Imports point one way, by folder: each imports those of its own row and of the rows below it.
FLOORS = (
    ("train", "eval", "report", "export", "predict", "trainlab.commands", "hydra_plugins"),
    ("exercise",),
    ("trainlab.cli", "trainlab.sweep"),
    ("trainlab.run", "trainlab.final_test", "trainlab.follow", "trainlab.resume"),
    ("trainlab.lr_search",),
    ("trainlab.population",),
    ("trainlab.config",),
    ("trainlab.callbacks", "trainlab.loggers", "trainlab.inference", "trainlab.report"),
    ("trainlab.training",),
    ("trainlab.data", "trainlab.models"),
    ("trainlab.runs",),
    ("trainlab.statistics", "trainlab.tasks"),
    ("trainlab.validation",),
    (
        "trainlab.arguments",
        "trainlab.console",
        "trainlab.ending",
        "trainlab.process_state",
        "trainlab.processes",
        "trainlab.randomness",
    ),
    ("trainlab.ranks",),
    ("trainlab.passwords", "trainlab.programs"),
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


@cache
def all_imports() -> dict[str, set[str]]:
    """Those of each module; `trainlab` imports a name when it is used."""
    return {name_of(path): imports(path) for path in FILES} | {"trainlab": set()}


def is_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def folder_of(name: str) -> str:
    """The folder or file of the table that holds a module: the longest that covers it."""
    return max((top for tops in FLOORS for top in tops if is_in(name, top)), key=len)


def floor(name: str) -> int:
    return next(i for i, tops in enumerate(FLOORS) if folder_of(name) in tops)


def of_project(names: set[str]) -> set[str]:
    return {name for name in names if is_in(name, "trainlab", "exercise", *FLOORS[0])}


def test_every_folder_has_a_row_and_imports_nothing_above_it():
    assert {name for name in NAMES if folder_of(name) == "trainlab"} == {"trainlab"}
    upwards = {name: [o for o in of_project(found) if floor(o) < floor(name)] for name, found in all_imports().items()}
    assert {name: others for name, others in upwards.items() if others} == {}


def test_no_import_goes_round_in_a_circle():
    TopologicalSorter({name: of_project(found) - {name} for name, found in all_imports().items()}).prepare()
    folders: dict[str, set[str]] = {}
    for name, found in all_imports().items():
        folders.setdefault(folder_of(name), set()).update(map(folder_of, of_project(found)))
    TopologicalSorter({folder: found - {folder} for folder, found in folders.items()}).prepare()


def test_only_scripts_config_and_plugins_know_hydra():
    who = {
        name for name, found in all_imports().items() if any(is_in(module, "hydra", "omegaconf") for module in found)
    }
    allowed = ("trainlab.commands", "hydra_plugins", "trainlab.cli", "trainlab.config")
    assert {name for name in who if not is_in(name, *allowed)} == set()


def test_private_state_of_lightning_is_touched_in_one_file_alone():
    touched = {}
    for path in FILES:
        name, nodes = name_of(path), list(ast.walk(ast.parse(path.read_text())))
        if name == "trainlab.training.lightning_internals" or not any(
            is_in(i, "lightning") for i in all_imports()[name]
        ):
            continue
        attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
        own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        own |= {node.attr for node in attributes if is_self(node.value)}
        found = {node.attr for node in attributes if re.fullmatch(r"_[a-z]\w*(?<!_)", node.attr)} - own
        of_lightning = (n for n in nodes if isinstance(n, ast.ImportFrom) and is_in(n.module or "", "lightning"))
        found |= {alias.name for node in of_lightning for alias in node.names if alias.name.startswith("_")}
        if found:
            touched[name] = found
    assert touched == {}


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def test_models_know_nothing_of_the_project_but_randomness():
    found = set().union(*(all_imports()[name] for name in NAMES if is_in(name, "trainlab.models")))
    assert {name for name in of_project(found) if not is_in(name, "trainlab.models")} == {"trainlab.randomness"}
    assert not any(is_in(name, "lightning") for name in found)


def test_report_reads_results_and_writes_files_and_knows_no_training():
    found = set().union(*(all_imports()[name] for name in NAMES if is_in(name, "trainlab.report")))
    outside = {name for name in of_project(found) if not is_in(name, "trainlab.report")}
    assert {folder_of(name) for name in outside} <= {"trainlab.runs", "trainlab.statistics", "trainlab.tasks"}
    outside_too = set().union(*(all_imports()[name] for name in outside))
    assert not any(is_in(name, "torch", "lightning", "torchmetrics") for name in found | outside_too)


def test_sweep_is_imported_by_the_plugins_alone():
    for name, found in all_imports().items():
        if not is_in(name, "trainlab.sweep", "hydra_plugins"):
            assert not [other for other in found if is_in(other, "trainlab.sweep")], name


def test_files_are_named_for_what_they_hold():
    vague = [path for path in FILES if re.search(r"util|helper|common|misc", str(path.relative_to(SOURCE)))]
    assert vague == []


PUBLIC = (
    "trainlab",
    *(f"trainlab.{name}" for name in ("data", "inference", "models", "report", "runs", "statistics", "tasks")),
)


def test_the_exercise_imports_the_public_api_alone():
    for path in (SOURCE / "exercise.py", *(SOURCE / "exercise").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not [alias.name for alias in node.names if is_in(alias.name, "trainlab")], path
            elif isinstance(node, ast.ImportFrom) and node.module and is_in(node.module, "trainlab"):
                assert node.module in PUBLIC, f"{path}: {node.module} is not public"
                public = importlib.import_module(node.module).__all__
                assert {alias.name for alias in node.names} <= set(public), path


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_exist_and_have_a_docstring(name: str):
    module = importlib.import_module(name)
    for public in module.__all__:
        found = getattr(module, public)
        assert not callable(found) or found.__doc__, public
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = module.no_such_name


def test_import_of_the_library_imports_nothing_of_it():
    code = (
        "import sys, trainlab; print(*sorted(name for name in sys.modules if name.startswith(('torch', 'trainlab'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "trainlab\n"


def test_the_exercise_is_the_package_and_not_the_script():
    assert importlib.import_module("exercise").__file__ == str(SOURCE / "exercise" / "__init__.py")
