"""What a sweep records of a job whose process has ended without doing so."""

from pathlib import Path

import pytest

from trainlab.runs.folder import run_folder_lock
from trainlab.runs.result import CONTINUATION, Result
from trainlab.sweep import outcome
from trainlab.sweep.outcome import WAITING, on_disk, record_outcome
from trainlab.sweep.plan import RUN, Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """One that continues a completed run of other settings."""
    Result("completed", "old", [], {"val_loss": 1.0}).write(tmp_path)
    return Job(0, (), tmp_path, "new", RUN)


def test_a_completed_run_is_not_overwritten_by_the_end_of_a_job_that_was_to_continue_it(job: Job):
    before = on_disk(job.folder)
    assert record_outcome(job, before, -9, None, stopped=False).status == "failed"
    assert record_outcome(job, before, 130, None, stopped=True).status == WAITING
    assert on_disk(job.folder) == before


def test_the_end_of_a_continuation_is_recorded_in_its_own_folder(job: Job):
    before = on_disk(job.folder)
    (job.folder / CONTINUATION).mkdir()
    Result("running", "new", []).write(job.folder / CONTINUATION)
    outcome = record_outcome(job, before, -9, None, stopped=False)
    assert (outcome.status, outcome.reason.startswith("killed by signal 9")) == ("failed", True)
    assert Result.read(job.folder / CONTINUATION).status == "failed"
    assert on_disk(job.folder) == before


@pytest.mark.parametrize("error", [None, "Held", "LeaseLost"])
def test_the_end_of_a_job_in_whose_folder_another_process_trains_is_not_written_there(error, tmp_path, monkeypatch):
    monkeypatch.setattr(outcome, "_WAIT_S", 0.0)
    Result("running", "its", []).write(tmp_path)
    job, found = Job(0, (), tmp_path, "its", RUN), on_disk(tmp_path)
    about = {"type": error, "message": "why", "traceback": ""} if error else None
    with run_folder_lock(tmp_path):
        ended = record_outcome(job, None, 1, about, stopped=False)
    assert (ended.status, on_disk(tmp_path)) == ("failed", found)
    assert not (tmp_path / "traceback.txt").exists()


@pytest.mark.parametrize(("status", "found"), [(0, "failed"), (130, WAITING)])
def test_the_result_of_other_settings_is_not_the_outcome_of_a_job(status, found, tmp_path):
    Result("completed", "other", [], {"val_loss": 1.0}).write(tmp_path)
    written = on_disk(tmp_path)
    outcome = record_outcome(Job(0, (), tmp_path, "its", RUN), None, status, None, stopped=False)
    assert (outcome.status, on_disk(tmp_path)) == (found, written)
    assert outcome.error is None or "has the result of a run of other settings" in outcome.error["message"]
