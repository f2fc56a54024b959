"""Whether two versions of the project compute the same: ten short runs, recorded by each and compared to the last bit,
and the figures of `report.py` on these runs.

    python benchmarks/same_results.py record before.json --source OLD_CHECKOUT
    python benchmarks/same_results.py record after.json
    python benchmarks/same_results.py compare before.json after.json

``--exercise`` also records what ``python src/exercise.py --quick`` measured (two minutes more). Times, paths and
provenance are left out; before the report is written, they are replaced by constants. Of the report every number and
every table cell is recorded, not its sentences. Runs use one thread each, on the CPU and on the embedded data set; a
minute or two in all.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parents[1]
TINY = (
    *("data=shapes", "data.num_train=700", "data.val_size=100", "data.num_test=200", "trainer=cpu"),
    *("trainer.max_epochs=3", "callbacks.figures=null", "logger.tensorboard=null"),
)
# Settings of older checkouts: the name today, and the file and the line of their configs that tell the older one.
OLDER_NAMES = (("callbacks.figures", "callbacks.pictures", "conf/callbacks/default.yaml", "pictures:"),)
RUNS: dict[str, Sequence[str]] = {
    "elu_he": ("model=elu_he",),
    "bn": ("model=bn",),
    "selu": ("model=selu",),
    "alpha_dropout": ("model=alpha_dropout",),
    "cnn": ("model=cnn",),
    "one_cycle_adamw": ("model=bn", "optim=adamw", "scheduler=one_cycle", "optim.lr=1e-3", "data.flip=true"),
    # 700 - 100 images in batches of 30: 20 batches, so that every optimizer step sums four of them.
    "clipped_accumulated": (
        *("model=elu_he", "data.batch_size=30", "trainer.accumulate_grad_batches=4"),
        "trainer.gradient_clip_val=0.5",
    ),
    "two_processes": ("model=elu_he", "trainer.devices=2"),
}
POPULATION = ("-m", "model=selu", "optim.lr=1e-4,5e-4", "seed=1,2")
RESUMED = ("model=alpha_dropout", "trainer.max_epochs=6")
_NOT_COMPARED = ("time", "provenance", "traceback", "search_s", "run_dir", "output_dir")
CONSTANT_TIME = {"total_s": 10.0, "epoch_s": 2.0, "images_per_s": 1000.0, "wall_s": 10.0}
CONSTANT_PROVENANCE = {"command": "train", "git_commit": "0", "git_dirty": False, "host": "host", "versions": {}}
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_DIGITS = 10  # of a p-value or an interval, that another version of SciPy gives, too
_NOT_COMPARED_OF_A_RUN = ("fingerprint", "command", "reason")  # made of names of settings, or words
_TIMES = ("epoch_s", "images_per_s", "seconds", "wall_s", "total_s", "_ms", "_s")


def main() -> None:
    """Record or compare; exit status 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    record_parser = actions.add_parser("record", help="make the runs and write what they computed")
    record_parser.add_argument("out", type=Path)
    record_parser.add_argument("--source", type=Path, default=HERE, help="checkout to run; default: this one")
    record_parser.add_argument("--exercise", action="store_true", help="the quick exercise, too")
    compare_parser = actions.add_parser("compare", help="list what differs between two records")
    compare_parser.add_argument("before", type=Path)
    compare_parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.action == "record":
        found = record(arguments.source.resolve(), arguments.exercise)
        arguments.out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        print(f"{len(found)} recorded in {arguments.out}")
        return
    before, after = (json.loads(path.read_text()) for path in (arguments.before, arguments.after))
    lines = list(differences(before, after))
    print("\n".join(lines) if lines else f"equal: all figures of {', '.join(sorted(before))}")
    sys.exit(bool(lines))


def record(source: Path, exercise: bool) -> dict[str, Any]:
    """What each run of the checkout ``source`` computed, by name."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, overrides in RUNS.items():
            train(source, Path(folder), name, overrides)
            found[name] = of_run(Path(folder, name))
        train(source, Path(folder), "population", POPULATION)
        for path in Path(folder, "population").glob("*/result.json"):
            member, seed = of_run(path.parent), json.loads(path.read_text())["provenance"]["seed"]
            found[f"population lr={member['rows'][0]['lr']} seed={seed}"] = member
        found["resumed"] = resumed(source, Path(folder))
        train(source, Path(folder), "undisturbed", RESUMED)
        found["undisturbed"] = of_run(Path(folder, "undisturbed"))
        found["report"] = of_report(source, Path(folder))
    if exercise:
        name = f"same_results_{os.getpid()}"
        quick = [sys.executable, source / "src/exercise.py", "--quick", "--name", name]
        subprocess.run(quick, check=True, cwd=source, env=environment())
        folder = source / "outputs" / name
        for path in sorted(folder.rglob("*.json")):
            found[f"exercise/{path.relative_to(folder)}"] = without_times(json.loads(path.read_text()))
    return found


def train(source: Path, folder: Path, name: str, overrides: Sequence[str]) -> None:
    """One command to its end."""
    subprocess.run(command(source, folder, name, overrides), check=True, stdout=subprocess.DEVNULL, env=environment())


def command(source: Path, folder: Path, name: str, overrides: Sequence[str]) -> list[str]:
    """Command line of a run or a sweep; of two settings of one key the run's own is taken."""
    own = {override.partition("=")[0] for override in overrides}
    tiny = [override for override in TINY if override.partition("=")[0] not in own]
    for name_today, older, file, line in OLDER_NAMES:
        if line in (source / file).read_text().split():
            tiny = [override.replace(f"{name_today}=", f"{older}=") for override in tiny]
    script = str(source / "src" / "train.py")
    return [sys.executable, script, *tiny, *overrides, f"name={name}", f"output_dir={folder}"]


def environment() -> dict[str, str]:
    """Of the runs: one thread, and nothing of this checkout on the path of another."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return kept | {"OMP_NUM_THREADS": "1"}


def resumed(source: Path, folder: Path) -> dict[str, Any]:
    """A run that is killed after its second epoch and resumed by the same command."""
    line = command(source, folder, "resumed", RESUMED)
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, env=environment())
    rows = folder / "resumed" / "metrics.csv"
    while process.poll() is None and not (rows.exists() and len(rows.read_text().splitlines()) > 2):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    if process.wait() == 0:
        raise RuntimeError("the run had ended before it could be killed")
    train(source, folder, "resumed", RESUMED)
    return of_run(folder / "resumed")


def of_run(folder: Path) -> dict[str, Any]:
    """Digests of the weights of both checkpoints, the metrics, and the rows of `metrics.csv` without times."""
    header, *rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    kept = [i for i, key in enumerate(header) if key not in _TIMES]
    result = json.loads((folder / "result.json").read_text())
    return {
        "status": result["status"],
        "metrics": result["metrics"],
        "rows": [dict(zip((header[i] for i in kept), (row[i] for i in kept), strict=True)) for row in rows],
        "weights": {name: digest(folder / "checkpoints" / f"{name}.ckpt") for name in ("best", "last")},
    }


def of_report(source: Path, folder: Path) -> dict[str, Any]:
    """Figures of the report that ``source`` writes on the runs in ``folder``, whose times and origins are replaced."""
    for path in folder.rglob("result.json"):
        result = json.loads(path.read_text())
        for times in (result["time"], result["time"].get("population") or {}):
            times.update({key: CONSTANT_TIME[key] for key in times if key in CONSTANT_TIME})
        result["provenance"].update(CONSTANT_PROVENANCE)
        path.write_text(json.dumps(result))
    for path in folder.rglob("metrics.csv"):
        rows = read_csv(path)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(row | {key: CONSTANT_TIME[key] for key in row if key in CONSTANT_TIME} for row in rows)
    report = folder / "report"
    line = [sys.executable, str(source / "src" / "report.py"), str(folder), "--output-dir", str(report)]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, env=environment())
    lines = (report / "report.md").read_text().splitlines()[1:]  # the title names the temporary folder
    runs = [{k: v for k, v in row.items() if k not in _NOT_COMPARED_OF_A_RUN} for row in read_csv(report / "runs.csv")]
    return {
        "numbers": [_NUMBER.findall(line) for line in lines if _NUMBER.search(line) and not line.startswith("|")],
        "tables": [[figures(cell) for cell in line.split(" | ")] for line in lines if line.startswith("|")],
        "runs": [{key: figures(cell) for key, cell in row.items()} for row in runs],
        "pairs": [{key: figures(cell) for key, cell in row.items()} for row in read_csv(report / "pairs.csv")],
    }


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a file by heading."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def figures(cell: str) -> Any:
    """A cell of a table: a number, a single word, or the numbers in a text, since words may change."""
    cell = cell.strip("| ")
    if cell.startswith("../"):  # a run's folder, which in a sweep is named by its settings
        return cell.split("/")[1]
    if re.fullmatch(_NUMBER, cell):
        return float(f"{float(cell):.{_DIGITS}g}")
    return _NUMBER.findall(cell) if " " in cell else cell


def digest(path: Path) -> str:
    """Of all parameters and buffers of a checkpoint, whatever they are called."""
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    content = hashlib.blake2b(digest_size=16)
    for tensor in state.values():
        content.update(tensor.contiguous().numpy().tobytes())
    return content.hexdigest()


def without_times(content: Any) -> Any:
    """JSON without what differs from one machine, folder or minute to the next."""
    if isinstance(content, Mapping):
        kept = {k: v for k, v in content.items() if k not in _NOT_COMPARED and not k.endswith(_TIMES)}
        return {key: without_times(value) for key, value in kept.items()}
    return [without_times(item) for item in content] if isinstance(content, list) else content


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """A line for every value that is not the same in both, or in one of them only."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            if key in before and key in after:
                yield from differences(before[key], after[key], f"{place}/{key}")
            else:
                yield f"{place}/{key}: only {'before' if key in before else 'after'}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{place}/{i}")
    elif before != after:
        yield f"{place}: {before}, now {after}"


if __name__ == "__main__":
    main()
