import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting, Sweep

SWEEP = Sweep("rates", ("optim.lr=1e-4,1e-3", "seed=1,2"))


@pytest.fixture
def evidence(tmp_path: Path) -> Callable[[], Evidence]:
    return lambda: Evidence(tmp_path, Setting())


def test_a_group_is_there_once_all_its_seeds_have_ended(leave: Callable[..., Path], evidence: Callable[[], Evidence]):
    with pytest.raises(NotAvailable, match=r"rates with optim.lr=0.001 has not begun"):
        evidence().group(SWEEP, optim__lr=1e-3)
    leave("rates/a", [1.0, 0.9], [0.4, 0.5], seed=1, lr=1e-3)
    leave("rates/b", [1.0], [0.4], seed=2, lr=1e-3, status="running")
    leave("rates/c", [1.0], [0.4], seed=1, lr=1e-4)
    with pytest.raises(NotAvailable, match="1 of 2 seeds have ended"):
        evidence().group(SWEEP, optim__lr=1e-3)
    leave("rates/d", [1.0], [0.4], seed=2, lr=1e-4, status="diverged")
    group = evidence().group(SWEEP, optim__lr=1e-4)
    assert list(group.runs) == [1] and [run.seed for run in group.others] == [2]
    with pytest.raises(NotAvailable, match="rates is not through"):
        evidence().ended_groups(SWEEP)


def test_settings_that_several_groups_have_are_a_mistake(leave: Callable[..., Path], evidence: Callable[[], Evidence]):
    for i, lr in enumerate((1e-3, 1e-4)):
        for seed in (1, 2):
            leave(f"rates/{i}{seed}", [1.0], [0.4], seed=seed, lr=lr)
    assert len(evidence().ended_groups(SWEEP)) == 2
    with pytest.raises(LookupError, match="2 groups of rates"):
        evidence().group(SWEEP, model__activation="elu")


def test_measurements_are_stored_and_loaded(evidence: Callable[[], Evidence]):
    with pytest.raises(NotAvailable, match="sparsity is not measured"):
        evidence().measured("sparsity")
    assert evidence().measured_of("sparsity") is None
    evidence().keep("sparsity", {"zeros": [0.5, 0.9]}, "these runs")
    assert evidence().measured_of("sparsity") == "these runs"
    assert evidence().measured("sparsity") == {"zeros": [0.5, 0.9]}


def test_no_answer_is_made_of_a_group_with_a_run_that_failed(
    leave: Callable[..., Path], evidence: Callable[[], Evidence]
):
    for seed in (1, 2):
        leave(f"rates/a{seed}", [1.0], [0.4], seed=seed, lr=1e-3)
    leave("rates/b1", [1.0], [0.4], seed=1, lr=1e-4)
    error = {"type": "OSError", "message": "no room\non the disk"}
    leave("rates/b2", [1.0], [0.4], seed=2, lr=1e-4, status="failed", error=error)
    with pytest.raises(NotAvailable, match=r"lr=1e-4: 1 run failed \(no room\)$"):
        evidence().group(SWEEP, optim__lr=1e-4)
    with pytest.raises(NotAvailable, match=r"^rates: 1 run failed \(no room\)$"):
        evidence().ended_groups(SWEEP)
    assert len(evidence().group(SWEEP, optim__lr=1e-3).runs) == 2  # the other group says what it says


def test_what_ran_changes_with_each_run_and_how_it_ended(leave: Callable[..., Path], evidence: Callable[[], Evidence]):
    folder = leave("rates/1", [1.0], [0.4], seed=1, lr=1e-3, status="running")
    begun = evidence().what_ran([SWEEP])
    shutil.rmtree(folder)
    leave("rates/1", [1.0], [0.4], seed=1, lr=1e-3)
    one = evidence()
    ended = one.what_ran([SWEEP])
    leave("rates/2", [1.0], [0.4], seed=2, lr=1e-3)
    assert one.what_ran([SWEEP]) == ended  # of what was read
    assert len({begun, ended, evidence().what_ran([SWEEP])}) == 3


def test_a_sweep_that_is_not_through_has_no_groups_to_choose_from(
    leave: Callable[..., Path], evidence: Callable[[], Evidence]
):
    for seed in (1, 2):
        leave(f"rates/a{seed}", [1.0], [0.4], seed=seed, lr=1e-3)
    with pytest.raises(NotAvailable, match="rates is not through"):
        evidence().ended_groups(SWEEP)
    assert len(evidence().group(SWEEP, optim__lr=1e-3).runs) == 2  # a group that has ended can be shown
    for seed in (1, 2):
        leave(f"rates/b{seed}", [1.0], [0.4], seed=seed, lr=1e-4)
    assert len(evidence().ended_groups(SWEEP)) == 2
