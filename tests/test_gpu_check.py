"""The check of trainings on a GPU, on the CPU: all of it runs, and what is wrong is found."""

import csv
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from documented import PROJECT
from sweeping import Script

SCRIPT = PROJECT / "benchmarks" / "gpu_check.py"


@pytest.fixture
def gpu_check(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return pytest.importorskip("gpu_check")


def leave_run(folder, lr, precision, weights, loss):
    (folder / "checkpoints").mkdir(parents=True)
    settings = f"model: {{batch_norm: true}}\ntrainer: {{precision: {precision}}}\noptim: {{lr: {lr}}}\n"
    (folder / "config.yaml").write_text(settings)
    (folder / "result.json").write_text("{}")
    torch.save({"state_dict": {"weight": torch.tensor(weights)}}, folder / "checkpoints" / "last.ckpt")
    with (folder / "metrics.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["train/loss", "val/loss"], [loss, 2.0]])


def test_results_that_differ_by_more_than_rounding_are_wrong(gpu_check, tmp_path):
    single, double = gpu_check.SINGLE, gpu_check.DOUBLE
    for number, lr in enumerate((2e-5, 5e-4)):
        leave_run(tmp_path / "CPU" / f"a{number}", lr, double, [1.0, -1.0], 1.0)
        leave_run(tmp_path / "CPU" / f"b{number}", lr, single, [1.0, -1.0001], 1.0)  # 1e-4 of 2: 5e-5
        leave_run(tmp_path / "close" / f"b{1 - number}", lr, single, [1.0, -1.0], 1.0004)
        leave_run(tmp_path / "far" / f"b{1 - number}", lr, single, [1.0 + 2e-3 * number, -1.0], 1.0)
        leave_run(tmp_path / "double" / f"a{number}", lr, double, [1.0, -1.0], 1 + 1e-9 * number)
        leave_run(tmp_path / "diverged" / f"a{number}", lr, double, [1.0, float("nan")], 1.0)
    reference, check = gpu_check.trained(tmp_path / "CPU"), gpu_check.Check(Namespace(), None)
    for name in ("close", "far", "double", "diverged"):
        check._compare(name, gpu_check.trained(tmp_path / name), reference)
    assert [row[1:] for row in check.rows] == [
        ("4.0e-04", "≤ 5.0e-04", "ok"),
        ("1.0e-03", "≤ 5.0e-04", "WRONG"),
        ("1.0e-09", "≤ 9.3e-12", "WRONG"),
        ("nan", "≤ 9.3e-12", "WRONG"),
    ]


def test_a_failure_is_wrong_and_a_slow_time_is_only_marked(gpu_check):
    check = gpu_check.Check(Namespace(), gpu_check.Workload(None, 1, {}, "gpu"))
    with check.noted("this"):
        raise gpu_check.Failed("no memory")
    check.add_time("epoch", 0.7, 0.6)
    check.add_time("epoch", 0.5, 0.6)
    assert check.rows == [
        ("this", "failed: no memory", "", "WRONG"),
        ("epoch", "0.70 s", "≤ 0.6 s", "missed"),
        ("epoch", "0.50 s", "≤ 0.6 s", "ok"),
    ]


def test_a_gpu_that_is_not_there(gpu_check, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_check.py"])
    with pytest.raises(SystemExit) as raised:
        gpu_check.main()
    assert raised.value.code == 2
    assert capsys.readouterr().err == "there is no GPU; give --device cpu\n"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_of_it_runs_on_the_cpu(gpu_check, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--device", "cpu", "--experiments", "demo", "not_there"])
    child, start = sys.modules["child"], gpu_check.run_child

    def forked(command: Sequence[str | Path], environment: Mapping[str, str]) -> Any:
        """The child, without the seconds that its imports take; `python -m pytest` as it is."""
        program, *arguments = map(str, command[1:])
        if program == "-m":  # it only collects, here one file
            one = PROJECT / "tests" / "training" / "test_cuda_graph.py"
            return start([one if word == PROJECT / "tests" else word for word in command], environment)
        done = Script(program, arguments, tmp_path, environment).finish(timeout_s=900)
        if done.returncode != 0:
            raise child.Failed(done.stderr)
        return child.Finished(done.stdout, peak_bytes=1, cpu_s=0.0)

    for module in (gpu_check, sys.modules["trainings"]):
        monkeypatch.setattr(module, "run_child", forked)
    status, output = gpu_check.main(), capsys.readouterr().out
    assert status == 0, output
    rows = [line.split("  ")[0] for line in output.splitlines()[4:]]
    for kind in ("solo", "population", "population again"):
        assert {f"bn {kind}, {of}: difference from the CPU" for of in ("float32", "float64")} <= {*rows}
    for mode in ("eager", "captured", "compiled"):
        assert {f"epoch of a {kind}, {mode}" for kind in ("solo run", "population of 1", "population of 4")} <= {*rows}
        assert f"memory of each member from 1 to 4, {mode}" in rows
    assert [row.split(",")[0] for row in rows if row.startswith("experiment=")] == ["experiment=demo"]
