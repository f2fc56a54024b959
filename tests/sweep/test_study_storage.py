"""Studies in databases: SQLite, and a real PostgreSQL where there is one."""

import itertools
import os
import re
import shutil
from functools import partial
from types import SimpleNamespace

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

import postgresql
from conftest import cases
from run_folders import outcome
from trainlab.callbacks.prune_request import is_requested
from trainlab.runs import optuna_storage
from trainlab.runs.errors import LeaseLost
from trainlab.runs.lease import take
from trainlab.runs.optuna_storage import open_journal
from trainlab.sweep import trials as trials_module
from trainlab.sweep.folder import folder_lock
from trainlab.sweep.plan import RUN, Job
from trainlab.sweep.space import Space
from trainlab.sweep.study import JOURNAL, Settings, Study, status_of
from trainlab.sweep.study_storage import Database, database_of
from trainlab.sweep.study_summary import write_summary
from trainlab.sweep.trials import REQUESTS, Judge, Patience, Trials

SPACE = Space(
    (("optim.lr", FloatDistribution(1e-5, 1e-1, log=True)), ("model", CategoricalDistribution(("bn", "selu"))))
)
TWO = Space((("model", CategoricalDistribution(("bn", "selu"))),))
SECRET = "h4mster&w/eel"


@pytest.fixture(scope="module")
def server():
    with postgresql.server() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.cluster)])
def database(request, tmp_path):
    if request.param == "sqlite":
        return Database("URL", f"sqlite:///{tmp_path / 'studies.db'}")
    return Database("URL", request.getfixturevalue("server").url)


def study_in(folder, database, space=SPACE, trials=8, sampler="tpe", pruner="none"):
    folder.mkdir(exist_ok=True)
    return Study(folder, space, Settings(trials, sampler, 1, pruner, 4), database)


def run_study(study, batch=2):
    while trials := study.next(batch):
        for trial in trials:
            study.tell(trial, outcome("completed", {"val_loss": trial.params["optim.lr"]}))
    return [(trial.number, trial.params, trial.value, status_of(trial)) for trial in study.trials()]


@pytest.mark.parametrize("pruner", cases(["hyperband", "none"], "hyperband"))  # the former has TPE sample by brackets
def test_a_study_in_a_database_is_that_in_a_journal_and_several_share_one(pruner, database, tmp_path):
    expected = run_study(study_in(tmp_path / "journal", None, pruner=pruner))
    assert len(expected) == 8
    assert run_study(study_in(tmp_path / "first", database, pruner=pruner)) == expected
    assert run_study(study_in(tmp_path / "second", database, pruner=pruner)) == expected
    assert not (tmp_path / "first" / JOURNAL).exists()


def test_a_study_in_a_database_is_resumed_and_extended(database, tmp_path):
    whole = run_study(study_in(tmp_path / "whole", database))
    begun = [trial.number for trial in study_in(tmp_path / "cut", database, trials=4).next(2)]
    assert [trial.number for trial in study_in(tmp_path / "cut", database, trials=4).next(2)] == begun
    run_study(study_in(tmp_path / "cut", database, trials=4))
    assert run_study(study_in(tmp_path / "cut", database)) == whole


def test_another_search_in_a_database_is_an_error_that_names_both(database, tmp_path):
    study_in(tmp_path / "study", database)
    with pytest.raises(ValueError, match=r"holds a search over .*optim.lr.* this one is over model in bn or selu"):
        study_in(tmp_path / "study", database, TWO)


def test_a_search_stays_where_it_is_stored(database, tmp_path):
    run_study(study_in(tmp_path / "first", database))
    with pytest.raises(ValueError, match=r"is stored in a database; set sweep\.storage=env:NAME, or another name="):
        study_in(tmp_path / "first", None)
    run_study(study_in(tmp_path / "second", None))
    with pytest.raises(ValueError, match=r"in study\.journal; leave out sweep\.storage, or set another name="):
        study_in(tmp_path / "second", database)


def test_a_database_without_the_study_of_a_folder_is_an_error(tmp_path):
    write_summary(study_in(tmp_path / "study", Database("URL", f"sqlite:///{tmp_path / 'a.db'}")))
    with pytest.raises(ValueError, match=r"the database of URL has no study study-[0-9a-f]{12}, which .* has the runs"):
        study_in(tmp_path / "study", Database("URL", f"sqlite:///{tmp_path / 'b.db'}"))


def test_a_copy_of_a_folder_does_not_share_its_study_and_one_that_was_moved_keeps_it(database, tmp_path):
    done = run_study(study_in(tmp_path / "study", database))
    shutil.copytree(tmp_path / "study", tmp_path / "copy")
    with pytest.raises(ValueError, match=r"copy is a copy of .*study, to which the study study-[0-9a-f]{12} belongs"):
        study_in(tmp_path / "copy", database)
    (tmp_path / "study").rename(tmp_path / "moved")
    assert run_study(study_in(tmp_path / "moved", database)) == done


def test_the_url_is_taken_out_of_the_environment(monkeypatch):
    monkeypatch.setenv("STUDIES", "sqlite:////tmp/a.db")
    assert database_of("journal") is None
    found = database_of("env:STUDIES")
    assert (found.variable, found.url) == ("STUDIES", "sqlite:////tmp/a.db")
    assert "a.db" not in repr(found)
    assert "STUDIES" not in os.environ
    with pytest.raises(ValueError, match="the environment has no variable STUDIES; set it to the URL of a database"):
        database_of("env:STUDIES")


@pytest.mark.parametrize("setting", [f"postgresql://me:{SECRET}@host/db", "database", "env:", "env:A B"])
def test_a_storage_is_a_journal_or_a_variable(setting):
    with pytest.raises(ValueError) as caught:
        database_of(setting)
    assert "storage must be journal, or env:NAME" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"postgresql://me:{SECRET}@127.0.0.1:1/none", "cannot be used|must be the URL"),  # a slash that is not quoted
        ("postgresql://me:h4mster%26w%2Feel@127.0.0.1:1/none", "cannot be used .*Connection refused"),
        ("postgresql://127.0.0.1:1/none?user=me&password=h4mster%26w%2Feel", "cannot be used .*Connection refused"),
        (f"nosuch://me:{SECRET}@host/none", "cannot be used|must be the URL"),
        (SECRET, "URL must be the URL of a database, such as postgresql://user:password@host/name"),
        ("sqlite://", "URL must name a file, as memory ends with the process"),
        ("sqlite:////nowhere/at/all.db", "the database of URL cannot be used .*unable to open database file"),
    ],
)
def test_no_error_has_a_part_of_a_password(url, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        study_in(tmp_path, Database("URL", url))
    shown = f"{caught.value} {caught.value.__cause__}"
    assert not re.search("h4mster|w/eel|w%2Feel|eel", shown), shown
    assert not any("h4mster" in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.cluster
def test_a_wrong_password_is_not_shown(server, tmp_path):
    with pytest.raises(ValueError, match="password authentication failed") as caught:
        study_in(tmp_path, Database("URL", server.url.replace("ca7s", "h4mster")))
    assert not re.search("h4mster|d0gs", str(caught.value))


def write_epochs(folder, losses):
    folder.mkdir(exist_ok=True)
    rows = [f"{epoch},{loss}" for epoch, loss in enumerate(losses)]
    (folder / "metrics.csv").write_text("\n".join(["epoch,val/loss", *rows]) + "\n")


def test_trials_are_judged_by_the_files_of_their_runs(database, tmp_path, monkeypatch):
    """By the median of five: one that is worse after two epochs is asked to stop, and is pruned at its last value."""
    study = study_in(tmp_path / "study", database, trials=7, sampler="random", pruner="median")
    judge = Judge(study)
    for trial in study.next(5):
        (folder,) = study.folders_of([trial])
        write_epochs(folder, [0.9, 0.5, 0.3])
        judge.report(trial.number, folder)
        study.tell(trial, outcome("completed", {"val_loss": 0.3}))
    monkeypatch.setattr(trials_module, "_LOOK_S", 0.0)
    monkeypatch.setattr(trials_module, "_LOOKING", float("inf"))
    good, bad = study.next(2)
    running = {trial.number: folder for trial, folder in zip((good, bad), study.folders_of([good, bad]), strict=True)}
    requests = study.folder / REQUESTS
    for epochs in (1, 2):
        write_epochs(running[good.number], [0.9, 0.4, 0.3][:epochs])
        write_epochs(running[bad.number], [0.9, 0.6, 0.3][:epochs])
        assert judge.look(running)
        assert [is_requested(requests, trial.number) for trial in (good, bad)] == [False, epochs == 2]
    assert [trial.intermediate_values for trial in study.running()] == [{1: 0.9, 2: 0.4}, {1: 0.9, 2: 0.6}]

    trials_module.record(study, judge, {bad.number: outcome("pruned", {"val_loss": 0.6})})
    pruned = study.trials()[bad.number]
    assert (pruned.state, pruned.value, status_of(pruned)) == (TrialState.PRUNED, 0.6, "pruned")
    assert not requests.exists()


def trials_of(study):
    return Trials(study, Job(0, (), study.folder, "", RUN), study.overrides)


def test_a_trial_begins_when_another_one_has_ended_and_never_more_than_asked_for(database, tmp_path):
    trials = trials_of(study_in(tmp_path / "study", database, trials=5, sampler="random"))
    begun = [*trials.first()]
    begun += trials.more(1, {})
    assert begun == [0, 1] and trials.left == 5
    done, runs = outcome("completed", {"val_loss": 1.0}), outcome("running", {})
    assert trials.more(0, {0: runs, 1: done}) == {}
    assert [*trials.more(1, {0: runs, 1: done})] == [2]
    assert [*trials.more(9, {0: runs, 1: done, 2: done})] == [3, 4]  # there are five
    assert trials.more(9, {0: runs, **dict.fromkeys((1, 2, 3, 4), done)}) == {}
    again = study_in(tmp_path / "study", database, trials=5)
    assert [trial.number for trial in again.running()] == [0]
    assert [*trials_of(again).first()] == [0]  # which may run elsewhere, and is attached to


def test_a_database_that_does_not_answer_is_waited_for(tmp_path, monkeypatch):
    study = study_in(tmp_path / "study", Database("URL", f"sqlite:///{tmp_path / 'a.db'}"), trials=3, sampler="random")
    monkeypatch.setattr(trials_module, "_AGAIN_S", 0.0)
    trials, said = trials_of(study), []
    assert [*trials.first()] == [0]
    trials.follow(said.append)
    with monkeypatch.context() as patch:

        def fail(*_):
            raise StorageInternalError("away")

        patch.setattr(study._storage, "set_trial_param", fail)  # a new trial exists, and has no values
        assert trials.more(1, {}) is None
        assert trials.more(1, {}) is None
    assert [*trials.more(1, {})] == [3]  # the others were never sampled
    assert said == ["the database of URL does not answer (away); waiting for it", "the database answers again"]
    assert len(study.trials()) == 2


def test_between_batches_a_database_is_waited_for(tmp_path, monkeypatch):
    study = study_in(tmp_path / "study", Database("URL", f"sqlite:///{tmp_path / 'a.db'}"))
    monkeypatch.setattr(trials_module, "_AGAIN_S", 0.01)
    patience, said, answers = Patience(study), [], iter([StorageInternalError("1"), StorageInternalError("2"), None])

    def work():
        if error := next(answers):
            raise error
        return "done"

    patience.say = said.append
    assert patience.wait_for(work) == "done"
    assert said == ["the database of URL does not answer (1); waiting for it", "the database answers again"]


def test_a_result_that_was_recorded_without_an_answer_is_not_recorded_again(database, tmp_path):
    study = study_in(tmp_path / "study", database)
    (trial,) = study.next(1)
    for loss in (1.0, 2.0):
        study.tell(trial, outcome("completed", {"val_loss": loss}))
    assert [trial.value for trial in study.trials()] == [1.0]


def test_a_damaged_journal_is_not_taken_for_a_database_that_is_away(tmp_path):
    study = study_in(tmp_path / "study", None)

    def fail():
        raise StorageInternalError("no space")

    with pytest.raises(StorageInternalError):
        Patience(study).attempt(fail)


def test_a_process_that_wakes_after_another_has_taken_over_records_nothing(database, tmp_path):
    folder, settings = tmp_path / "study", Settings(12, "random", 1, "median", 4)
    with folder_lock(folder, ".study.lease", "search") as lease:
        study = Study(folder, SPACE, settings, database, lease.check)
        (trial,) = study.next(1)
        assert take(folder, ".study.lease", lease.number + 1)
        done = outcome("completed", {"val_loss": 1.0})
        records = (study.ask, partial(study.tell, trial, done), partial(study.judge, trial.number, {1: 0.5}))
        for one in (*records, study.retry_failed):
            with pytest.raises(LeaseLost, match="was taken over by process"):
                one()
    (left,) = study_in(folder, database).trials()
    assert (status_of(left), left.intermediate_values) == ("running", {})


def test_half_a_line_of_a_process_that_was_killed_does_not_damage_the_next_one(tmp_path):
    """Another process has the journal open meanwhile, and appends to it."""
    study = study_in(tmp_path / "study", None)
    (trial,) = study.next(1)
    other = open_journal(study.journal)
    with study.journal.open("ab") as file:
        file.write(b'{"op_code":8,"worker')
    other.set_trial_intermediate_value(trial._trial_id, 1, 0.5)
    assert study_in(tmp_path / "study", None).running()[0].intermediate_values == {1: 0.5}


def test_a_lock_that_a_killed_process_left_is_waited_for_where_trials_run(tmp_path, monkeypatch):
    study = study_in(tmp_path / "study", None)
    study.next(1)
    item = tmp_path / "study" / ".items" / "1-1"
    item.mkdir(parents=True)
    (item / "item.json").write_text("{}")
    study.journal.with_name(f"{JOURNAL}.lock").symlink_to(study.journal)
    waits = []
    monkeypatch.setattr(optuna_storage, "_GRACE_S", 3)
    clock = SimpleNamespace(sleep=waits.append, monotonic=itertools.count().__next__)
    monkeypatch.setattr("optuna.storages.journal._file.time", clock)
    assert len(study_in(tmp_path / "study", None).running()) == 1
    assert waits


def test_valid_trials_beside_an_invalid_one_are_returned_again(tmp_path):
    """And few are asked for in a row."""
    trials = trials_of(study_in(tmp_path / "study", None, trials=12, sampler="random"))
    runs = outcome("running", {})
    assert [*trials.first()] == [0]
    assert [*trials.more(20, {0: runs})] == [1, 2, 3, 4, 5, 6, 7, 8]
    trials.refuse({2: "it is invalid"})
    assert [*trials.more(4, {0: runs})] == [1, 3, 4, 5]
    assert [*trials.more(20, {0: runs, 1: runs, 3: runs, 4: runs, 5: runs})] == [6, 7, 8, 9, 10, 11]
    assert trials.more(20, dict.fromkeys((0, 1, *range(3, 12)), runs)) == {}


def test_a_trial_is_pruned_whose_newest_epoch_was_recorded_without_being_judged(database, tmp_path):
    """As where the server has taken the value, and the answer was lost."""
    study = study_in(tmp_path / "study", database, trials=6, sampler="random", pruner="median")
    for trial in study.next(5):
        assert not study.judge(trial.number, {1: 0.9, 2: 0.5})
        study.tell(trial, outcome("completed", {"val_loss": 0.5}))
    (bad,) = study.next(1)
    assert not study.judge(bad.number, {1: 0.9})
    study._storage.set_trial_intermediate_value(bad._trial_id, 2, 0.6)
    assert study.judge(bad.number, {1: 0.9, 2: 0.6})
