from pathlib import Path

import pytest

from trainlab.report.findings import find
from trainlab.report.groups import group_runs
from trainlab.report.runs import find_runs


def groups_in(folder: Path) -> dict[str, list[int]]:
    return {group.label: sorted(group.runs) for group in group_runs(find_runs([folder]))}


def test_runs_that_differ_only_in_the_seed_are_one_group(study: Path):
    assert groups_in(study) == {"selu": [1, 2, 3], "elu": [1, 2, 3]}


def test_the_mean_validation_loss_orders_the_groups(study: Path):
    selu, elu = group_runs(find_runs([study]))
    assert selu.val_loss == pytest.approx(0.92)
    assert elu.val_loss == pytest.approx(1.02)
    assert elu.summary("metrics", "val_acc").mean == pytest.approx(0.48)


def test_where_a_run_is_kept_sets_no_group_apart(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], seed=1, overrides=("data.root=/images/1", "seed=1"))
    leave("b", [1.0], [0.5], seed=2, overrides=("data.root=/images/2", "seed=2"))
    assert groups_in(tmp_path) == {"defaults": [1, 2]}


def test_a_seed_of_a_part_that_was_set_by_hand_is_a_setting(leave, tmp_path: Path):
    run = leave("a", [1.0], [0.5], seed=1, overrides=())
    other = leave("b", [1.0], [0.5], seed=2, overrides=("model.seed=7", "seed=2"))
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("  depth: 20\n  seed: 2\n", "  depth: 20\n  seed: 7\n"))
    assert (run / "config.yaml").read_text() != (other / "config.yaml").read_text()
    assert len(groups_in(tmp_path)) == 2


def test_labels_hold_the_overrides_that_differ_options_by_name(leave, tmp_path: Path):
    for model, lr in (("elu", 1e-4), ("elu", 5e-4), ("selu", 5e-4)):
        overrides = ("model.depth=20", f"optim.lr={lr}", f"model={model}", "callbacks.progress=null")
        leave(f"{model}{lr}", [lr * 1000], [0.5], activation=model, lr=lr, overrides=overrides)
    assert [*groups_in(tmp_path)] == ["elu lr=0.0001", "elu lr=0.0005", "selu lr=0.0005"]


def test_what_the_overrides_do_not_tell_apart_the_settings_do(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], lr=1e-4, overrides=())
    leave("b", [2.0], [0.5], lr=1e-3, overrides=())
    assert [*groups_in(tmp_path)] == ["lr=0.0001", "lr=0.001"]


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
    assert group.val_loss == 1.0
    assert [run.folder.name for run in group.others] == ["b"]


def test_a_number_written_in_another_way_is_the_same_number(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], seed=1, overrides=("optim.lr=1e-4", "seed=1"))
    leave("b", [1.0], [0.5], seed=2, overrides=("optim.lr=0.0001", "seed=2"))
    assert groups_in(tmp_path) == {"defaults": [1, 2]}


def test_warnings_of_what_a_mean_leaves_out(leave, tmp_path: Path):
    leave("a", [1.0], [0.5], seed=1)
    leave("b", [1.0], [0.5], seed=1)
    leave("c", [1.0], [0.5], seed=2, status="failed")
    assert find([tmp_path], find_runs([tmp_path])).warnings == [
        "Not completed, so listed but counted nowhere: 1 of 3 runs.",
        "Some seeds of defaults are not completed: what remains may be the luckier ones.",
        "Runs that repeat the settings and the seed of another: 1. Each seed counts once.",
    ]
