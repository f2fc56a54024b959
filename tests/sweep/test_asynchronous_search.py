"""Searches whose trials begin one by one, by all executors, with a study in a journal or a database."""

import json
import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest
from optuna.study import load_study
from optuna.trial import create_trial

import postgresql
from conftest import first
from slurm_clusters import ON_SLURM, require_slurm
from sweeping import FAULT, eventually, run_folders, start, sweep
from trainlab.runs.files import read_rows
from trainlab.runs.optuna_storage import STUDY, open_journal
from trainlab.sweep.items import items_of
from trainlab.sweep.study_storage import Database

LR = "optim.lr=interval(1e-4,1e-1)"
SEARCH = (
    "hydra/sweeper=optuna",
    "optim=sgd",
    "name=study",
    "sweep.asynchronous=true",
    "sweep.sampler=random",
    "model=bn",
)
WAITS = (FAULT, "+callbacks.fault.what=wait", "+callbacks.fault.step=2")  # one run of all
VARIABLE = "STUDIES"
START_S = 300.0  # until some jobs have run, each of which starts Python and imports PyTorch, on a machine that is busy
pytestmark = pytest.mark.timeout(900)
STORED = ("sweep.storage=env:STUDIES",)


def marked(name):
    """Tests that use the same cluster are run by one worker, one after another."""
    return pytest.mark.slow if name == "local" else [pytest.mark.cluster, pytest.mark.xdist_group(name)]


@pytest.fixture(params=[pytest.param(name, marks=marked(name)) for name in ("local", "slurm_local", "ray", "slurm")])
def executor(request):
    """Overrides that choose it."""
    name = request.param
    if name != "local":
        pytest.importorskip("ray" if name == "ray" else "submitit")
    if name == "slurm":
        require_slurm()
        return [*ON_SLURM]
    return [f"sweep/executor={name}"]


@pytest.fixture(scope="module")
def server():
    with postgresql.server() as running:
        yield running


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def storage(request, tmp_path):
    """Settings, variables, and what opens the storage in this process."""
    if request.param == "journal":
        return (), {}, lambda: (open_journal(tmp_path / "study" / "study.journal"), STUDY)
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("server").url
    named = tmp_path / "study" / "study.name"
    return STORED, {VARIABLE: url}, lambda: (Database(VARIABLE, url).open(), named.read_text())


def summary(folder):
    return json.loads((folder / "study" / "study.json").read_text())


def statuses(folder):
    """Of the runs that have begun."""
    found = [path.read_bytes() for path in folder.glob("study/*/result.json")]
    return [json.loads(text)["status"] for text in found]


def is_blocked(folder, ended):
    """Whether so many trials have ended while the first one waits."""
    found = statuses(folder)
    return found.count("completed") >= ended and "running" in found


def starts(folder):
    """How often each run was started, as far as its executor notes that."""
    return {path.parent.name: len(path.read_text().splitlines()) for path in folder.glob("study/*/.starts")}


def test_trials_begin_while_a_slow_one_runs(executor, tmp_path):
    until = tmp_path / "until"
    arguments = (
        *SEARCH,
        LR,
        *WAITS,
        "sweep.trials=6",
        "sweep.jobs=2",
        "trainer.max_epochs=1",
        f"output_dir={tmp_path}",
    )
    process = start(*arguments, *executor, FAULTS_UNTIL=str(until))
    try:
        assert eventually(lambda: is_blocked(tmp_path, ended=4), START_S), process.output()
        assert statuses(tmp_path).count("running") <= 2
    finally:
        until.touch()
    done = process.finish()
    assert (done.returncode, done.stderr) == (0, "")
    found = summary(tmp_path)["trials"]
    assert [trial["status"] for trial in found] == ["completed"] * 6
    assert {path.name for path in run_folders(tmp_path / "study")} == {trial["folder"] for trial in found}
    assert "search: 6 of 6 trials: 6 completed; best validation loss " in done.stdout
    assert "plan:" not in done.stdout
    places = [line.split()[0] for line in done.stdout.splitlines() if "/6 " in line]
    assert sorted(places) == [f"{place}/6" for place in range(1, 7)]
    again = sweep(*arguments, *executor)
    assert (again.returncode, again.stderr) == (0, "")
    assert summary(tmp_path)["trials"] == found


@pytest.mark.parametrize(
    "executor", [pytest.param("local", marks=pytest.mark.slow), pytest.param("slurm_local", marks=pytest.mark.cluster)]
)
@pytest.mark.parametrize("stored", [(), STORED], ids=["journal", "database"])
def test_a_killed_search_loses_no_trial_and_starts_none_twice(executor, stored, tmp_path):
    variables = {"FAULTS_UNTIL": str(until := tmp_path / "until"), VARIABLE: f"sqlite:///{tmp_path / 'studies.db'}"}
    executor = [f"sweep/executor={executor}"]
    arguments = (
        *SEARCH,
        LR,
        *WAITS,
        "sweep.trials=6",
        "sweep.jobs=2",
        "trainer.max_epochs=1",
        f"output_dir={tmp_path}",
    )
    process = start(*arguments, *executor, *stored, **variables)
    try:
        assert eventually(lambda: is_blocked(tmp_path, ended=2), START_S), process.output()
        refused = sweep(*arguments, *executor, *stored, **variables)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"error: another search is running in {tmp_path / 'study'}")
        process.send(signal.SIGKILL)
        assert process.finish(leaves=True).returncode == -signal.SIGKILL
        outlives = executor == ["sweep/executor=slurm_local"]
        if outlives:
            pids = [item.started()["pid"] for item in items_of(tmp_path / "study") if item.started()]
            assert pids
            if stored:
                environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in pids]
                assert not any(VARIABLE.encode() in environment for environment in environments)
    finally:
        until.touch()
    done = sweep(*arguments, *executor, *stored, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("were submitted before" in done.stdout) == outlives
    found = summary(tmp_path)["trials"]
    assert [trial["status"] for trial in found] == ["completed"] * 6
    assert {path.name for path in run_folders(tmp_path / "study")} == {trial["folder"] for trial in found}
    if outlives:
        assert {*starts(tmp_path).values()} == {1}


def add_better_trials(study, epochs):
    """Put five trials into a study, compared with which any other one is pruned."""
    values = dict.fromkeys(range(1, epochs + 1), 0.0)
    like = study.trials[0]
    known = {"params": like.params, "distributions": like.distributions, "intermediate_values": values}
    for _ in range(5):
        study.add_trial(create_trial(value=0.0, user_attrs={"status": "completed"}, **known))


@pytest.mark.cluster
def test_an_item_of_another_process_is_pruned(storage, tmp_path):
    """By the median of five trials that are put into the study while it runs."""
    stored, variables, opened = storage
    epochs = 12
    arguments = (
        *SEARCH,
        LR,
        FAULT,
        "sweep.trials=6",
        "sweep.jobs=1",
        "sweep.pruner=median",
        f"trainer.max_epochs={epochs}",
    )
    process = start(
        *arguments, *stored, "sweep/executor=slurm_local", f"output_dir={tmp_path}", **variables, FAULTS_SLEEP="0.2"
    )
    try:
        assert eventually(lambda: [*tmp_path.glob("study/*/metrics.csv")], START_S), process.output()
        place, name = opened()
        study = load_study(study_name=name, storage=place)
        add_better_trials(study, epochs)
    finally:
        done = process.finish()
    assert (done.returncode, done.stderr) == (0, "")
    ((result, folder),) = [(json.loads(p.read_text()), p.parent) for p in tmp_path.glob("study/*/result.json")]
    rows = read_rows(folder / "metrics.csv")
    assert (result["status"], result["metrics"]["stop_reason"]) == ("pruned", "pruned")
    assert "test_loss" not in result["metrics"]
    assert 2 <= len(rows) < epochs
    pruned = summary(tmp_path)["trials"][0]
    assert (pruned["status"], pruned["val_loss"]) == ("pruned", float(rows[-1]["val/loss"]))
    place, name = opened()
    first = load_study(study_name=name, storage=place).trials[0]
    assert first.intermediate_values == {int(row["epoch"]) + 1: float(row["val/loss"]) for row in rows}
    assert not (tmp_path / "study" / ".pruned").exists()


@pytest.mark.cluster
@pytest.mark.xdist_group("slurm")
def test_trials_on_two_nodes_of_slurm_are_pruned_by_one_journal(tmp_path):
    """Each job has a node of its own, and reads and writes the journal there."""
    require_slurm()
    pytest.importorskip("submitit")
    epochs = 12
    settings = ("sweep.trials=7", "sweep.jobs=2", "sweep.pruner=median", f"trainer.max_epochs={epochs}")
    apart = (*ON_SLURM, "+sweep.executor.options.exclusive=true")
    process = start(*SEARCH, LR, FAULT, *settings, *apart, f"output_dir={tmp_path}", FAULTS_SLEEP="0.5")
    study = partial(load_study, study_name=STUDY)
    try:
        assert eventually(lambda: len([*tmp_path.glob("study/*/metrics.csv")]) == 2, START_S), process.output()
        running = ["squeue", "--noheader", "--me", "--name=study", "--states=RUNNING", "--format=%N"]
        assert len({*subprocess.run(running, capture_output=True, text=True).stdout.split()}) == 2
        add_better_trials(study(storage=open_journal(tmp_path / "study" / "study.journal")), epochs)
    finally:
        done = process.finish()
    assert (done.returncode, done.stderr) == (0, "")
    assert statuses(tmp_path) == ["pruned", "pruned"]
    found = {trial.number: trial for trial in study(storage=open_journal(tmp_path / "study" / "study.journal")).trials}
    for trial in summary(tmp_path)["trials"][:2]:
        rows = read_rows(tmp_path / "study" / trial["folder"] / "metrics.csv")
        assert 1 <= len(rows) < epochs
        values = {int(row["epoch"]) + 1: float(row["val/loss"]) for row in rows}
        assert found[trial["number"]].intermediate_values == values


@pytest.mark.cluster
def test_a_password_is_in_no_file_and_a_server_may_be_away(server, tmp_path):
    until = tmp_path / "until"
    arguments = (*SEARCH, LR, *WAITS, *STORED, "sweep.trials=5", "sweep.jobs=2", "sweep.pruner=median")
    variables = {"FAULTS_UNTIL": str(until), VARIABLE: server.url, "TMPDIR": str(tmp_path)}
    process = start(*arguments, "sweep/executor=slurm_local", f"output_dir={tmp_path}", **variables)
    try:
        assert eventually(lambda: is_blocked(tmp_path, ended=1), START_S), process.output()
        server.stop()
        try:
            assert eventually(lambda: "does not answer" in process.output(), START_S), process.output()
            contents = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]  # while jobs run
        finally:
            server.start()
        assert eventually(lambda: "the database answers again" in process.output(), START_S), process.output()
    finally:
        until.touch()
    done = process.finish()
    assert (done.returncode, done.stderr) == (0, "")
    assert [trial["status"] for trial in summary(tmp_path)["trials"]] == ["completed"] * 5
    contents += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    contents += [done.stdout.encode(), done.stderr.encode()]
    assert any(b"env:STUDIES" in content for content in contents), "the test shows nothing"
    parts = (postgresql.PASSWORD, "ca7s", "d0gs", server.url)
    assert not [content for content in contents if any(part.encode() in content for part in parts)]


def test_a_server_that_is_not_there_is_an_error_without_its_password(tmp_path):
    given = {VARIABLE: "postgresql://me:h4mster%2Fwheel@127.0.0.1:1/none"}
    done = sweep(*SEARCH, LR, *STORED, "sweep.trials=2", f"output_dir={tmp_path}", **given)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the database of STUDIES cannot be used (")
    assert "Connection refused" in done.stderr
    written = [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert not any("h4mster" in text for text in (done.stdout, done.stderr, *written))


@pytest.mark.slow
def test_batches_with_a_database_are_pruned_and_repeat_without_pruning(tmp_path):
    def batches(name, *settings):
        folder = tmp_path / name
        arguments = (
            "hydra/sweeper=optuna",
            "optim=sgd",
            "name=study",
            LR,
            "model=bn",
            "sweep.batch=3",
            "sweep.trials=6",
        )
        url = f"sqlite:///{tmp_path / 'studies.db'}"
        done = sweep(*arguments, *settings, f"output_dir={folder}", **{VARIABLE: url})
        assert (done.returncode, done.stderr) == (0, "")
        return summary(folder)["trials"]

    assert batches("a", *STORED) == batches("b")  # in a journal
    assert len(batches("c", *STORED, "sweep.pruner=median")) == 6


@pytest.mark.slow
def test_an_invalid_value_fails_only_its_trial(tmp_path):
    arguments = ("data.batch_size=range(16,31,7)", "sweep.trials=3", "sweep.jobs=3", f"output_dir={tmp_path}")
    done = sweep(*SEARCH, *arguments)
    assert done.returncode == 1
    assert "trials failed (trial" in done.stderr and "batch_size 23 leaves a last batch of one" in done.stderr
    found = {trial["params"]["data.batch_size"]: trial["status"] for trial in summary(tmp_path)["trials"]}
    assert found == {16: "completed", 23: "failed", 30: "completed"}


@pytest.mark.slow
def test_what_failed_is_tried_again_and_a_failure_may_stop_the_search(tmp_path):
    faults = (FAULT, "+callbacks.fault.what=nothing,raise,kill", "sweep.trials=3", f"output_dir={tmp_path}")
    done = sweep(*SEARCH, *faults)
    assert done.returncode == 1
    assert done.stderr.startswith("error: 2 of 3 trials failed (trial ")
    again = sweep(*SEARCH, *faults, "sweep.retry_failed=true", FAULTS="off")
    assert (again.returncode, again.stderr) == (0, "")
    assert [trial["status"] for trial in summary(tmp_path)["trials"]] == ["completed"] * 3

    stops = ("+callbacks.fault.what=raise,exit", "sweep.trials=2", "sweep.jobs=1", "sweep.on_failure=stop")
    done = sweep(*SEARCH, FAULT, *stops, f"output_dir={tmp_path / 'stops'}")
    assert done.returncode == 1
    assert done.stderr == "error: a failure stopped the search; the same command resumes from here\n"
    assert [trial["status"] for trial in summary(tmp_path / "stops")["trials"]] == ["failed"]


@pytest.mark.slow
def test_ctrl_c_saves_trials_and_the_same_command_resumes(tmp_path):
    arguments = (*SEARCH, LR, FAULT, "sweep.trials=4", "sweep.jobs=2", "trainer.max_epochs=8", f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="0.1")
    assert eventually(lambda: [*tmp_path.glob("study/*/metrics.csv")], START_S)
    process.send(signal.SIGINT)
    stopped = process.finish()
    assert stopped.returncode == 130
    assert "the same command resumes from here" in stopped.stderr
    assert "interrupted" in statuses(tmp_path)
    assert sweep(*arguments).returncode == 0
    assert [trial["status"] for trial in summary(tmp_path)["trials"]] == ["completed"] * 4


@pytest.mark.parametrize(
    ("setting", "message"),
    first(
        2,
        [
            ("sweep.batch=4", "asynchronous trials have no batches, got 4; leave out sweep.batch"),
            ("sweep.population=4", "asynchronous trials are trained solo, got sweep.population=4; leave it out"),
            ("sweep.asynchronous=maybe", "asynchronous must be true or false, got 'maybe'; set sweep.asynchronous"),
            ("sweep.storage=database", "storage must be journal, or env:NAME with the name of an environment variable"),
            ("sweep.storage=env:NOWHERE", "the environment has no variable NOWHERE; set it to the URL of a database"),
        ],
    ),
)
def test_mistakes_are_reported_before_anything_starts(setting, message, tmp_path):
    assert "NOWHERE" not in os.environ
    arguments = [argument for argument in SEARCH if argument.partition("=")[0] != setting.partition("=")[0]]
    done = sweep(*arguments, LR, "sweep.trials=2", setting, f"output_dir={tmp_path}")
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert not (tmp_path / "study").exists()
