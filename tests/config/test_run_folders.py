"""The folders of a sweep's runs: named by what differs, and found again by their overrides."""

import itertools
import random
from pathlib import Path

import pytest

from trainlab.config.run_folders import run_folder, shared_overrides
from trainlab.config.run_folders import run_folders as run_folders_of
from trainlab.runs.result import Result

SHARED = ("data=shapes", "trainer.max_epochs=3", "optim.lr=0.0001")


def run_folders(folder, jobs):
    return run_folders_of(folder, jobs, shared_overrides(jobs))


def jobs_of(swept, *shared):
    return [[*own.split(), "name=study", *shared] for own in swept]


def train(folder, names, jobs):
    for name, overrides in zip(names, jobs, strict=True):
        (folder / name).mkdir(exist_ok=True)
        Result("running", "0", [*overrides, "sweep.jobs=2"]).write(folder / name)


def sweep(folder, jobs):
    """The folders of ``jobs``, with a result in each."""
    names = run_folders(folder, jobs)
    train(folder, names, jobs)
    assert run_folders(folder, jobs) == names
    assert [run_folder(job, folder) for job in jobs] == names, "another launcher finds them"
    return names


def test_runs_keep_their_folders_whatever_is_swept_later(tmp_path):
    seeds = jobs_of(["seed=1", "seed=2"], "model=bn", *SHARED)
    assert sweep(tmp_path, seeds) == ["seed=1", "seed=2"]
    assert sweep(tmp_path, jobs_of(["seed=1", "seed=3"], "model=bn", *SHARED)) == ["seed=1", "seed=3"]
    # A key that was the same in all is swept, and the reverse.
    models = jobs_of(["model=bn seed=1", "model=bn seed=4", "model=selu seed=1", "model=selu seed=4"], *SHARED)
    assert sweep(tmp_path, models) == ["seed=1", "model=bn,seed=4", "model=selu,seed=1", "model=selu,seed=4"]
    again = jobs_of(["seed=1", "seed=4", "seed=5"], "model=selu", *SHARED)
    assert sweep(tmp_path, again) == ["model=selu,seed=1", "model=selu,seed=4", "seed=5"]
    assert run_folders(tmp_path, seeds) == ["seed=1", "seed=2"]


def test_a_name_that_another_run_has_gets_what_differs_or_a_hash(tmp_path):
    first = jobs_of(["seed=1", "seed=2"], "model=bn", *SHARED)
    assert sweep(tmp_path, first) == ["seed=1", "seed=2"]
    other = jobs_of(["seed=1", "seed=2", "seed=3"], "model=selu", *SHARED)
    assert sweep(tmp_path, other) == ["seed=1,model=selu", "seed=2,model=selu", "seed=3"]
    plain = jobs_of(["seed=1", "seed=2"])  # of the default model
    names = sweep(tmp_path, plain)
    assert [name[:7] for name in names] == ["seed=1-", "seed=2-"]
    third = jobs_of(["seed=1", "seed=2"], "model=elu_he", "optim=sgd")
    assert sweep(tmp_path, third) == ["seed=1,model=elu_he,optim=sgd", "seed=2,model=elu_he,optim=sgd"]
    assert [run_folders(tmp_path, jobs) for jobs in (first, plain)] == [["seed=1", "seed=2"], names]
    assert len([*tmp_path.iterdir()]) == 9


def test_a_run_is_found_by_any_command_with_its_overrides(tmp_path):
    sweep(tmp_path, jobs_of(["model=bn optim.lr=0.0001", "model=selu optim.lr=0.0001"], "seed=1"))
    for same in (
        "seed=1 optim.lr=1e-4 model=bn",
        "optim.lr=1.0e-04 model=bn seed=1",
        "seed=1 model=bn optim.lr=0.0001",
    ):
        assert run_folder([*same.split(), "callbacks.progress=null"], tmp_path) == "model=bn"
        assert run_folders(tmp_path, [same.split(), ["seed=2"]])[0] == "model=bn"
    assert run_folder(["seed=1", "model=bn"], tmp_path) == "seed=1,model=bn"


def test_folders_named_after_all_overrides_are_found(tmp_path):
    """Those of other launchers, of searches and of older versions."""
    jobs = jobs_of(["seed=1", "seed=2"], *SHARED)
    names = [run_folder(job, tmp_path) for job in jobs]
    assert names[0] == "seed=1,data=shapes,trainer.max_epochs=3,optim.lr=1e-4"
    train(tmp_path, names[:1], jobs[:1])
    assert run_folders(tmp_path, jobs) == [names[0], "seed=2"]
    (tmp_path / names[0]).rename(tmp_path / names[0].replace("1e-4", "0.0001"))  # as it was written once
    assert run_folders(tmp_path, jobs) == [names[0].replace("1e-4", "0.0001"), "seed=2"]
    long = jobs_of(["seed=1", "seed=2"], *SHARED, f"ckpt_path=/{'x' * 100}")
    shortened = run_folder(long[0], tmp_path)
    assert len(shortened) == 120
    train(tmp_path, [shortened], long[:1])
    assert run_folders(tmp_path, long) == [shortened, "seed=2"]


@pytest.mark.parametrize("cut", range(-2, 5))
def test_a_name_that_was_shortened_anywhere_is_found(cut, tmp_path):
    """At 111 bytes: inside an override, at its end, or at the comma after it."""
    first = f"model.name={'x' * (93 - cut)}"
    jobs = jobs_of(["seed=1", "seed=2"], first, "trainer.max_epochs=3", "optim.lr=1e-4")
    typed = ",".join([first, "seed=1", "trainer.max_epochs=3", "optim.lr=1e-4"])
    older = f"{typed[:111]}-0123abcd"  # another hash: of the overrides as that version wrote them
    train(tmp_path, [older], jobs[:1])
    assert run_folders(tmp_path, jobs)[0] == older


def test_of_two_orders_each_has_its_own(tmp_path):
    jobs = jobs_of(["seed=1 model=bn", "model=bn seed=1"])
    train(tmp_path, ["seed=1,model=bn", "model=bn,seed=1"], jobs)
    assert run_folders(tmp_path, jobs) == ["seed=1,model=bn", "model=bn,seed=1"]


def test_a_sweep_that_was_killed_before_its_runs_left_a_result_has_the_same_folders(tmp_path):
    jobs = jobs_of(["seed=1", "seed=2", "seed=3"], *SHARED)
    for done in range(3):
        assert run_folders(tmp_path, jobs) == ["seed=1", "seed=2", "seed=3"]
        (tmp_path / f"seed={done + 1}").mkdir()
        train(tmp_path, [f"seed={done + 1}"], jobs[done : done + 1])
    (tmp_path / "seed=2" / "result.json").unlink()
    assert run_folders(tmp_path, jobs) == ["seed=1", "seed=2", "seed=3"]


@pytest.mark.parametrize("content", ["{", "{}", '{"status": "completed", "fingerprint": "0", "overrides": [1]}', "[]"])
def test_a_damaged_result_is_left_to_the_check_of_its_job(content, tmp_path):
    jobs = jobs_of(["seed=1", "seed=2"])
    sweep(tmp_path, jobs)
    (tmp_path / "seed=2" / "result.json").write_text(content)
    assert run_folders(tmp_path, jobs) == ["seed=1", "seed=2"]


def test_a_run_that_was_continued_by_another_command_is_left_to_the_check_of_its_job(tmp_path):
    jobs = jobs_of(["seed=1", "seed=2"], "model=bn")
    sweep(tmp_path, jobs)
    Result("completed", "0", ["trainer.max_epochs=9"]).write(tmp_path / "seed=2")
    assert run_folders(tmp_path, jobs) == ["seed=1", "seed=2"]


def test_copies_and_runs_of_other_names_are_not_those_of_the_sweep(tmp_path):
    jobs = jobs_of(["seed=1", "seed=2"])
    others = ["a", "continuation", "seed=1.old", "seed=1-20260529", "seed=1,old"]  # a is a run of name=study/a
    train(tmp_path, others, [jobs[0]] * 5)
    assert sweep(tmp_path, jobs) == ["seed=1", "seed=2"]


def test_names_are_short_enough_for_a_file_system(tmp_path):
    long = [f"ckpt_path={'x' * 150}{i}" for i in range(3)]
    first, second = (jobs_of(long, f"model={model}") for model in ("bn", "selu"))
    names = sweep(tmp_path, first) + sweep(tmp_path, second) + sweep(tmp_path, jobs_of(long))
    assert len(set(names)) == 9
    assert max(len(name.encode()) for name in names) < 255


def test_a_job_that_is_given_twice_has_one_folder(tmp_path):
    assert run_folders(tmp_path, jobs_of(["optim.lr=1e-4", "optim.lr=0.0001", "optim.lr=0.05"])) == [
        *("optim.lr=1e-4", "optim.lr=1e-4", "optim.lr=0.05"),
    ]
    assert run_folders(tmp_path, [[], []]) == ["default", "default"]
    assert run_folders(Path("/nowhere"), [["seed=1"]]) == ["seed=1"]


def test_each_result_is_read_once(tmp_path, monkeypatch):
    jobs = jobs_of([f"seed={seed}" for seed in range(20)], *SHARED)
    sweep(tmp_path, jobs)
    read, original = [], Result.read
    monkeypatch.setattr(Result, "read", lambda folder: read.append(folder) or original(folder))
    more = jobs_of([f"seed={seed}" for seed in range(20)], "model=bn")
    train(tmp_path, run_folders(tmp_path, more), more)
    assert read == []
    run_folders(tmp_path, [*jobs, *more])
    assert len(read) == len(set(read)) == 20


def test_options_of_one_name_in_two_folders_of_their_group_are_two_runs(tmp_path):
    jobs = jobs_of(["experiment=a/x", "experiment=b/x"], *SHARED)
    names = run_folders(tmp_path, jobs)
    assert names[0] == "experiment=x" and names[1].startswith("experiment=x-")
    train(tmp_path, names[1:], jobs[1:])  # the first was killed
    assert run_folders(tmp_path, jobs) == names


VALUES = {"a": "12", "b": "12", "x.c": ("0.001", "2"), "x.d": ("[1,2]", "[1,3]"), "experiment": ("p/u", "q/u")}


@pytest.mark.parametrize("seed", range(20))
def test_after_any_sweeps_that_were_killed_each_run_has_one_folder_and_each_folder_one_run(seed, tmp_path):
    draw, runs = random.Random(seed), {}
    for _ in range(6):
        keys = draw.sample([*VALUES], draw.randint(1, 4))
        values = [draw.sample(VALUES[key], draw.randint(1, 2)) for key in keys]
        jobs = [[f"{key}={value}" for key, value in zip(keys, own, strict=True)] for own in itertools.product(*values)]
        alone = draw.random() < 0.3  # of another launcher
        names = run_folders(tmp_path, jobs)
        for job, name in zip(jobs, names, strict=True):
            name = run_folder(job, tmp_path) if alone else name
            if draw.random() < 0.7 and runs.setdefault(frozenset(job), name) == name and not (tmp_path / name).exists():
                train(tmp_path, [name], [job])
            assert runs.get(frozenset(job), name) == name
        if not alone:
            assert run_folders(tmp_path, jobs) == names
    assert len({*runs.values()}) == len(runs) == len([*tmp_path.iterdir()])
