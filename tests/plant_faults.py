"""Plants faults in a copy of the project, one at a time, and runs the tests that must fail then.

    python tests/plant_faults.py                     # all of them, with the suite of `make test` until a test fails
    python tests/plant_faults.py --quick             # each with the tests that it names, in a few minutes
    python tests/plant_faults.py "a lock not taken"  # some of them

It is run by hand, after changes of the tests. Ends with status 1 if a fault is not caught.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LEFT_OUT = (".git", ".venv", "outputs", "data")  # of its root


@dataclass(frozen=True)
class Fault:
    """A text of a file in `src/trainlab`, what it becomes, and tests that see the difference.

    Attributes:
        tests: paths under `tests`, and what names of tests in them have (pytest's ``-k``), if not all are meant.
    """

    path: str
    text: str
    becomes: str
    tests: str
    only: str = ""


FAULTS = {
    "best checkpoint = last": Fault(
        "callbacks/checkpoint.py",
        "if not self.best or is_better(self.mode, epoch[self.monitor], self.best[self.monitor]):",
        "if True:",
        "test_run.py",
        "best_epoch",
    ),
    "selection on test data": Fault(
        "data/module.py",
        "            images.train,\n            images.train_labels,\n            self._indices[1],\n",
        "            images.test,\n            images.test_labels,\n            torch.arange(len(images.test)),\n",
        "test_run.py training/test_module.py",
        "test_set or plain_loop",
    ),
    "a member's seed off by one": Fault(
        "population/batch_streams.py",
        "        for member, one in enumerate(batches):\n",
        "        for member, one in enumerate(batches):\n            one.order_seed += 1\n",
        "population/test_equivalence.py population/test_batch_streams.py",
    ),
    "optimizer state lost on resume": Fault(
        "training/lightning_internals.py",
        "        super().restore_optimizers_and_schedulers()\n",
        "        super().restore_optimizers_and_schedulers()\n"
        "        for optimizer in self.trainer.optimizers:\n            optimizer.state.clear()\n",
        "test_resume.py",
    ),
    "NAdam's momentum decay": Fault(
        "training/optimizers.py", "0.5 * 0.96 **", "0.5 * 0.95 **", "training/test_optimizers.py"
    ),
    "early stopping's patience off by one": Fault(
        "callbacks/early_stopping.py",
        "        super().__init__(*arguments, **settings)\n",
        "        super().__init__(*arguments, **settings)\n        self.patience += 1\n",
        "test_run.py test_resume.py callbacks",
        "stopping or patience",
    ),
    "alpha dropout's constants": Fault("models/dropout.py", "1.67326324", "1.64326324", "models"),
    "one image in both splits": Fault(
        "data/split.py",
        "    return (~is_val).nonzero().flatten(), is_val.nonzero().flatten()\n",
        "    train = ~is_val\n    train[val[0]] = True\n"
        "    return train.nonzero().flatten(), is_val.nonzero().flatten()\n",
        "data/test_split.py",
    ),
    "normal quantiles for Student's": Fault(
        "statistics/intervals.py", "stdtrit(df, (1 - LEVEL)", "stdtrit(1e9, (1 - LEVEL)", "statistics"
    ),
    "a lock not taken": Fault(
        "runs/files.py", "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass", "runs/test_files.py"
    ),
    "a suspended process that writes over the next one": Fault(
        "runs/lease.py", "                    _remove(other)", "                    pass", "runs/test_lease.py"
    ),
    "a schedule one step late": Fault(
        "training/scheduler_steps.py",
        "            scheduler.step()\n",
        '            if getattr(self, "_is_late", False):\n                scheduler.step()\n'
        "            self._is_late = True\n",
        "training/test_module.py",
    ),
    "a failed run counted in a group": Fault(
        "report/groups.py",
        "for run in part if run.is_completed",
        'for run in part if run.status != "running"',
        "report",
    ),
    "smoothed labels in the validation loss": Fault(
        "tasks/classification.py",
        'functional.cross_entropy(outputs, targets, reduction="sum")',
        'functional.cross_entropy(outputs, targets, reduction="sum", label_smoothing=self.label_smoothing)',
        "training/test_module.py",
    ),
    "each epoch in the order of the first": Fault(
        "data/batches.py",
        'generator(self.order_seed, "order", self.epoch)',
        'generator(self.order_seed, "order", 0)',
        "data/test_batches.py training/test_module.py",
    ),
    "a database's URL inherited by jobs": Fault(
        "sweep/study_storage.py",
        'os.environ.pop(found[1], "")',
        'os.environ.get(found[1], "")',
        "sweep/test_study_storage.py",
        "url_is_taken",
    ),
    "half a line in a journal": Fault(
        "runs/optuna_storage.py",
        "if file.read(1) != b",
        "if False and b",
        "sweep/test_study_storage.py",
        "half_a_line",
    ),
    "more trials than asked for": Fault(
        "sweep/study.py",
        "return len(self.trials()) < self.settings.trials and self._ask()",
        "return self._ask()",
        "sweep/test_study_storage.py",
        "never_more",
    ),
}


def left_out(folder: str, names: list[str]) -> set[str]:
    """What a copy of the project does not need."""
    return {name for name in names if name == "__pycache__" or (name in LEFT_OUT and Path(folder) == PROJECT)}


def planted(fault: Fault, project: Path) -> str:
    """Put a fault into the file of a project. Returns what the file was.

    Raises:
        ValueError: the text is not there, or more than once.
    """
    path = project / "src" / "trainlab" / fault.path
    content = path.read_text()
    if (count := content.count(fault.text)) != 1:
        raise ValueError(f"a text to replace must be in {fault.path} once, it is there {count} times: {fault.text!r}")
    path.write_text(content.replace(fault.text, fault.becomes))
    return content


def run_tests(project: Path, tests: str, only: str, quick: bool) -> tuple[int, str]:
    """Exit status of pytest, and the first test that failed or the end of what it printed.

    Args:
        quick: run ``tests`` whose names have ``only``, and not all of the suite, ``tests`` first.
    """
    command = [sys.executable, "-m", "pytest", "-x", *(f"tests/{path}" for path in tests.split())]
    command += ["-n0", "-k", only] if quick else ["tests", "-n", "auto", "--dist", "worksteal"]
    unset = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    failed = re.search(r"^(FAILED|ERROR) (?:tests/)?(.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return done.returncode, failed[2] if failed else (done.stdout + done.stderr)[-300:]


def main() -> None:
    """Print for each fault whether it was caught, and by which test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="their names; all of them unless given")
    parser.add_argument("--quick", action="store_true", help="run the tests that a fault names, not the whole suite")
    given = parser.parse_args()
    if unknown := [name for name in given.faults if name not in FAULTS]:
        parser.error(f"there is no fault {unknown[0]!r}; there are: {', '.join(FAULTS)}")
    missed = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        project = Path(folder) / "project"
        shutil.copytree(PROJECT, project, ignore=left_out)
        for name in given.faults or FAULTS:
            fault = FAULTS[name]
            before = planted(fault, project)
            status, by = run_tests(project, fault.tests, fault.only, given.quick)
            (project / "src" / "trainlab" / fault.path).write_text(before)
            if status not in (0, 1):
                sys.exit(f"pytest ended with status {status}:\n{by}")
            missed += [name] * (status == 0)
            print(f"{name:<42}{'NOT caught' if status == 0 else f'caught by {by}'}", flush=True)
        if run_tests(project, "statistics", "", given.quick)[0] != 0:
            sys.exit("tests fail without a fault, too: the table says nothing")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
