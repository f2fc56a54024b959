"""Metrics of torchmetrics are of the images of all processes."""

import pytest

import task_data
from conftest import TINY, with_defaults
from sweeping import Script
from task_data import F1
from trainlab.inference.network import evaluate
from trainlab.inference.rebuild import rebuild_data, rebuild_network, rebuild_task
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.result import Result


@pytest.mark.ddp
@pytest.mark.slow
def test_two_processes_validate_and_test_all_images(tmp_path):
    tiny = [setting for setting in TINY if not setting.startswith("data")]
    two = ["trainer.devices=2", "data.batch_size=8", "task.pos_weights=balanced", f"output_dir={tmp_path}", "name=run"]
    arrays = [word for word in task_data.save(tmp_path, "multilabel") if "val_size" not in word]
    arrays += [F1, "data.val_size=41"]  # an odd number
    done = Script("train.py", with_defaults(tiny, *with_defaults(arrays, *two)), tmp_path, {}).finish()
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = Result.read(tmp_path / "run").metrics
    best = load_checkpoint(tmp_path / "run/checkpoints/best.ckpt")
    network, data, task = rebuild_network(best), rebuild_data(best), rebuild_task(best)
    for split, batches in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        expected = evaluate(network, batches, task).of_split(split)
        assert {key: metrics[key] for key in expected} == pytest.approx(expected, rel=1e-6)  # sums in another order
