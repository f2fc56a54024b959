"""Each setting of the Trainer that is listed, with another value than its default."""

import pytest
import torch

from conftest import STEPS, cases, compose_tiny
from trainlab.config.build import build
from trainlab.config.resolvers import PROJECT
from trainlab.run import run
from trainlab.runs.checkpoints import load_checkpoint, network_weights
from trainlab.runs.files import read_rows

# Settings that change nothing of what is trained.
NEUTRAL = (
    *(
        "accelerator=auto",
        "min_epochs=2",
        "max_time=00:01:00:00",
        "gradient_clip_algorithm=value",
        "deterministic=true",
    ),
    *("sync_batchnorm=true", "profiler=simple", "num_sanity_val_steps=2", "num_sanity_val_steps=-1"),
    *("use_distributed_sampler=true", "enable_model_summary=true", "enable_progress_bar=true"),
)
# Others: steps of the run, and of its optimizer.
STEPS_WITH = {
    "precision=64-true": 2 * STEPS,
    "precision=bf16-mixed": 2 * STEPS,
    "precision=bf16-true": 2 * STEPS,
    "max_epochs=3": 3 * STEPS,
    "max_steps=25": 25,
    "gradient_clip_val=0.1": 2 * STEPS,
    "accumulate_grad_batches=2": 2 * -(-STEPS // 2),
    "limit_train_batches=5": 2 * 5,
    "limit_val_batches=1": 2 * STEPS,
    "overfit_batches=2": 2 * 2,
}
REFUSED = {
    "precision=16-mixed": r"precision=16-mixed needs a GPU; set trainer.precision=bf16-mixed on a CPU$",
    "precision=16": r"precision=16 needs a GPU; set trainer.precision=bf16-mixed on a CPU$",
    "enable_checkpointing=false": r"^enable_checkpointing must be true, .*, got false; leave out trainer\.enable",
    "max_time=60": r"^max_time must be DD:HH:MM:SS in quotes .*, got 60; set trainer.max_time='00:01:00:00'",
    "max_time=0": r"^max_time must be DD:HH:MM:SS in quotes .*, got 0; ",
    "max_time=1h": r"^max_time must be DD:HH:MM:SS in quotes .*, got '1h'; ",
    "max_time={hour:1}": r"^max_time must be DD:HH:MM:SS in quotes .*, got {'hour': 1}; ",
}
# Not listed, and set elsewhere.
ELSEWHERE = {
    "callbacks=[]": r"trainer.callbacks would have no effect \(they are set by callbacks.\*\); leave it out$",
    "logger=false": r"trainer.logger would have no effect \(.*logger.\*\)",
    "barebones=true": r"trainer.barebones would have no effect \(every run writes checkpoints and logs\)",
    "plugins=[]": "trainer.plugins would have no effect",
    "limit_test_batches=1": r"trainer.limit_test_batches would have no effect \(the test set is read whole\)",
}
OF_PROCESSES = {"strategy", "devices", "num_nodes"}  # tests of several processes


@pytest.fixture(autouse=True)
def _not_deterministic_afterwards():
    yield
    torch.use_deterministic_algorithms(False)


def weights(folder):
    return network_weights(load_checkpoint(folder / "checkpoints" / "last.ckpt"))


def test_all_settings_are_tried():
    lines = (PROJECT / "conf" / "trainer" / "auto.yaml").read_text().splitlines()
    listed = {line.partition(":")[0] for line in lines if line[0] not in "#_"}
    assert {word.partition("=")[0] for word in (*NEUTRAL, *STEPS_WITH, *REFUSED)} | OF_PROCESSES == listed


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    run(compose_tiny(folder, "model=bn"))
    return folder / "run"


@pytest.mark.parametrize("setting", cases(NEUTRAL, "profiler=simple", "num_sanity_val_steps=2"))
def test_a_setting_that_has_nothing_to_do_with_the_weights_changes_none(setting, train, plain):
    result, folder = train("model=bn", f"trainer.{setting}", name="other")
    assert result.status == "completed"
    ours, theirs = weights(folder), weights(plain)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    rows, expected = (read_rows(f / "metrics.csv") for f in (folder, plain))
    assert [row["val/loss"] for row in rows] == [row["val/loss"] for row in expected]


@pytest.mark.parametrize(
    "setting",
    cases(STEPS_WITH, "precision=bf16-mixed", "max_steps=25", "accumulate_grad_batches=2", "limit_train_batches=5"),
)
def test_a_setting_makes_the_steps_it_says(setting, train):
    result, folder = train("model=bn", f"trainer.{setting}")
    assert result.status == ("debug" if setting == "overfit_batches=2" else "completed")
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == STEPS_WITH[setting]


@pytest.mark.parametrize("setting", REFUSED)
def test_a_setting_that_cannot_work_is_refused_before_the_run(setting, train, tmp_path):
    with pytest.raises(Exception, match=REFUSED[setting]):
        train(f"trainer.{setting}", name="refused")
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize("setting", ELSEWHERE)
def test_a_setting_that_would_have_no_effect_is_refused(setting, compose_config):
    with pytest.raises(ValueError, match=ELSEWHERE[setting]):
        build(compose_config(f"+trainer.{setting}"))


ONE_IMAGE = {
    "data.batch_size=23": True,  # 300 = 13 * 23 + 1
    "data.batch_size=23 trainer.limit_train_batches=13": False,
    "data.batch_size=1": True,
    "data.batch_size=149 trainer.devices=2": True,  # 150 of 300 for each process
    "data.batch_size=23 trainer.devices=2": False,
}


@pytest.mark.parametrize("settings", ONE_IMAGE)
def test_batch_normalization_has_no_batch_of_one_image(settings, compose_config, monkeypatch):
    monkeypatch.setattr("trainlab.validation.count_cores", lambda: 2)
    cfg = compose_config("model=bn", *settings.split())
    if ONE_IMAGE[settings]:
        with pytest.raises(ValueError, match="leaves a last batch of one image"):
            build(cfg)
    else:
        build(cfg)
