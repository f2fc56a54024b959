import csv
from pathlib import Path

import pytest

from trainlab.report.findings import best_run
from trainlab.report.provenance import provenance_warnings, repeat_command, summarize_provenance
from trainlab.report.runs import find_runs
from trainlab.report.write import write_report
from trainlab.runs.result import Result


def test_what_ran(study: Path):
    facts = dict(summarize_provenance(find_runs([study])))
    assert facts["command"] == ["python src/train.py -m model=elu,selu seed=1,2,3 name=study"]
    assert facts["code"] == [f"commit {'c0ffee' * 6}"]
    assert facts["versions"] == ["python 3.11.7, torch 2.15.0"]
    assert facts["machine"] == ["host"]
    assert facts["device"] == ["cpu"]
    assert facts["data"] == ["batch_size=32, split_seed=0, val_size=5000"]
    assert facts["data digest"] == ["d1ge57"]


def test_nothing_to_warn_of(study: Path):
    assert provenance_warnings(find_runs([study])) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("git_commit", "badcafe", "The runs are of 2 different code commits"),
        ("data_digest", "other", "The runs are of 2 different data digests: they did not see the same images"),
        ("versions", {"python": "3.12.0"}, "The runs are of 2 different versions of Python or the libraries"),
        ("git_dirty", True, "1 of 7 runs was made with changes that are not committed"),
        ("host", "elsewhere", "The runs were made on 2 machines (host, elsewhere): their times are not comparable."),
    ],
)
def test_runs_that_differ_in_more_than_settings(study: Path, leave, key: str, value: object, said: str):
    leave("other", [1.0], [0.5], seed=9, **{f"provenance_{key}": value})
    (warning,) = provenance_warnings(find_runs([study]))
    assert warning.startswith(said)


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (("cpu (x86_64, 1 threads)", "cpu (x86_64, 1 thread)"), []),
        (
            tuple(f"cpu (x86_64, {threads})" for threads in ("1 thread", "16 threads", "2 threads", "2 threads")),
            ["The runs used 1, 2 or 16 threads: their times are not comparable."],
        ),
        (
            ("cpu (x86_64, 2 threads)", "NVIDIA H200"),
            ["The runs were made on 2 devices (cpu (x86_64), NVIDIA H200): their times are not comparable."],
        ),
    ],
)
def test_what_makes_times_differ_is_named(leave, tmp_path: Path, devices: tuple[str, ...], said: list[str]):
    for seed, device in enumerate(("NVIDIA H100", *devices)):
        status = "completed" if seed else "failed"  # which is not compared
        folder = leave(f"{seed}", [1.0], [0.5], seed, status=status)
        result = Result.read(folder)
        result.time["device"] = device
        result.write(folder)
    assert provenance_warnings(find_runs([tmp_path])) == said


def test_several_values_are_counted(study: Path, leave):
    leave("other", [1.0], [0.5], seed=9, provenance_host="elsewhere")
    assert dict(summarize_provenance(find_runs([study])))["machine"] == ["host (6 runs)", "elsewhere (1 run)"]


def test_the_command_that_repeats_a_run_is_quoted_and_names_no_folder_but_that_of_the_data(leave, tmp_path: Path):
    overrides = ("model=bn", "data.root=/my images", "model.dense=[64,32]", "callbacks.progress=null", "sweep.jobs=2")
    typed = "python /home/me/trainlab/src/train.py -m model=bn"
    leave("a", [1.0], [0.5], overrides=(*overrides, "output_dir=/home/me/outputs"), provenance_command=typed)
    (run,) = find_runs([tmp_path])
    assert repeat_command(run) == "python src/train.py model=bn 'data.root=/my images' 'model.dense=[64,32]'"


def test_the_command_that_repeats_a_run_starts_it_as_it_was_started(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], overrides=("model=wide",), provenance_program="trainlab train --config-dir 'my conf'")
    (run,) = find_runs([tmp_path])
    assert repeat_command(run) == "trainlab train --config-dir 'my conf' model=wide"


def test_the_command_that_repeats_a_continued_run_trains_in_one_go(leave, no_figures: None, tmp_path: Path):
    origin = {"path": "a/checkpoints/last.ckpt", "epochs": 2, "changes": ["trainer.max_epochs: 2, now 4"]}
    overrides = ("ckpt_path=last", "trainer.max_epochs=4")
    for name, in_one_go in (("longer", True), ("other", False)):
        continued_from = [{**origin, "as_in_one_go": in_one_go}]
        leave(name, [1.0], [0.5], overrides=overrides, provenance_continued_from=continued_from)
    write_report([tmp_path])
    with (tmp_path / "runs.csv").open() as file:
        commands = {row["folder"]: row["command"] for row in csv.DictReader(file)}
    assert commands == {"longer": "python src/train.py trainer.max_epochs=4", "other": ""}
    (line,) = [line for line in (tmp_path / "report.md").read_text().splitlines() if line.startswith("python src/")]
    assert line == "python src/train.py trainer.max_epochs=4"


def test_the_best_run_has_the_lowest_validation_loss_whatever_its_test(study: Path):
    assert best_run(find_runs([study])).folder.name == "selu,1"
    assert best_run([]) is None
