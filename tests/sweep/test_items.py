"""The files of an item between its process, its scheduler and the sweep."""

import contextlib
import os
from types import SimpleNamespace

import pytest

from hydra_plugins.trainlab import _item
from slurm_clusters import require_slurm
from trainlab.processes import THREADS
from trainlab.sweep import slurm_job
from trainlab.sweep.items import new_item


@pytest.fixture
def run_item(tmp_path, monkeypatch):
    """Runs an item in this process, as if it was the item's; its end is announced when its only job runs."""
    announced = SimpleNamespace(at_s=None, by_user_signal=True, heeded_by=lambda _: contextlib.nullcontext())
    worked = []

    def work(*_):
        worked.append(1)
        announced.at_s = 1.0
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(_item.torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(_item, "ending", announced)
    monkeypatch.setattr(_item, "Jobs", lambda *_: SimpleNamespace(sweep_dir=tmp_path))
    monkeypatch.setattr(_item, "run_jobs", work)
    folder = str(tmp_path / "run-0")
    job = {"number": 0, "overrides": [], "folder": folder, "fingerprint": "a", "devices": 1, "settings": []}
    about = {"jobs": [job], "before": {folder: None}, "environment": {THREADS: "1"}, "restarts": 3}

    def run(files):
        assert _item.run_item(files, about, None, None, None) == 130
        return len(worked)

    return run


def test_the_name_of_an_item_that_was_removed_does_not_come_again(tmp_path):
    first = new_item(tmp_path, 1, {})
    first.remove()
    assert new_item(tmp_path, 1, {}).path != first.path


def test_a_process_whose_item_was_removed_as_it_started_ends_and_leaves_nothing(run_item, tmp_path):
    files = new_item(tmp_path, 1, {})
    files.remove()
    assert run_item(files) == 0
    assert not files.path.exists()


def test_an_item_that_was_not_to_start_is_run_again_by_a_sweep_that_goes_on(run_item, tmp_path):
    files = new_item(tmp_path, 1, {})
    files.forbid()
    assert run_item(files) == 0
    assert files.ended()["cut_short"]


SILENT, REFUSING, TAKING = None, "exit 1", "exit 0"


@pytest.mark.parametrize(
    ("scontrol", "squeue", "is_requeued"),
    [
        (SILENT, SILENT, False),
        (REFUSING, "echo RUNNING", False),  # as with --no-requeue
        (REFUSING, "echo PENDING", True),  # SLURM has done so by itself
        (TAKING, SILENT, True),
    ],
)
def test_an_item_that_slurm_does_not_requeue_has_been_cut_short(
    scontrol, squeue, is_requeued, run_item, tmp_path, monkeypatch
):
    for name, line in (("scontrol", scontrol), ("squeue", squeue)):
        if line:
            (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
            (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(slurm_job, "job_id", lambda: "7_1")
    files = new_item(tmp_path, 1, {})
    assert run_item(files) == 1
    record = files.ended()
    assert (record and record["cut_short"], files.started() is None) == ((None, True) if is_requeued else (True, False))


def test_the_time_that_is_left_depends_on_no_format_and_no_daylight_saving(tmp_path, monkeypatch):
    """Summer time ends an hour before the job does."""
    times = [f'"$(date -d @{at} "+${{SLURM_TIME_FORMAT:-%Y-%m-%dT%H:%M:%S}}")"' for at in (1792886400, 1792893600)]
    (tmp_path / "squeue").write_text(f"#!/bin/sh\nprintf 'RUNNING|%s|1:50:00|%s' {' '.join(times)}\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    for name in ("", "relative"):
        monkeypatch.setenv("SLURM_TIME_FORMAT", name)
        assert slurm_job.seconds_left() == 600


def test_a_slurm_that_does_not_answer_though_it_is_named_is_no_reason_to_skip_a_test(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for conf, outcome in (("", pytest.skip.Exception), ("/slurm.conf", pytest.fail.Exception)):
        monkeypatch.setenv("SLURM_CONF", conf)
        with pytest.raises(outcome):
            require_slurm()
