"""Members whose task is no default classification equal their solo runs."""

from functools import partial

import pytest
from members import assert_same_run

import task_data
from conftest import first
from task_data import F1, R2
from trainlab.config.compose import compose
from trainlab.population.eligibility import ineligible_reason
from trainlab.population.runner import Population
from trainlab.run import build, run

SMALL = (
    *("model.depth=3", "model.width=16", "data.batch_size=16", "trainer=cpu", "trainer.max_epochs=2"),
    *("trainer.precision=64-true", "callbacks.figures=null", "callbacks.progress=null", "logger.tensorboard=null"),
)
TASKS = {
    "labels": ["multilabel", F1, "task.pos_weights=balanced"],
    "values": ["two values", R2, "task.criterion=huber"],
    "focal": ["classes", "task.focal_gamma=2"],
    "weights": ["classes", "task.class_weights=balanced", "task.label_smoothing=0.1"],
    "focal, weights": ["classes", "task.focal_gamma=2", "task.class_weights=balanced", "task.label_smoothing=0.1"],
}
OWN = ["~task.criterion", "~task.huber_delta"]


def config(folder, name, *overrides):
    return compose([*SMALL, f"output_dir={folder}", "name=small", f"run_dir={folder / name}", *overrides])


# Compiled, one of those whose loss is batched by `torch.func.vmap`, and one of `weighted_losses`.
@pytest.mark.parametrize(
    ("task", "compile"),
    first(
        1,
        [
            *(("labels", False), ("values", False), ("focal", False), ("weights", False)),
            *(("labels", True), ("focal, weights", True)),
        ],
    ),
)
def test_members_equal_solo_runs(task, compile, tmp_path):
    kind, *own = TASKS[task]
    common = [*task_data.save(tmp_path, kind), *own, f"compile={compile}"]
    works = [[*common, f"seed={seed}", f"optim.eps={eps}"] for seed, eps in ((1, 1e-8), (2, 1e-6))]
    for result in Population([partial(run, config(tmp_path, f"m{i}", *work)) for i, work in enumerate(works)]).run():
        assert not isinstance(result, BaseException), result
    for i, work in enumerate(works):
        run(config(tmp_path, f"solo{i}", *work))
        assert_same_run(tmp_path / f"m{i}", tmp_path / f"solo{i}")


def test_a_task_of_a_users_own_is_batched_where_torch_can(tmp_path):
    reasons = {}
    for name in ("Quantile", "Branching"):
        arrays = task_data.save(tmp_path, "regression")
        cfg = config(tmp_path, "run", *arrays, *OWN, f"task._target_=task_data.{name}")
        reasons[name] = ineligible_reason(cfg.settings, 1, build(cfg).data)
    assert reasons["Quantile"] == ""
    assert reasons["Branching"].startswith("Branching cannot be batched by torch.func.vmap (")


def test_a_trial_of_a_task_is_repeated_for_other_targets(tmp_path):
    """Here with as many names: three classes, then three labels."""
    cfg = config(tmp_path, "run", *task_data.save(tmp_path, "regression"), *OWN, "task._target_=task_data.Quantile")
    kinds = {kind: build(config(tmp_path, kind, *task_data.save(tmp_path, kind))) for kind in ("classes", "multilabel")}
    reasons = {kind: ineligible_reason(cfg.settings, 1, parts.data) for kind, parts in kinds.items()}
    assert reasons["classes"] == ""
    assert reasons["multilabel"].startswith("Quantile cannot be batched by torch.func.vmap (")


@pytest.mark.slow
def test_members_of_a_users_own_task_equal_solo_runs(tmp_path):
    common = [*task_data.save(tmp_path, "regression"), *OWN, "task._target_=task_data.Quantile", "+task.quantile=0.75"]
    configs = [config(tmp_path, f"m{seed}", *common, f"seed={seed}") for seed in (1, 2)]
    Population([partial(run, cfg) for cfg in configs]).run()
    run(config(tmp_path, "solo", *common, "seed=2"))
    assert_same_run(tmp_path / "m2", tmp_path / "solo")
