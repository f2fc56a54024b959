"""A large study within its limits of time and memory: in a process of its own, so that the peak is the report's."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from run_folders import leave_run
from trainlab.config.resolvers import PROJECT

LIMIT_S, LIMIT_BYTES, LIMIT_PAGE_BYTES = 15, 200e6, 2e6
SEEDS, EPOCHS = 4, 100
MODELS = ("elu", "selu", "relu", "gelu", "silu")
RUN = """
import re, sys, time
from pathlib import Path
from trainlab.report.write import write_report
write_report([Path(sys.argv[1])])
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]  # ru_maxrss counts the parent's too
print(peak, time.process_time())
"""


def leave_study(folder: Path, runs: int) -> None:
    """``runs`` runs: models, learning rates, depths and seeds; every hundredth is broken in one of four ways."""
    draw = np.random.default_rng(0)
    for i in range(runs):
        group, seed = divmod(i, SEEDS)
        model, lr, depth = MODELS[group % 5], 10 ** (-4 + 0.25 * (group // 5 % 10)), 5 * (1 + group // 50)
        floor = 1.3 + 0.05 * (group % 5) + 0.02 * (group // 5 % 10)
        losses = floor + np.exp(-np.arange(EPOCHS) / 15) + draw.normal(0, 0.02, EPOCHS)
        overrides = (f"model={model}", f"optim.lr={lr}", f"model.depth={depth}", f"seed={seed}")
        run = leave_run(
            folder / ",".join(overrides), losses, 1 - losses / 2.6, seed, model, lr, overrides, 9.0, depth=depth
        )
        if i % 100 == 50:
            way = i // 100 % 4
            (run / ("result.json", "config.yaml", "metrics.csv", "metrics.csv")[way]).write_text(
                ('{"status": "comp', "a: [", "", "epoch,epoch_s\n0,x\n")[way]
            )


@pytest.mark.slow
def test_a_thousand_runs_of_a_hundred_epochs_within_15_s_200_mb_and_a_page_of_2_mb(tmp_path: Path):
    leave_study(tmp_path, 1000)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    peak_kb, took_s = map(float, done.stdout.split())  # of the processor: other tests run at the same time
    peak = 1024 * peak_kb
    size = (tmp_path / "report.html").stat().st_size
    print(f"{took_s:.1f} s, {peak / 1e6:.0f} MB, report.html {size / 1e6:.1f} MB")
    assert took_s < LIMIT_S
    assert peak < LIMIT_BYTES
    assert size < LIMIT_PAGE_BYTES
    with (tmp_path / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1000
    assert sum(bool(row["reason"]) for row in rows) == 10
