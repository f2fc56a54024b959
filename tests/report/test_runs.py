from pathlib import Path

import pytest

from trainlab.report.runs import find_runs, read_run
from trainlab.runs.result import Result


def leave(folder: Path, status: str = "completed", **metrics: float) -> Path:
    Result(status, "f00d", [], metrics=metrics).write(folder)
    return folder


def test_lowest_validation_loss_first_whatever_the_test_says(tmp_path: Path):
    leave(tmp_path / "a", val_loss=1.5, test_loss=0.1)
    leave(tmp_path / "b", val_loss=0.5, test_loss=3.0)
    leave(tmp_path / "c", val_loss=1.0, test_loss=2.0)
    assert [run.folder.name for run in find_runs([tmp_path])] == ["b", "c", "a"]


def test_runs_without_a_validation_loss_come_last(tmp_path: Path):
    leave(tmp_path / "a", status="failed")
    leave(tmp_path / "b", val_loss=9.0)
    runs = find_runs([tmp_path])
    assert [run.folder.name for run in runs] == ["b", "a"]
    assert runs[1].result.status == "failed"


def test_finds_a_run_itself_and_runs_at_any_depth_of_several_folders(tmp_path: Path):
    single = leave(tmp_path / "single", val_loss=1.0)
    deep = leave(tmp_path / "study" / "lr" / "run", val_loss=2.0)
    runs = find_runs([single, tmp_path / "study"])
    assert [run.folder for run in runs] == [single, deep]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "completed"}', '{"unknown": 1}'])
def test_a_broken_result_is_listed_and_does_not_hide_the_others(tmp_path: Path, content: str):
    leave(tmp_path / "good", val_loss=1.0)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "result.json").write_text(content)
    (tmp_path / "bad" / "config.yaml").write_text("name: bad\noutput_dir: outputs\nseed: 1\ntrainer:\n  devices: 1\n")
    good, bad = find_runs([tmp_path])
    assert (good.folder.name, good.problem) == ("good", None)
    assert (bad.status, bad.result.metrics) == ("unreadable", {})
    assert str(tmp_path / "bad" / "result.json") in bad.problem


def test_a_result_of_an_older_format_says_what_reads_it_and_nothing_about_training(tmp_path: Path):
    path = tmp_path / "old" / "result.json"
    path.parent.mkdir()
    path.write_text('{"status": "completed", "fingerprint": "f00d", "overrides": []}')
    [run] = find_runs([tmp_path])
    expected = f"{path} is of format 1 (read it with trainlab 0.1) and this version reads format 2"
    assert (run.status, run.problem) == ("unreadable", expected)


def test_a_missing_folder_and_one_without_runs_say_what_to_give(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*/nowhere; give one under outputs/"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match=r"no trainlab run under .*; give a folder under outputs/"):
        find_runs([tmp_path])


FOREIGN = {
    "lightning_logs/version_0/metrics.csv": "epoch,step,train_loss\n0,10,0.5\n",
    "hydra_app/config.yaml": "db:\n  user: me\n",
    "lists/result.json": "[1, 2]",
    "scores/result.json": '{"accuracy": 0.5, "status": "done"}',
    "texts/result.json": "all went well",
}


def leave_foreign(folder: Path) -> None:
    for name, content in FOREIGN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    # These are skipped: each has thousands of folders, or copies of the files of a run.
    for name in (".hydra/config.yaml", "mlruns/0/run/artifacts/config.yaml", "wandb/run/files/config.yaml"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("seed: 1\n")


def test_folders_of_other_programs_are_ignored_and_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    leave(tmp_path / "good", val_loss=1.0)
    leave_foreign(tmp_path)
    assert [run.folder.name for run in find_runs([tmp_path])] == ["good"]
    folders = ", ".join(sorted(str((tmp_path / name).parent) for name in FOREIGN))
    assert caplog.messages == [f"not trainlab runs, ignored: {folders}"]


def test_a_folder_of_another_program_alone_is_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    leave_foreign(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no trainlab run under"):
        find_runs([tmp_path / "scores"])
    assert caplog.messages == [f"not a trainlab run, ignored: {tmp_path / 'scores'}"]
    with pytest.raises(FileNotFoundError, match="there is no trainlab run in"):
        read_run(tmp_path / "lists")


def test_a_folder_that_is_misspelled_is_named(study: Path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*/selu,9; did you mean .*/selu,[123]\?"):
        find_runs([study / "selu,9"])
