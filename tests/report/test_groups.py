from pathlib import Path

import pytest
from omegaconf import OmegaConf

from run_folders import leave_run
from trainlab.report.findings import analyze
from trainlab.report.group_table import groups_table
from trainlab.report.groups import group_runs
from trainlab.report.runs import find_runs
from trainlab.report.tables import group_tables


def groups_in(folder: Path) -> dict[str, list[int]]:
    return {group.label: sorted(group.runs) for group in group_runs(find_runs([folder]))}


def test_runs_that_differ_only_in_the_seed_are_one_group(study: Path):
    assert groups_in(study) == {"selu": [1, 2, 3], "elu": [1, 2, 3]}


def test_the_mean_validation_loss_orders_the_groups(study: Path):
    selu, elu = group_runs(find_runs([study]))
    assert selu.rank == pytest.approx(0.92)
    assert elu.rank == pytest.approx(1.02)
    assert elu.summary("metrics", "val_acc").mean == pytest.approx(0.48)


@pytest.mark.parametrize("status", ["failed", "diverged", "interrupted", "running", "pruned"])
def test_a_run_that_is_not_completed_does_not_count_in_the_means_of_its_group(status: str, leave, tmp_path: Path):
    for seed, loss in ((1, 1.0), (2, 2.0), (3, 9.0)):
        folder = leave(str(seed), [loss], [0.1 * seed], seed=seed)
    path = folder / "result.json"  # of the third one, with all the metrics of a completed run
    path.write_text(path.read_text().replace('"status": "completed"', f'"status": "{status}"'))
    (group,) = group_runs(find_runs([tmp_path]))
    assert (sorted(group.runs), [run.folder.name for run in group.others]) == ([1, 2], ["3"])
    assert group.rank == 1.5
    assert group.summary("metrics", "val_acc").mean == pytest.approx(0.15)
    assert group.summary("metrics", "test_loss").mean == 2.0


def test_where_a_run_is_kept_sets_no_group_apart(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], seed=1, overrides=("data.root=/images/1", "seed=1"))
    leave("b", [1.0], [0.5], seed=2, overrides=("data.root=/images/2", "seed=2"))
    assert groups_in(tmp_path) == {"MLP NAdam lr=1e-4": [1, 2]}  # of the only group, the settings that name it


def test_runs_of_the_same_settings_on_other_images_are_groups_of_their_own(leave, tmp_path: Path):
    for seed, digest in ((1, "0123456789"), (2, "0123456789"), (3, "abcdefghij"), (1, "abcdefghij")):
        leave(f"{digest}{seed}", [float(seed)], [0.5], seed=seed, provenance_data_digest=digest)
    leave("unknown", [1.0], [0.5], seed=4, status="failed", provenance_data_digest=None)
    name = "elu lr=1e-4 images="
    assert groups_in(tmp_path) == {f"{name}01234567": [1, 2], f"{name}abcdefgh": [1, 3]}
    first, second = group_runs(find_runs([tmp_path]))
    assert (first.rank, second.rank) == (1.5, 2.0)
    assert ([run.folder.name for run in first.others], first.repeats, second.repeats) == (["unknown"], [], [])


def test_a_seed_of_a_part_that_was_set_by_hand_is_a_setting(leave, tmp_path: Path):
    run = leave("a", [1.0], [0.5], seed=1, overrides=())
    other = leave("b", [1.0], [0.5], seed=2, overrides=("model.seed=7", "seed=2"))
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(
        config.replace("  num_classes: 10\n  seed: 2\n", "  num_classes: 10\n  seed: 7\n")
    )
    assert (run / "config.yaml").read_text() != (other / "config.yaml").read_text()
    assert len(groups_in(tmp_path)) == 2


def with_settings(folder: Path, **values: dict[str, int]) -> None:
    """Put a section with ``values`` into the configuration of a run."""
    config = OmegaConf.load(folder / "config.yaml")
    OmegaConf.save(OmegaConf.merge(config, values), folder / "config.yaml")


def test_the_seed_of_a_search_that_happens_to_be_that_of_a_run_is_a_setting(leave, tmp_path: Path):
    for seed in (0, 1, 2):
        with_settings(leave(f"{seed}", [1.0], [0.5], seed=seed), lr_search={"seed": 0})
    assert [*groups_in(tmp_path).values()] == [[0, 1, 2]]


def test_the_seed_of_a_part_that_is_fixed_for_all_runs_or_swept_is_a_setting(leave, tmp_path: Path):
    for seed in (1, 2):
        for part in (1, 2):
            run = leave(f"{seed}{part}", [float(part)], [0.5], seed=seed, overrides=(f"model.seed={part}",))
            with_settings(run, model={"seed": part})
    assert groups_in(tmp_path) == {"model.seed=1": [1, 2], "model.seed=2": [1, 2]}


def test_labels_hold_the_overrides_that_differ_options_by_name(leave, tmp_path: Path):
    for model, lr in (("elu", 1e-4), ("elu", 5e-4), ("selu", 5e-4)):
        overrides = ("model.depth=20", f"optim.lr={lr}", f"model={model}", "callbacks.progress=null")
        leave(f"{model}{lr}", [lr * 1000], [0.5], activation=model, lr=lr, overrides=overrides)
    assert [*groups_in(tmp_path)] == ["elu lr=1e-4", "elu lr=5e-4", "selu lr=5e-4"]


def test_what_the_overrides_do_not_tell_apart_the_settings_do(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], lr=1e-4, overrides=())
    leave("b", [2.0], [0.5], lr=1e-3, overrides=())
    assert [*groups_in(tmp_path)] == ["lr=1e-4", "lr=1e-3"]


def test_a_seed_counts_once_and_the_first_folder_by_name_is_it(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], seed=1)
    leave("b", [0.5], [0.9], seed=1)
    (group,) = group_runs(find_runs([tmp_path]))
    assert [run.folder.name for run in group.runs.values()] == ["a"]
    assert [run.folder.name for run in group.repeats] == ["b"]


@pytest.mark.parametrize("status", ["running", "diverged", "failed", "interrupted"])
def test_runs_that_are_not_completed_count_in_no_mean(leave, tmp_path: Path, status: str):
    leave("a", [1.0], [0.5], seed=1)
    leave("b", [0.1], [0.9], seed=2, status=status)
    (group,) = group_runs(find_runs([tmp_path]))
    assert group.rank == 1.0
    assert [run.folder.name for run in group.others] == ["b"]


def test_a_number_written_in_another_way_is_the_same_number(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], seed=1, overrides=("optim.lr=1e-4", "seed=1"))
    leave("b", [1.0], [0.5], seed=2, overrides=("optim.lr=0.0001", "seed=2"))
    assert groups_in(tmp_path) == {"lr=1e-4": [1, 2]}


def test_warnings_of_what_a_mean_leaves_out(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], seed=1)
    leave("b", [1.0], [0.5], seed=1)
    leave("c", [1.0], [0.5], seed=2, status="failed")
    assert analyze([tmp_path], find_runs([tmp_path])).warnings == [
        "Some seeds of elu lr=1e-4 did not complete: those that did may be the luckier ones.",
        "1 of 3 runs repeats the settings and the seed of another and is left out of means and tests: each seed counts "
        "once.",
        "In 2 of 2 completed runs the last epoch was the best: with longer training the model may become better.",
    ]


def test_a_label_hides_no_setting_that_differs(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], activation="elu", lr=1e-4, overrides=("model=elu",))
    leave("b", [2.0], [0.5], activation="bn", lr=5e-4, overrides=("model=bn", "optim.lr=0.0005"))
    assert [*groups_in(tmp_path)] == ["elu lr=1e-4", "bn lr=5e-4"]


def test_a_learning_rate_that_came_with_an_option_is_named(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], activation="elu", lr=1e-4, overrides=("model=elu",))
    leave("b", [2.0], [0.5], activation="bn", lr=5e-4, overrides=("model=bn",))
    assert [*groups_in(tmp_path)] == ["elu lr=1e-4", "bn lr=5e-4"]


def test_groups_are_in_the_order_of_what_they_are_compared_by(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], activation="elu")
    leave("b", [1.1], [0.6], activation="selu")  # the higher loss, and the higher accuracy
    assert [*groups_in(tmp_path)] == ["selu", "elu"]
    (table,) = group_tables(analyze([tmp_path], find_runs([tmp_path])))
    assert table.headings[:2] == ["group", "val acc"]
    assert [row[1][0] for row in table.rows] == ["60.0 %", "50.0 %"]


def test_an_epoch_as_long_as_many_makes_seconds_doubtful(study: Path):
    last, *others = analyze([study], find_runs([study])).warnings
    assert last.startswith("In 3 of 6 completed runs the last epoch was the best") and others == []
    path = study / "elu,2" / "metrics.csv"
    lines = path.read_text().splitlines(keepends=True)
    for epoch_s, doubtful in (("9.9", False), ("10.1", True)):  # the others take 2.0 s
        fields = lines[3].split(",")
        fields[8] = epoch_s
        path.write_text("".join([*lines[:3], ",".join(fields), *lines[4:]]))
        said = analyze([study], find_runs([study])).warnings
        assert (
            any(warning.startswith("1 run has an epoch more than 5 times its median: ") for warning in said) is doubtful
        )


def test_a_last_epoch_that_is_the_best_may_be_too_early_to_rank_by(study: Path):
    def found() -> list[str]:
        return analyze([study], find_runs([study])).notes()

    # elu is best at its last epoch, selu one before
    assert found() == [
        "In 3 of 6 completed runs the last epoch was the best: with longer training the order may change."
    ]
    path = study / "elu,1" / "metrics.csv"
    curve = path.read_text()
    path.write_text(curve.replace(",0.0001,", ",0.001,", 1))  # only the first rate: all others are a tenth of it
    assert len(found()) == 1
    path.write_text(curve.replace(",0.0001,", ",0.0011,", 1))  # as a schedule ends that had planned this length
    assert found() == []
    path.write_text(curve)
    result = study / "elu,1" / "result.json"
    result.write_text(result.read_text().replace('"max_epochs"', '"early stopping"'))
    assert found() == []


def test_the_only_group_is_named_by_its_rate_too(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], overrides=("model=elu", "model.depth=20"))
    assert [*groups_in(tmp_path)] == ["elu lr=1e-4 depth=20"]


def test_the_table_of_groups_in_a_terminal_has_intervals_and_differences(study: Path):
    leave_run(study / "wild", [9.0], [0.1], 1, "wild", status="diverged")
    table, note = groups_table(analyze([study], find_runs([study]))).renderables
    cells = {column.header: list(column.cells) for column in table.columns}
    assert cells == {
        **{"group": ["selu", "elu", "wild"], "val acc": ["53.0 % ± 2.5", "48.0 % ± 2.5", "diverged"]},
        **{"n": ["3", "3", "0 of 1"], "behind": ["-", "5.0 ± 0.1*", "-"], "p (Holm)": ["-", "4e-5", "-"]},
    }
    assert "significantly worse than the best" in str(note)
