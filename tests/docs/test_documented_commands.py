"""Commands of README.md and docs/*.md: all are written for a terminal and compose; `slow`: all run as written."""

import re
import tomllib
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from documented import PAGES, PROJECT, Block, blocks_of, commands_of, run, write_small_project
from exercise.registry import choose_sections
from test_structure import FLOORS
from trainlab.config.overrides import combinations, parse_overrides
from trainlab.config.resolvers import register_resolvers

COLUMNS = 80
TRAIN = "src/train.py"
# What is only read and not run here, and why.
NOT_RUN = {
    r"make .*|\. \.venv/bin/activate|python3 -m venv .*|pip install .*": "sets up an environment; CI does",
    r"tensorboard .*": "serves until it is stopped",
    r"(srun|torchrun) .*": "needs a cluster, or several processes; tests/cluster and test_torchrun.py run such",
    r"python src/train\.py .*trainer=gpu.*": "needs a GPU",
    r"python src/train\.py .*data=torchvision.*": "needs an archive; test_torchvision_sets.py makes some",
    r"python src/exercise\.py.*": "takes minutes; CI runs --quick",
    r".*python benchmarks/.*": "takes minutes",
}


def reason_not_to_run(words: list[str]) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if re.fullmatch(pattern, " ".join(words))), None)


def write_files(blocks: list[Block], folder: Path) -> None:
    """Write the files that a page tells a reader to write."""
    for block in blocks:
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with all files that the pages tell a reader to write."""
    folder = tmp_path_factory.mktemp("project")
    write_small_project(folder)
    write_files([block for page in PAGES for block in blocks_of(page)], folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_fit_a_terminal(page: Path):
    bash = [block for block in blocks_of(page) if block.language == "bash"]
    assert [line for block in bash for line in block.text.splitlines() if len(line) > COLUMNS] == []


def test_pages_have_commands():
    scripts = [words[1] for page in PAGES for words in commands_of(page) if words[0] == "python"]
    for name in ("train", "eval", "predict", "export", "report", "exercise"):
        assert f"src/{name}.py" in scripts


@pytest.mark.slow
def test_trainings_compose_with_every_option(project: Path):
    register_resolvers()
    composed: set[str] = set()
    with initialize_config_dir(str(project / "conf"), version_base="1.3"):
        trainings = [(page, words) for page in PAGES for words in commands_of(page) if TRAIN in words]
        for page, words in trainings:
            words = words[words.index(TRAIN) + 1 :]
            if "--config-dir" in words:
                own = words.pop(words.index("--config-dir") + 1)
                words.append(f"hydra.searchpath=[file://{project / own}]")
            overrides = [word for word in words if not word.startswith("-")]
            parsed = parse_overrides(overrides, GlobalHydra.instance().config_loader())
            for job in combinations([override for override in parsed if not override.is_interval_sweep()]):
                settings = {re.sub(r"=[\d.e+-]+$", "", override) for override in job}  # any number stands for all
                if not settings <= composed:
                    composed |= settings
                    try:
                        compose("train", overrides=job)
                    except HydraException as error:
                        pytest.fail(f"{page.name}: {' '.join(words)}: {error}")


def test_targets_of_make_and_extras_exist():
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M)
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for page in PAGES:
        for words in commands_of(page):
            if words[0] == "make":
                assert words[1] in targets
            elif words[:2] == ["pip", "install"]:
                assert re.fullmatch(r"\.\[(\w+)\]", words[-1])[1] in extras


def test_parts_of_the_exercise_and_options_of_benchmarks_exist():
    for words in [words for page in PAGES for words in commands_of(page)]:
        if "src/exercise.py" in words:
            parts = [word for word in words[2:] if "=" not in word and not word.startswith("-")]
            assert {section.part for section in choose_sections(parts)} >= set(parts)
        for script in [word for word in words if word.startswith("benchmarks/")]:
            source = (PROJECT / script).read_text()
            assert [word for word in words if word.startswith("--") and f'"{word}"' not in source] == []


def test_the_design_shows_the_folders_and_the_order_of_imports():
    design = PROJECT / "docs" / "design.md"
    rows = next(block.text for block in blocks_of(design) if block.language == "text").splitlines()
    names = [tuple(name.removeprefix("trainlab.") for name in floor) for floor in FLOORS if floor != ("trainlab",)]
    assert [tuple(row.split(", ")) for row in rows] == names
    tree = re.findall(r"^ {8}(\S+)", design.read_text(), re.M)
    folders = [path for path in (PROJECT / "src" / "trainlab").iterdir() if path.name != "__pycache__"]
    assert sorted(tree) == sorted(f"{path.name}/" if path.is_dir() else path.name for path in folders)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=lambda page: page.name)
def test_commands_run(page: Path, tmp_path: Path):
    write_small_project(tmp_path)
    write_files(blocks_of(page), tmp_path)
    code = [
        ["PYTHONPATH=src", "python", "-c", b.text] for b in blocks_of(page) if b.language == "python" and not b.file
    ]
    for commands in [*(block.commands for block in blocks_of(page) if block.language == "bash"), code]:
        folder = tmp_path
        for words in [words for words in commands if not reason_not_to_run(words)]:
            if words[0] == "cd":
                folder /= words[1]
                continue
            status, output = run(words, folder, tmp_path)
            assert status == 0, f"{' '.join(words)}\n{output}"
