"""Jobs that fail, by real means. Each is on record with its reason, and the others are what they would have been."""

import json
import re
from pathlib import Path

import pytest

from sweeping import FAULT, REPORT, results, sweep

WHAT = ("nothing", "diverge", "raise", "leave", "exit", "kill", "memory")
ARGUMENTS = ("optim=sgd", "optim.lr=0.01", FAULT, f"+callbacks.fault.what={','.join(WHAT)}", "name=study")
REASONS = {  # type of the error, start of its message
    "raise": ("RuntimeError", "the cat pulled the plug"),
    "leave": ("SystemExit", "exit status 4"),
    "exit": ("Exit", "the process ended early with exit status 3"),
    "kill": ("Killed", "killed by signal 9 (SIGKILL); out of memory is the usual reason"),
    "memory": ("RuntimeError", "[enforce fail at alloc_cpu.cpp"),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    return folder / "study", sweep(*ARGUMENTS, f"output_dir={folder}", "sweep.jobs=2")


def key(what, lr="0.01"):
    return f"optim.lr={lr} +callbacks.fault.what={what}"


def test_every_failure_is_recorded_with_its_reason_and_the_other_jobs_run(study):
    folder, done = study
    found = results(folder)
    assert len(found) == len(WHAT)
    assert found[key("nothing")]["status"] == "completed"
    for what, (kind, message) in REASONS.items():
        result = found[key(what)]
        assert (result["status"], result["error"]["type"]) == ("failed", kind), what
        assert result["error"]["message"].startswith(message), what
        assert result["metrics"] == {} or result["metrics"]["epochs"] == 1
        if what in ("raise", "leave", "memory"):
            assert f"_{what}" in Path(result["error"]["traceback"]).read_text()
        else:
            assert "traceback" not in result["error"]
    result = found[key("diverge")]
    assert result["status"] == "diverged"
    assert "not finite at step 27 (epoch 2, batch 8, learning rate 1e+30)" in result["error"]["message"]
    assert done.returncode == 1
    assert done.stderr.startswith("error: 7 jobs: 1 completed, 1 diverged, 5 failed; the same command with sweep.retry")


def test_there_is_a_line_a_job_and_a_table_of_all_and_no_job_writes_between_them(study):
    folder, done = study
    lines = done.stdout.splitlines()
    start, plan, job_lines, table, report = lines[0], lines[1:3], lines[3:10], lines[10:-1], lines[-1]
    assert start == f"checking 7 jobs: +callbacks.fault.what={','.join(WHAT)}"
    assert plan[0] == "plan: 7 solo jobs, 2 at once"
    assert plan[1].startswith("  7 solo: callbacks.fault is faults.Fault, and batches of a population are ")
    assert report == f"report: {folder / 'report.html'}"
    assert sorted(line.split("/7 ")[0] for line in job_lines) == sorted(str(i + 1) for i in range(7))
    (killed,) = (line for line in job_lines if " what=kill " in line)
    assert killed.endswith("s   failed: killed by signal 9 (SIGKILL); out of memory is the usual reason")
    (raised,) = (line for line in job_lines if " what=raise " in line)
    assert re.search(r"   failed: (\w+): .*the cat pulled the plug.*; see .*/traceback\.txt$", raised)
    (fine,) = (line for line in job_lines if " what=nothing " in line)
    val_loss = results(folder)[key("nothing")]["metrics"]["val_loss"]
    assert f", val loss {val_loss:.4f}   " in fine and fine.endswith("s   completed")
    for reason in ("the cat pulled the plug", "killed by signal 9", "exit status 3", "the loss is not finite"):
        assert any(reason in line for line in table)
    for log in folder.glob("*/train.log"):
        assert "all settings: " in log.read_text()
    assert {path.name for path in folder.iterdir() if not path.is_dir()} == REPORT


@pytest.mark.slow
def test_what_failed_is_kept_until_it_is_to_be_tried_again(study):
    folder, _ = study
    before = {path: path.read_bytes() for path in folder.glob("*/result.json")}
    again = sweep(*ARGUMENTS, f"output_dir={folder.parent}")
    assert again.returncode == 1
    assert again.stdout.partition("\n")[2].startswith("7 jobs: 1 completed, 1 diverged, 5 failed at the start\n")
    assert {path: path.read_bytes() for path in folder.glob("*/result.json")} == before

    more = [a.replace("0.01", "0.01,0.02") for a in ARGUMENTS]
    tried = sweep(*more, f"output_dir={folder.parent}", "sweep.retry_failed=true", FAULTS="off")
    found = results(folder)
    statuses = {(lr, what): found[key(what, lr)]["status"] for lr in (0.01, 0.02) for what in WHAT}
    assert [of for of, status in statuses.items() if status != "completed"] == [(0.01, "diverge")]
    assert tried.returncode == 1
    assert tried.stdout.count("/14 ") == 12  # neither what is completed nor what would diverge again
    for lr in (0.01, 0.02):
        ended = [found[key(what, lr)] for what in WHAT if statuses[lr, what] == "completed"]
        reached = {json.dumps(result["metrics"]) for result in ended}
        assert len(reached) == 1, "a run that was tried again differs from one that never failed"
    assert found[key("raise")]["error"] is None


@pytest.mark.slow
def test_on_failure_stop_ends_the_sweep_at_the_first(tmp_path):
    arguments = (FAULT, "+callbacks.fault.what=nothing,raise,kill", f"output_dir={tmp_path}", "name=study")
    done = sweep(*arguments, "sweep.on_failure=stop")
    statuses = {name.rpartition("=")[2]: result["status"] for name, result in results(tmp_path / "study").items()}
    assert statuses == {"nothing": "completed", "raise": "failed"}
    assert done.returncode == 1
    assert done.stderr.startswith("error: 3 jobs: 1 completed, 1 failed, 1 waiting; ")
