"""Two processes with half a batch each make the steps of one process with whole batches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conftest import BATCH_SIZE, TINY, cases, with_defaults
from sweeping import Script
from trainlab.config.resolvers import PROJECT
from trainlab.inference.network import evaluate
from trainlab.inference.rebuild import rebuild_data, rebuild_network
from trainlab.runs.checkpoints import load_checkpoint, network_weights
from trainlab.runs.files import read_rows
from trainlab.runs.result import Result

SETTINGS = [
    "trainer.precision=64-true",
    "optim=sgd",  # divides by nothing, so that rounding errors stay what they are
    "optim.lr=0.01",
    "scheduler=one_cycle",
    "data.flip=true",
]
MODELS = {
    "alpha dropout": ["model=alpha_dropout", "model.dropout_after=every"],
    "standard dropout": ["model.dropout=0.2", "model.dropout_kind=standard", "model.dropout_after=every"],
}


def children_of(group):
    """Processes of a process group that have not ended."""
    states = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            states.append(stat.parent.name)
    return states


@pytest.mark.ddp
@pytest.mark.parametrize("model", cases(MODELS, "alpha dropout"))
def test_two_processes_train_what_one_does(model, train, tmp_path):
    settings = [*MODELS[model], *SETTINGS]
    one, whole = train(*settings, name="one")
    outputs = tmp_path / "two"
    halves = ["trainer.devices=2", f"data.batch_size={BATCH_SIZE // 2}", f"output_dir={outputs}", "name=run"]
    done = Script("train.py", with_defaults(TINY, *with_defaults(settings, *halves)), tmp_path, {}).finish()
    output = done.stdout + done.stderr
    assert done.returncode == 0, output

    folder = outputs / "run"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]
    assert [p.name for p in outputs.iterdir()] == ["run"]
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and ".hydra" not in p.parts} == {
        *("checkpoints/best.ckpt", "checkpoints/last.ckpt"),
        *("config.yaml", "metrics.csv", "result.json", "confusion.json", "train.log"),
    }
    two = Result.read(folder)
    assert two.status == "completed"
    assert two.metrics.keys() == one.metrics.keys()

    # float64: the mean of two halves of a batch against that of the whole, 1e-16 of gradients below 100, times a rate
    # of 0.01 and ten for momentum, over 38 steps: 4e-14; a hundred times that for what one step does to the next.
    ours, theirs = (network_weights(load_checkpoint(f / "checkpoints" / "last.ckpt")) for f in (folder, whole))
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(value, theirs[key], rtol=0, atol=4e-12, msg=lambda m, key=key: f"{key}: {m}")
    rows = zip(read_rows(folder / "metrics.csv"), read_rows(whole / "metrics.csv"), strict=True)
    for row, expected in rows:
        assert (row["epoch"], row["step"], row["lr"]) == (expected["epoch"], expected["step"], expected["lr"])
        for key in ("train/acc", "val/acc"):
            assert float(row[key]) == float(expected[key])
        for key in ("train/loss", "val/loss"):
            # Losses of steps and sums of the validation are float32.
            assert float(row[key]) == pytest.approx(float(expected[key]), rel=1e-6)
    assert two.metrics["test_acc"] == one.metrics["test_acc"]
    assert two.metrics["test_loss"] == pytest.approx(one.metrics["test_loss"], rel=1e-6)
    assert "sync_dist" not in output
    assert len([line for line in output.splitlines() if line.startswith("epoch ")]) == 2, "one process prints"


# Batches of 8 for each process, the last of an epoch smaller; their statistics differ by process.
BATCH_NORM = (
    "model=bn",
    "model.width=8",
    "data.num_train=401",
    "data.val_size=101",
    "data.batch_size=8",
    "optim.lr=5e-3",
)


@pytest.mark.ddp
@pytest.mark.slow
def test_two_processes_validate_the_batch_norm_network_that_is_saved_and_resume_it_to_the_bit(tmp_path):
    def train(name, *settings):
        own = (*BATCH_NORM, "trainer.devices=2", f"output_dir={tmp_path}", f"name={name}", *settings)
        words = with_defaults(TINY, *own)
        process = subprocess.run(
            [sys.executable, str(PROJECT / "src" / "train.py"), *words],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert process.returncode == 0, process.stderr
        return Result.read(tmp_path / name), load_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")

    result, whole = train("whole")
    best = load_checkpoint(tmp_path / "whole" / "checkpoints" / "best.ckpt")
    evaluation = evaluate(rebuild_network(best), rebuild_data(best).val_dataloader())
    assert result.metrics["val_loss"] == pytest.approx(evaluation.loss, rel=1e-6)
    assert result.metrics["val_acc"] == evaluation.accuracy

    train("cut", "trainer.max_epochs=1")
    resumed, cut = train("cut", "ckpt_path=last")
    assert resumed.metrics == result.metrics
    weights = network_weights(whole)
    assert all(torch.equal(value, weights[key]) for key, value in network_weights(cut).items())


def start(tmp_path, fault):
    arguments = ["trainer.devices=2", f"output_dir={tmp_path}", "name=run", f"+callbacks.fault={fault}"]
    return subprocess.Popen(
        [sys.executable, str(PROJECT / "src" / "train.py"), *TINY, *arguments],
        env={**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}:{Path(__file__).parents[1]}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.ddp
@pytest.mark.parametrize("fault", ["{_target_: faults.DieAtStart}", "{_target_: faults.Fault, what: rank, step: 5}"])
@pytest.mark.slow
def test_the_death_of_the_second_process_is_recorded_and_reported_in_one_line(fault, tmp_path):
    process = start(tmp_path, fault)
    _, message = process.communicate(timeout=120)
    reason = "process 2 of 2 was killed by signal 9; training cannot continue"
    assert (process.returncode, message) == (1, f"error: {reason}\n")
    result = Result.read(tmp_path / "run")
    assert (result.status, result.error["message"]) == ("failed", reason)
    assert children_of(process.pid) == []


@pytest.mark.ddp
@pytest.mark.slow
def test_the_second_process_goes_with_the_first(tmp_path):
    process = start(tmp_path, "{_target_: faults.DieAtStart, rank: 0}")
    _, message = process.communicate(timeout=120)  # until the second one has ended, which has the same standard error
    assert (process.returncode, message) == (-9, "")
    assert children_of(process.pid) == []
