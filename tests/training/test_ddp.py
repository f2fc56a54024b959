"""Two processes with half a batch each make the steps of one process with whole batches."""

import pytest
import torch

from conftest import BATCH_SIZE, TINY, cases, with_defaults
from same_runs import assert_same_training, rows
from sweeping import Script
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
    for row, expected in zip(read_rows(folder / "metrics.csv"), read_rows(whole / "metrics.csv"), strict=True):
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
    *("model=bn", "model.width=8", "data.num_train=401", "data.val_size=101", "data.batch_size=8", "optim.lr=5e-3"),
    *("model.dropout=0.1", "model.dropout_kind=standard", "model.dropout_after=every", "data.flip=true"),
)
LAYER_STATISTICS = "callbacks.layer_statistics.every_n_epochs=1"


def start(tmp_path, *settings):
    settings = with_defaults(TINY, "trainer.devices=2", f"output_dir={tmp_path}", *settings)
    return Script("train.py", settings, tmp_path, {})


@pytest.mark.ddp
@pytest.mark.slow
def test_two_processes_validate_the_batch_norm_network_that_is_saved_and_resume_it_to_the_bit(tmp_path):
    def train(name, *settings):
        done = start(tmp_path, *BATCH_NORM, f"name={name}", *settings).finish()
        assert done.returncode == 0, done.stderr
        return Result.read(tmp_path / name), load_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")

    result, whole = train("whole")
    best = load_checkpoint(tmp_path / "whole" / "checkpoints" / "best.ckpt")
    evaluation = evaluate(rebuild_network(best), rebuild_data(best).val_dataloader())
    assert result.metrics["val_loss"] == pytest.approx(evaluation.loss, rel=1e-6)
    assert result.metrics["val_acc"] == evaluation.accuracy

    train("cut", LAYER_STATISTICS, "trainer.max_epochs=1")
    resumed, cut = train("cut", LAYER_STATISTICS, "ckpt_path=last")
    assert resumed.metrics == result.metrics
    weights = network_weights(whole)
    assert all(torch.equal(value, weights[key]) for key, value in network_weights(cut).items())
    # Statistics of layers change nothing, and one process writes them: before, after each epoch; four layers.
    assert_same_training(tmp_path / "cut", tmp_path / "whole")
    assert len(rows(tmp_path / "cut", "layer_statistics.csv")) == 3 * 4


@pytest.mark.ddp
@pytest.mark.parametrize("fault", ["{_target_: faults.DieAtStart}", "{_target_: faults.Fault, what: rank, step: 5}"])
@pytest.mark.slow
def test_the_death_of_the_second_process_is_recorded_and_reported_in_one_line(fault, tmp_path):
    done = start(tmp_path, "name=run", f"+callbacks.fault={fault}").finish(timeout_s=120)
    reason = "process 2 of 2 was killed by signal 9; training cannot continue"
    assert (done.returncode, done.stderr) == (1, f"error: {reason}\n")
    result = Result.read(tmp_path / "run")
    assert (result.status, result.error["message"]) == ("failed", reason)


@pytest.mark.ddp
@pytest.mark.slow
def test_the_second_process_goes_with_the_first(tmp_path):
    done = start(tmp_path, "name=run", "+callbacks.fault={_target_: faults.DieAtStart, rank: 0}").finish()
    assert (done.returncode, done.stderr) == (-9, "")
