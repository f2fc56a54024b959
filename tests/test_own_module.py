"""A LightningModule that is not of trainlab, as what a run trains."""

import json
import signal

import pytest
import torch
from torch.nn import functional
from torchvision.transforms.functional import to_pil_image

from conftest import NUM_TRAIN, NUM_VAL, STEPS, cases, first
from faults import PowerCut, PressCtrlC
from foreign_data import NamedStripes
from own_modules import Lit
from same_runs import assert_same, assert_same_run, rows
from sweeping import Script
from trainlab.config.compose import compose
from trainlab.data.shapes import Shapes
from trainlab.inference import load_network
from trainlab.inference.evaluate import evaluate_checkpoint
from trainlab.inference.own_module import digest_of
from trainlab.inference.predict import Predictor
from trainlab.population.eligibility import ineligible_reason
from trainlab.run import Interrupted, build, run
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.errors import Diverged
from trainlab.runs.result import Result

EPOCHS = 4
SHAPES = (
    *("data=shapes", f"data.num_train={NUM_TRAIN + NUM_VAL}", f"data.val_size={NUM_VAL}", "data.num_test=100"),
    *("data.batch_size=16", "trainer=cpu", "trainer.max_epochs=2", "logger.tensorboard=null"),
)
LIT = ("module._target_=own_modules.Lit", *SHAPES)
SCORED = ("task=logged", "task.primary=score", "task.mode=max")


@pytest.fixture(scope="module")
def config_dir(tmp_path_factory):
    """Options of a user's: the data module."""
    path = tmp_path_factory.mktemp("mine") / "data" / "noisy.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("_target_: own_modules.NoisyData\nbatch_size: 8\nnum_workers: 0\npersistent_workers: false\n")
    return path.parents[1]


@pytest.fixture
def train(tmp_path, monkeypatch, config_dir):
    """Run with overrides and with ``callbacks`` before its own. Returns result and folder."""

    def trained(*overrides, name="run", callbacks=()):
        def build_with_callbacks(cfg, context):
            parts = build(cfg, context)
            parts.trainer.callbacks[:0] = callbacks
            return parts

        given = {override.partition("=")[0]: override for override in overrides}
        cfg = compose([*given.values(), f"name={name}", f"output_dir={tmp_path}"], config_dir)
        with monkeypatch.context() as patch:
            patch.setattr("trainlab.run.build", build_with_callbacks)
            return run(cfg), tmp_path / name

    return trained


NOISY = ("data=noisy", "trainer=cpu", f"trainer.max_epochs={EPOCHS}", "logger.tensorboard=null", *SCORED)
TWO = ("module._target_=own_modules.Two", *NOISY)


def test_a_module_is_trained_validated_and_tested_on_images_as_floats(train):
    result, folder = train(*LIT, "module.lr=0.02", "module.width=5")
    assert result.status == "completed"
    checkpoint = load_checkpoint(folder / "checkpoints" / "best.ckpt")
    assert checkpoint["state_dict"]["net.1.weight"].shape == (5, 3 * 32 * 32)
    assert checkpoint["hyper_parameters"]["lr"] == 0.02
    images = Shapes(num_train=NUM_TRAIN + NUM_VAL, num_test=100).read()
    module = Lit(width=5)
    module.load_state_dict(checkpoint["state_dict"])
    logits = module.eval()(images.test / 255).detach()
    hits = (logits.argmax(1) == images.test_labels).float().mean()
    loss = functional.cross_entropy(logits, images.test_labels)
    assert result.metrics["test_hits"] == pytest.approx(float(hits))
    assert result.metrics["test_loss"] == pytest.approx(float(loss), rel=1e-5)
    found = rows(folder)
    best = found[result.metrics["best_epoch"]]
    assert result.metrics["val_loss"] == float(best["val/loss"]) == min(float(row["val/loss"]) for row in found)
    assert result.metrics["val_hits"] == float(best["val/hits"])
    assert [float(row["late"]) for row in found] == [0, 1], "what is logged at the end of an epoch is of that epoch"
    assert {"train_loss", "late"} <= found[0].keys()
    assert not {"train_loss_step", "train/loss"} & found[0].keys()
    assert [row["step"] for row in found] == [str(STEPS), str(2 * STEPS)]


def test_the_result_names_the_metrics_that_were_logged(train):
    result, folder = train(*TWO, "trainer.max_epochs=1")
    expected = {"primary": "val_score", "compared_by": "val_score"}
    expected["metrics"] = {"val_score": {"mode": "max", "label": "validation score", "spec": ".4g"}}
    assert json.loads((folder / "result.json").read_text())["task"] == expected
    assert {"val_score", "test_score"} <= result.metrics.keys()
    row = rows(folder)[0]
    assert float(row["lr"]) == float(row["lr_1"]) == 1e-3
    assert float(row["momentum_1"]) == 0.9


def test_the_best_epoch_is_the_best_by_the_primary_metric(train):
    result, folder = train(*LIT, "trainer.max_epochs=4", "task=logged", "task.primary=val/hits", "task.mode=max")
    hits = [float(row["val/hits"]) for row in rows(folder)]
    assert result.metrics["best_epoch"] == hits.index(max(hits))
    assert load_checkpoint(folder / "checkpoints" / "best.ckpt")["epoch"] == hits.index(max(hits))


def test_the_best_epoch_is_by_a_metric_whose_direction_is_known(train):
    with pytest.raises(
        ValueError, match=r"^monitor must be one of score, got 'val/hits'; set callbacks.checkpoint.monitor"
    ):
        train(*TWO, "callbacks.checkpoint.monitor=val/hits")


def test_early_stopping_watches_the_primary_metric(train):
    result, folder = train(
        *TWO, "module.lr=0", "trainer.max_epochs=9", "callbacks.early_stopping.patience=2", "data.batch_size=24"
    )
    assert result.metrics["stop_reason"] == "early stopping"
    assert len(rows(folder)) < 9


@pytest.mark.parametrize("name", first(1, ["Lit", "Stepwise"]))
def test_an_interrupted_run_resumes_to_the_bit(name, train):
    settings = [*LIT, f"module._target_=own_modules.{name}", f"trainer.max_epochs={EPOCHS}"]
    _, whole = train(*settings, name="whole")
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(1),))
    torch.rand(7)  # what else has been drawn in a process does not matter
    _, cut = train(*settings, name="cut")
    assert_same_run(cut, whole)
    assert len({row["lr"] for row in rows(cut)}) > 1, "the schedule moves the rate"


WORKERS = {
    "no workers": [],
    "workers": ["data.num_workers=2"],
    "persistent workers": ["data.num_workers=2", "data.persistent_workers=true"],
}


@pytest.mark.parametrize("persistent", cases([False, True], False))
def test_a_metric_that_is_kept_over_epochs_but_not_in_checkpoints_is_named_in_a_warning(persistent, train, caplog):
    settings = [*LIT, "module._target_=own_modules.Best", f"module.persistent={persistent}", "trainer.max_epochs=3"]
    _, whole = train(*settings, name="whole")
    found = [record.getMessage() for record in caplog.records if "persistent(True)" in record.getMessage()]
    assert [message.partition(" ")[0] for message in found] == ([] if persistent else ["best"])
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(1),))
    _, cut = train(*settings, name="cut")
    ours, theirs = ([float(row["val/best"]) for row in rows(folder)] for folder in (cut, whole))
    assert theirs == [theirs[0]] * 3
    assert theirs[0] > 0
    assert (ours == theirs) == persistent


@pytest.mark.slow
@pytest.mark.parametrize("workers", WORKERS)
def test_data_loaders_draw_the_same_after_a_failure(workers, train):
    settings = [*TWO, *WORKERS[workers], f"trainer.max_epochs={EPOCHS}"]
    _, whole = train(*settings, name="whole")
    with pytest.raises(RuntimeError, match="power cut"):
        train(*settings, name="cut", callbacks=(Late(2),))
    assert len(rows(whole.parent / "cut")) == 2
    _, cut = train(*settings, name="cut")
    assert_same_run(cut, whole)


class Late(PowerCut):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == 1:
            raise RuntimeError("power cut")


@pytest.mark.slow
def test_more_epochs_continue_a_finished_run(train):
    _, whole = train(*TWO, name="whole")
    train(*TWO, "trainer.max_epochs=2", name="longer")
    _, longer = train(*TWO, "ckpt_path=last", name="longer")
    assert_same_run(longer, whole)
    with pytest.raises(ValueError, match=r"keeps the settings of its module.*module\.lr: not set, now 0\.1"):
        train(*TWO, "module.lr=0.1", "trainer.max_epochs=9", "ckpt_path=last", name="longer")


def test_a_run_that_ended_inside_an_epoch_is_not_continued(train):
    result, _ = train(*LIT, f"trainer.max_steps={STEPS + 3}", "trainer.max_epochs=-1")
    assert result.metrics["stop_reason"] == "max_steps"
    with pytest.raises(ValueError, match="inside an epoch"):
        train(*LIT, "trainer.max_epochs=3", "ckpt_path=last")


def test_a_stream_of_batches_without_validation_resumes_to_the_bit(train):
    settings = ["module._target_=own_modules.Bare", "data._target_=own_modules.StreamData", "trainer=cpu", "test=false"]
    settings += ["logger.tensorboard=null", "trainer.max_epochs=3"]
    result, whole = train(*settings, name="whole")
    assert (result.status, result.metrics["epochs"]) == ("completed", 3)
    assert "train/loss" in rows(whole)[0]
    with pytest.raises(RuntimeError, match="power cut"):
        train(*settings, name="cut", callbacks=(Late(2),))
    _, cut = train(*settings, name="cut")
    last = [load_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (whole, cut)]
    assert_same(*(checkpoint["state_dict"] for checkpoint in last))
    assert rows(whole) == rows(cut)


def test_another_seed_draws_other_weights_and_batches(train):
    (one, _), (other, _) = (train(*TWO, "trainer.max_epochs=1", f"seed={seed}", name=f"{seed}") for seed in (1, 2))
    assert one.metrics["val_score"] != other.metrics["val_score"]


def test_a_loss_that_is_not_finite_ends_the_run(train, tmp_path):
    with pytest.raises(Diverged, match="the loss is not finite in epoch 2, batch 3;"):
        train(*LIT, "module._target_=own_modules.Diverging", "trainer.max_epochs=3")
    assert Result.read(tmp_path / "run").status == "diverged"


REFUSED = {
    "model=bn has no effect on a LightningModule": ["model=bn"],
    "optim.lr=1 has no effect on": ["optim.lr=1"],
    "task.label_smoothing=0.1 has no effect on": ["task.label_smoothing=0.1"],
    "compile has no effect on": ["compile=true"],
    "freeze has no effect on": ["freeze=['*']"],
    "test_views has no effect on": ["test_views=mirror"],
    "lr_search has no effect on": ["lr_search=range_test"],
    "Lit takes no depth; leave out module.depth": ["module.depth=2"],
    "module must build a LightningModule, got Linear": [
        *("module._target_=torch.nn.Linear", "module.in_features=1", "module.out_features=1"),
    ],
    "mode must be given for monitor='val/hits', min or max": ["task=logged", "task.primary=val/hits"],
    "layer statistics are of networks": ["callbacks.layer_statistics.every_n_epochs=1"],
    "step losses are of networks": ["callbacks.step_losses.enabled=true"],
    "tensors and plain values only, got .*Linear at hyper_parameters.part": [
        "module._target_=own_modules.HoldingNetwork"
    ],
}


@pytest.mark.filterwarnings("ignore:Attribute 'part' is an instance")  # of Lightning, about the last case
@pytest.mark.parametrize("message", cases(REFUSED, *list(REFUSED)[:2], *list(REFUSED)[-1:]))
def test_what_has_no_effect_is_an_error_before_anything_is_written(message, train, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(*LIT, *REFUSED[message])
    assert not (tmp_path / "run").exists()


def test_settings_of_automatic_optimization_are_refused_without_it(train):
    with pytest.raises(ValueError, match="gradient_clip_val needs Lightning's automatic optimization, which Two"):
        train(*TWO, "trainer.gradient_clip_val=1")


def test_a_metric_that_is_not_logged_is_an_error_that_names_those_that_are(train):
    with pytest.raises(ValueError, match="got val/loss, and it logs score; set task=logged"):
        train(*TWO, "task.primary=val/loss", "task.mode=min")


def test_what_a_checkpoint_could_not_give_back_is_an_error_when_it_is_written(train, tmp_path):
    with pytest.raises(ValueError, match=r"got random\.Random at held\.draws"):
        train(*LIT, "module._target_=own_modules.Holding")
    assert Result.read(tmp_path / "run").status == "failed"
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


def test_a_module_is_trained_solo_and_the_plan_says_why(tmp_path):
    config = compose([*LIT, "name=x", f"output_dir={tmp_path}"]).settings
    assert ineligible_reason(config, 1) == "module is own_modules.Lit, whose steps are its own"
    assert not {"model", "optim", "scheduler"} & config.keys()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of Lit, and its best checkpoint."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    result = run(
        compose(
            [*LIT, "task=logged", "task.primary=val/hits", "task.mode=max", "name=run", f"output_dir={folder.parent}"]
        )
    )
    return result, folder / "checkpoints" / "best.ckpt"


def test_a_checkpoint_is_evaluated_by_the_modules_own_test(trained, tmp_path):
    result, path = trained
    before = {key: value for key, value in result.metrics.items() if key.startswith("test_")}
    found = evaluate_checkpoint(path, device="cpu", out=tmp_path / "eval.json", trust=["own_modules"])
    assert {key: value for key, value in found.items() if key.startswith("test_")} == before
    with pytest.raises(ValueError, match=r"names own_modules\.Lit, which is not of trainlab"):
        evaluate_checkpoint(path, device="cpu", out=tmp_path / "eval.json")
    with pytest.raises(ValueError, match="leave out mc_samples"):
        evaluate_checkpoint(path, mc_samples=3, device="cpu", out=tmp_path / "eval.json", trust=["own_modules"])


def test_a_checkpoint_predicts_by_forward_on_raw_images(trained, tmp_path):
    _, path = trained
    network = load_network(path, trust=["own_modules"])
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    module = Lit()
    module.load_state_dict(load_checkpoint(path)["state_dict"])
    assert torch.equal(network(images), module.eval()(images * (1 / 255)))
    to_pil_image(images[0]).save(tmp_path / "image.png")
    (prediction,) = Predictor.load(path, device="cpu", trust=["own_modules"]).predict([tmp_path / "image.png"])
    expected = network(images[:1]).double().softmax(1)[0].sort(descending=True).values
    assert prediction.probabilities == pytest.approx(expected.tolist())


def test_a_run_on_data_of_its_own_is_evaluated_but_predicts_no_images(train):
    result, folder = train(*TWO, "trainer.max_epochs=1")
    path, trust = folder / "checkpoints" / "best.ckpt", ["own_modules"]
    found = evaluate_checkpoint(path, device="cpu", trust=trust)
    assert found["test_score"] == result.metrics["test_score"]
    with pytest.raises(ValueError, match="leave out root"):
        evaluate_checkpoint(path, device="cpu", trust=trust, data_root="elsewhere")
    with pytest.raises(ValueError, match=r"is of a own_modules\.Two that was trained on a data module of its own"):
        load_network(path, trust)


@pytest.mark.slow
def test_an_untested_run_is_tested_later(train):
    tested, _ = train(*LIT, name="tested")
    train(*LIT, "test=false", name="later")
    later, _ = train(*LIT, "train=false", name="later")
    metrics = [{k: v for k, v in found.metrics.items() if k.startswith("test_")} for found in (tested, later)]
    assert metrics[0] == metrics[1] != {}


@pytest.fixture
def start(config_dir, tmp_path):
    """A run in a process of its own, which has workers; its exit status and what it has printed."""

    def started(settings, faults="off"):
        words = ["--config-dir", str(config_dir), *settings]
        done = Script("train.py", words, tmp_path, {"FAULTS": faults}).finish()
        return done.returncode, done.stdout + done.stderr

    return started


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_bit_with_workers(start, tmp_path):
    fault = "+callbacks.fault={_target_: faults.Fault, what: kill, step: 14}"  # six steps an epoch: in the third
    settings = [*TWO, "data.num_workers=2", fault, f"output_dir={tmp_path}"]
    assert start([*settings, "name=whole"])[0] == 0
    assert start([*settings, "name=cut"], faults="on")[0] == -signal.SIGKILL
    assert Result.read(tmp_path / "cut").status == "running"
    assert len(rows(tmp_path / "cut")) == 2
    status, output = start([*settings, "name=cut"])
    assert (status, "after epoch 2" in output) == (0, True), output
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_the_digest_of_data_of_the_users_follows_from_the_data_and_not_from_their_settings(config_dir):
    first, other = (
        build(compose([*TWO, f"data.batch_size={size}", "data.num_workers=0", "name=x"], config_dir)).learner.digest
        for size in (4, 8)
    )
    assert first == other != digest_of(NamedStripes())
    assert digest_of(NamedStripes()) == NamedStripes.digest


def test_a_data_module_that_splits_in_its_constructor_is_evaluated_on_the_test_set_of_the_run(train):
    lit = ("module._target_=own_modules.Lit", "module.image_shape=[1,12,9]", "module.num_classes=3")
    data = ("data=noisy", "data._target_=foreign_data.SplitAtOnce", "~data.num_workers", "~data.persistent_workers")
    result, folder = train(*lit, *data, "trainer=cpu", "trainer.max_epochs=1", "logger.tensorboard=null")
    torch.manual_seed(5)
    trust = ["own_modules", "foreign_data"]
    again = evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu", trust=trust)
    assert again["test_loss"] == result.metrics["test_loss"]


@pytest.mark.slow
def test_a_sweep_trains_each_run_solo_and_says_why(start, tmp_path):
    settings = ["-m", *TWO, "module.lr=1e-3,1e-2", "seed=1,2", f"output_dir={tmp_path}", "name=sweep"]
    status, output = start(settings)
    assert status == 0, output
    assert "4 solo: module is own_modules.Two, whose steps are its own: lr=1e-3 seed=1" in output
    scores = [json.loads(path.read_text())["metrics"]["val_score"] for path in tmp_path.glob("sweep/*/result.json")]
    assert len(set(scores)) == 4
    assert "validation score" in (tmp_path / "sweep" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.ddp
def test_two_processes_agree_on_metrics_and_one_of_them_tests(start, tmp_path):
    status, output = start([*TWO, "trainer.devices=2", f"output_dir={tmp_path}", "name=two"])
    assert status == 0, output
    result = Result.read(tmp_path / "two")
    assert result.status == "completed"
    last = load_checkpoint(tmp_path / "two" / "checkpoints" / "last.ckpt")
    assert last["global_step"] == EPOCHS * 2 * 2, "12 of 24 points for each process in batches of 8, two optimizers"
    again = evaluate_checkpoint(tmp_path / "two" / "checkpoints" / "best.ckpt", device="cpu", trust=["own_modules"])
    assert again["test_score"] == result.metrics["test_score"]
