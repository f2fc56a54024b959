"""Jobs of a sweep that are one run are trained once and reported once."""

from dataclasses import replace
from pathlib import Path

import pytest
from hydra.core.utils import JobRuntime
from omegaconf import OmegaConf

from hydra_plugins.trainlab._jobs import Jobs
from hydra_plugins.trainlab._sweep import _returns
from sweeping import results, sweep
from trainlab.cli import SweepFailed
from trainlab.sweep.check import aliases, check_job, describe_aliases
from trainlab.sweep.plan import KEEP, RETRY, RUN, Job
from trainlab.sweep.state import State


def job(number, identity, todo=RUN, *overrides):
    return Job(number, overrides, Path(f"/{number}"), "fingerprint", todo, identity)


def test_the_run_that_is_on_disk_is_kept_or_the_first():
    assert aliases([job(0, "a"), job(1, "b"), job(2, "a"), job(3, "a")]) == {2: 0, 3: 0}
    assert aliases([job(0, "a"), job(1, "a", RETRY), job(2, "a", KEEP)]) == {0: 2, 1: 2}


def test_aliases_take_one_line_for_all_seeds():
    jobs = [job(i, m[:4] + s, RUN, f"model={m}", f"seed={s}") for i, (m, s) in enumerate(SELU)]
    assert describe_aliases(aliases(jobs), jobs) == ["model=selu_lecun is the same run as model=selu"]
    twice = [job(0, "a", RUN, "seed=1"), job(1, "a", RUN, "seed=1"), job(2, "b", RUN, "seed=2")]
    assert describe_aliases(aliases(twice), twice) == ["seed=1 is given twice"]


SELU = [("selu", "1"), ("selu", "2"), ("selu_lecun", "1"), ("selu_lecun", "2")]


def test_what_a_machine_does_sets_jobs_apart_and_how_a_number_is_written_does_not(compose_config):
    def identity(*overrides, name="run"):
        return check_job(compose_config(*overrides, name=name), 0, overrides, False).identity

    assert identity("model=selu", name="a") == identity("model=selu_lecun", name="b")
    assert identity("optim.lr=1e-4") == identity("optim.lr=0.0001") == identity("sweep.jobs=2")
    different = [(), ("compile=true",), ("seed=2",), ("trainer.profiler=simple",), ("callbacks.progress=null",)]
    assert len({identity(*overrides) for overrides in different}) == len(different)


@pytest.mark.slow
def test_a_sweep_trains_an_alias_once_and_keeps_to_the_run_it_has(tmp_path):
    where = ("trainer.limit_val_batches=1", "optim.lr=1e-4,0.0001", "name=study", f"output_dir={tmp_path}")
    first = sweep("model=selu_lecun", *where)
    assert first.returncode == 0, first.stderr
    assert "optim.lr=0.0001 is given twice\n" in first.stdout
    assert first.stdout.partition("\n")[2].startswith("trainer.limit_val_batches=1 is one batch; 1.0 is all of them\n")
    more = sweep("model=selu,selu_lecun,bn", *where)
    assert more.returncode == 0, more.stderr
    assert more.stdout.partition("\n")[2].startswith("2 jobs: 1 completed, 1 waiting at the start\n")
    assert "model=selu is the same run as model=selu_lecun\n" in more.stdout
    assert set(results(tmp_path / "study")) == {"model=selu_lecun optim.lr=0.0001", "model=bn optim.lr=0.0001"}


def test_each_job_returns_the_objective_of_its_run(train, compose_config):
    result, _ = train("trainer.max_epochs=1")
    run = check_job(compose_config("trainer.max_epochs=1"), 0, ["model=a"], False)
    alias = replace(run, number=1, overrides=("model=b",))
    JobRuntime.instance().set("name", "train")
    jobs = Jobs(None, None, OmegaConf.create({"sweep": {"objective": "val/loss"}}), 0)
    returns = _returns(jobs, State([run], 1), {run: 0, alias: 0}, SweepFailed(""))
    assert [(list(r.overrides), r.return_value) for r in returns] == [
        (["model=a"], result.metrics["val_loss"]),
        (["model=b"], result.metrics["val_loss"]),
    ]


@pytest.mark.slow
def test_a_search_does_not_try_an_alias(tmp_path):
    space = ("model=selu,selu_lecun", "seed=1,2", "sweep.trials=4", "sweep.sampler=random")
    done = sweep("hydra/sweeper=optuna", *space, "name=study", f"output_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("model=selu_lecun is the same run as model=selu and is skipped\n")
    assert set(results(tmp_path / "study")) == {"model=selu seed=1", "model=selu seed=2"}
