"""What the check of a job finds out for the plan."""

import pytest

from trainlab.config.build import build
from trainlab.population.eligibility import CONVOLUTIONAL
from trainlab.population.grouping import comparable
from trainlab.sweep import check
from trainlab.sweep.check import check_job
from trainlab.sweep.plan import KEEP, RUN

# Three layers of 16 units on 3 x 32 x 32 pixels, biases everywhere; batches of 16.
WEIGHTS = 3072 * 16 + 16 + 2 * (16 * 16 + 16) + 16 * 10 + 10
OUTPUTS = 16 * (16 + 16 + 16 + 10)


@pytest.mark.parametrize("precision, itemsize", [("32-true", 4), ("64-true", 8)])
def test_a_member_takes_six_times_its_parameters_and_32_times_its_outputs(precision, itemsize, compose_config):
    job = check_job(compose_config(f"trainer.precision={precision}"), 0, [], retry_failed=False)
    assert job.member_bytes == itemsize * (6 * WEIGHTS + 32 * OUTPUTS)


def test_a_job_to_do_comes_with_its_settings_and_whether_it_is_fit(compose_config):
    cfg = compose_config("seed=3", "compile=true")
    job = check_job(cfg, 0, [], retry_failed=False)
    assert (job.todo, job.ineligible_reason, job.settings) == (RUN, "", comparable(cfg.settings))
    assert (job.settings["seed"], job.settings["compile"], job.settings["trainer.accelerator"]) == (3, True, "cpu")
    reasons = {
        "trainer.max_steps=5": "",
        "trainer.devices=2": "trainer.devices is 2, and a population has one",
    }
    for setting, reason in reasons.items():
        assert check_job(compose_config(setting), 0, [], False).ineligible_reason == reason


def test_without_populations_no_step_is_tried(compose_config, monkeypatch):
    monkeypatch.setattr("trainlab.sweep.check.ineligible_reason", lambda *_: pytest.fail("it is not needed"))
    for off in ("off", "false"):
        job = check_job(compose_config(f"sweep.population={off}"), 0, [], retry_failed=False)
        assert job.ineligible_reason == "sweep.population is off"


def test_a_convolutional_network_stays_alone(compose_config):
    stages = {"stages": [[4]], "dense": [4], "dropout": [0.0, 0.0]}
    cfg = compose_config().changed({"model": {"_target_": "trainlab.models.CNN", **stages}})
    assert check_job(cfg, 0, [], retry_failed=False).ineligible_reason == CONVOLUTIONAL


@pytest.mark.parametrize(
    ("accelerator", "devices", "gpus", "expected"),
    [
        ("gpu", "1", 1, (True, 1)),
        ("gpu", "4", 0, (True, 4)),
        ("gpu", "auto", 2, (True, 2)),
        ("gpu", "[1,3]", 1, (True, 2)),
        ("gpu", "'0,1,2'", 1, (True, 3)),
        ("auto", "1", 1, (True, 1)),
        ("cpu", "64", 1, (False, 64)),
    ],
)
def test_devices_of_another_machine_are_not_those_of_this_one(accelerator, devices, gpus, expected, compose_config):
    """There is no GPU here, and no 64 cores."""
    cfg = compose_config(f"trainer.accelerator={accelerator}", f"trainer.devices={devices}")
    job = check_job(cfg, 0, [], False, gpus_elsewhere=gpus)
    assert (job.on_gpu, job.devices) == expected
    assert job.ineligible_reason == (f"trainer.devices is {job.devices}, and a population has one" * (job.devices > 1))
    half = compose_config("trainer.accelerator=auto", "trainer.precision=16-mixed")
    assert check_job(half, 0, [], False, gpus_elsewhere=1).on_gpu


def test_what_has_ended_needs_no_plan(train, compose_config):
    _, _ = train("trainer.max_epochs=1")
    job = check_job(compose_config("trainer.max_epochs=1"), 0, [], retry_failed=False)
    assert (job.todo, dict(job.settings), job.member_bytes) == (KEEP, {}, 0)


def test_jobs_that_differ_in_their_seeds_are_checked_once_and_alike(compose_config, monkeypatch):
    configs = [("seed=1",), ("seed=2",), ("seed=3", "optim.lr=1e-3"), ("seed=4", "optim.lr=1e-3"), ("model.seed=5",)]
    made = [(compose_config(*own), n, own, False) for n, own in enumerate(configs)]
    alone = [check_job(*one) for one in made]
    builds = []
    monkeypatch.setattr(check, "build", lambda *given: builds.append(given) or build(*given))
    earlier = check.Earlier()
    together = [check_job(*one, earlier) for one in made]
    assert together == alone
    assert [(job.settings, job.hyperparameters) for job in together] == [
        (job.settings, job.hyperparameters) for job in alone
    ]
    assert len(builds) == 2
