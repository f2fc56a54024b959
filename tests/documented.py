"""The pages a person reads, README.md and docs/*.md: their commands, and a small project to run these in."""

import os
import re
import runpy
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from matplotlib.figure import Figure
from PIL import Image

from conftest import save_blank
from fork_server import fork

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")], key=lambda path: path.name)
NUM_CLASSES = 10

# Settings of the small project in the place of the real ones, by file. Commands are run as they are written.
SMALL = {
    "data/cifar10.yaml": {"val_size": "50"},
    "data/shapes.yaml": {"num_train": "700", "num_test": "100", "val_size": "100"},
    "model/elu_he.yaml": {"depth": "3", "width": "16"},
    "model/cnn.yaml": {"stages": "[[2], [2]]", "dense": "[8]"},
    "model/cnn_selu.yaml": {"stages": "[[2, 2], [2, 2]]", "dense": "[8]"},
    "model/cnn_whitening.yaml": {"stages": "[[2, 2], [2, 2], [2, 2]]"},
    "trainer/auto.yaml": {"max_epochs": "1"},
    "debug/overfit.yaml": {"  max_epochs": "5"},
    "lr_search/range_test.yaml": {"num_steps": "20"},
    "lr_search/grid.yaml": {"num_rates": "4", "epochs": "1"},
}
SLOW_ENTRIES = {"callbacks/default.yaml": "figures", "logger/tensorboard.yaml": "tensorboard"}
# Of commands, what would take minutes, or more of the same.
SMALLER = {
    **{"sweep.trials=40": "sweep.trials=3", "sweep.trials=60": "sweep.trials=4", "compile=true": "compile=false"},
    **{"trainer.max_epochs=15": "trainer.max_epochs=2", "trainer.max_epochs=20": "trainer.max_epochs=2"},
    **{"trainer.max_epochs=200": "trainer.max_epochs=3", "trainer.max_epochs=210": "trainer.max_epochs=4"},
    **{"sweep.max_seeds=30": "sweep.max_seeds=5", "sweep.max_seeds=60": "sweep.max_seeds=6"},
    **{"seed=1,2,3": "seed=1,2", "seed=1,2,3,4": "seed=1,2,3"},
    **{"data.num_folds=5": "data.num_folds=2", "data.fold=0,1,2,3,4": "data.fold=0,1"},
    **{"optim.lr=1e-5,5e-5,1e-4,5e-4,1e-3": "optim.lr=1e-5,5e-5"},
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. ``file``: the path in the line above it, if it is the content of a file."""

    file: str
    language: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a block of bash."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    return [
        Block(*found) for found in re.findall(r"^(?:`(\S+)`:\n\n)?```(\w+)\n(.*?)^```$", page.read_text(), re.M | re.S)
    ]


def commands_of(page: Path) -> list[list[str]]:
    """The words of all commands of a page, in their order."""
    return [words for block in blocks_of(page) if block.language == "bash" for words in block.commands]


def write_small_project(folder: Path) -> None:
    """Copy the project's code and configuration, with ``SMALL`` settings, `shapes` for CIFAR-10, and some images."""
    for part in ("src", "conf", "benchmarks"):
        shutil.copytree(PROJECT / part, folder / part)  # with what is compiled of it
    conf = folder / "conf"
    for name, settings in SMALL.items():
        text = (conf / name).read_text()
        for key, value in settings.items():
            text, count = re.subn(rf"^{key}: .*?( #.*)?$", f"{key}: {value}", text, flags=re.M)
            assert count == 1, f"{name} has no {key}"
        (conf / name).write_text(text)
    for name, entry in SLOW_ENTRIES.items():  # which take most of a tiny run's time
        text, count = re.subn(rf"^{entry}:.*\n(  .*\n)+", "", (conf / name).read_text(), flags=re.M)
        assert count == 1, f"{name} has no {entry}"
        (conf / name).write_text(text)
    for path in (conf / "experiment").rglob("*.yaml"):
        text = re.sub(r"^  max_epochs: \d+$", "  max_epochs: 2", path.read_text(), flags=re.M)
        path.write_text(re.sub(r"^  batch_size: 1024$", "  batch_size: 64", text, flags=re.M))
    (conf / "data" / "cifar10.yaml").rename(conf / "data" / "base.yaml")
    shutil.copy(conf / "data" / "shapes.yaml", conf / "data" / "cifar10.yaml")
    for name in ("image_folder", "torchvision"):
        path = conf / "data" / f"{name}.yaml"
        path.write_text(path.read_text().replace("- cifar10", "- base"))
    for split, count in (("train", 15), ("test", 2)):
        for label in range(NUM_CLASSES):
            (folder / "photos" / split / f"class_{label}").mkdir(parents=True)
            for number in range(count):
                color = (25 * label, 10 * number, 100)
                Image.new("RGB", (40, 36), color).save(folder / "photos" / split / f"class_{label}" / f"{number}.png")


def run(
    words: Sequence[str], folder: Path, project: Path | None = None, timeout_s: float = 200
) -> tuple[int | None, str]:
    """Run a command in ``folder``: exit status and output.

    Args:
        words: ``[KEY=VALUE ...] python SCRIPT ...``, ``... python -c CODE``, ``python -m MODULE`` or ``trainlab ...``.
        folder: that the command is given in.
        project: the small project, if it is not ``folder``.
        timeout_s: after which it is killed.
    """
    project = project or folder
    output = project / "output.txt"
    process = fork(_become, list(words), folder, project, output)
    process.join(timeout_s)
    status = process.exitcode
    if status is None:
        os.killpg(process.pid, signal.SIGKILL)
    return status, output.read_text()


def _become(words: list[str], folder: Path, project: Path, output: Path) -> None:
    os.setsid()
    os.chdir(folder)
    for number in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_TRUNC * (number == 1) | os.O_APPEND | os.O_CREAT), number)
    sys.stdout, sys.stderr = (open(number, "w", 1, closefd=False) for number in (1, 2))  # noqa: SIM115 (for the rest of the process)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["OMP_NUM_THREADS"] = "1"
    del os.environ["PYTHONPATH"]  # that of the server
    program = next(i for i, word in enumerate(words) if word in ("python", "trainlab"))
    variables = dict(word.split("=", 1) for word in words[:program])
    os.environ.update(variables)
    script, *arguments = [SMALLER.get(word, word) for word in words[program + (words[program] == "python") :]]
    Figure.savefig = save_blank  # drawing takes most of the time of a report
    for name in [name for name in sys.modules if name.split(".")[0] in ("trainlab", "hydra_plugins")]:
        del sys.modules[name]  # which the server has imported; here they are those of ``project``
    Singleton._instances.pop(Plugins, None)  # those of the server
    sys.path[:0] = [str(project / "src"), *(variables["PYTHONPATH"].split(":") if "PYTHONPATH" in variables else [])]
    sys.argv = [script, *arguments]
    try:
        if script == "-c":
            exec(compile(arguments[0], "page", "exec"), {"__name__": "__main__"})
        elif script == "-m":
            sys.argv = arguments
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        elif script == "trainlab":
            from trainlab.commands import main

            main()
        else:
            runpy.run_path(script, run_name="__main__")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
