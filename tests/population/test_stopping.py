"""Members that end before others: the others continue without them."""

import pytest
from members import STEPS, alone, assert_same_run, together

from conftest import cases
from trainlab.population.stack import Stack

NADAM = ["optim=nadam", "optim.lr=1e-3"]
# No epoch but the first gets better by 10, so patience counts from the second on; 0 stops after that, like 1.
IMPATIENT = ["callbacks.early_stopping.min_delta=10"]
MEMBERS = {
    "to the end": (["trainer.max_epochs=5"], 5),
    "few epochs": (["trainer.max_epochs=1", "seed=2"], 1),
    "no patience": ([*IMPATIENT, "callbacks.early_stopping.patience=0", "trainer.max_epochs=5"], 2),
    "little patience": ([*IMPATIENT, "callbacks.early_stopping.patience=1", "seed=3", "trainer.max_epochs=5"], 2),
    "more patience": ([*IMPATIENT, "callbacks.early_stopping.patience=2", "trainer.max_epochs=5"], 3),
    "never stops early": (["callbacks.early_stopping=null", "trainer.max_epochs=4"], 4),
}


@pytest.fixture
def stacks(monkeypatch):
    """Numbers of rows of the stacks that are made."""
    made, init = [], Stack.__init__

    def noted(self, *args):
        init(self, *args)
        made.append(len(self.values))

    monkeypatch.setattr(Stack, "__init__", noted)
    return made


def test_max_steps_ends_members_inside_an_epoch_as_it_ends_solo_runs(stacks, tmp_path):
    limit, seeds = f"trainer.max_steps={STEPS + 7}", ("seed=1", "seed=2", "seed=3")
    settings = ["model=alpha_dropout", *NADAM, "data.flip=true", "scheduler=one_cycle", limit]
    results = together({tmp_path / seed: [*settings, seed] for seed in seeds})
    assert [result.metrics["stop_reason"] for result in results] == ["max_steps"] * 3
    assert stacks == [3]
    alone(tmp_path / "alone", *settings, "seed=2")
    assert_same_run(tmp_path / "seed=2", tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("model", cases(["elu_he", "bn"], "bn"))
def test_who_has_come_to_its_end_leaves_the_batch(model, stacks, tmp_path):
    works = {name: [f"model={model}", *NADAM, *settings] for name, (settings, _) in MEMBERS.items()}
    results = together({tmp_path / name: work for name, work in works.items()})
    assert [result.metrics["epochs"] for result in results] == [epochs for _, epochs in MEMBERS.values()]
    # 6 make the first epoch, all but one the second, two leave after it, one after each of the others.
    assert stacks == [6, 5, 3, 2, 1]
    reasons = [result.metrics["stop_reason"] for result in results]
    assert reasons == [*("max_epochs", "max_epochs"), *["early stopping"] * 3, "max_epochs"]
    for name, work in works.items():
        assert not isinstance(alone(tmp_path / f"{name} alone", *work), BaseException)
        assert_same_run(tmp_path / name, tmp_path / f"{name} alone")
