"""Who else is in a population does not show in a member's result."""

import pytest
import torch
from members import TOLERANCE, alone, assert_same_run, config, together

from trainlab.population.batch_streams import BatchStreams
from trainlab.run import run

KINDS = {
    "nadam": ["optim=nadam", "optim.lr=1e-3"],
    "bn, one cycle": ["model=bn", "optim=sgd", "optim.lr=5e-3", "scheduler=one_cycle"],
    "alpha dropout, augmented": [
        *("model=alpha_dropout", "model.dropout_after=every", "optim=sgd", "optim.lr=5e-3"),
        *("data.flip=true", "data.crop_padding=2"),
    ],
}
OWN = {
    "first": ["seed=1"],
    "second": ["seed=2", "task.label_smoothing=0.1"],
    "third": ["seed=1", "optim.weight_decay=0.01"],
    "fourth": ["seed=3", "trainer.max_epochs=1"],
}
FULL_BATCHES = "data.num_train=420"  # 20 of 16 an epoch, see `BITWISE`
GROUPS = {
    "all": ("first", "second", "third", "fourth"),
    "backwards": ("fourth", "third", "second", "first"),
    "three": ("second", "first", "third"),
    "two": ("third", "first"),
    "one": ("first",),
    "twice": ("first", "first"),
}


def train_groups(common, folder, groups):
    """Run each group. Every member leaves its run in `folder/<group>/<place>_<name>`."""
    for group in groups:
        names = GROUPS[group]
        works = {folder / group / f"{i}_{name}": [*common, *OWN[name]] for i, name in enumerate(names)}
        for result in together(works):
            assert not isinstance(result, BaseException), (group, result)


def runs_of(name, folder):
    return sorted(folder.glob(f"*/*_{name}"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        ("nadam", "64-true"),
        ("bn, one cycle", "64-true"),
        ("alpha dropout, augmented", "64-true"),
        ("alpha dropout, augmented", "32-true"),
    ],
)
def test_a_member_has_the_same_result_whoever_joins_leaves_or_changes_places(kind, precision, tmp_path):
    common = [*KINDS[kind], FULL_BATCHES, "trainer.max_epochs=2", f"trainer.precision={precision}"]
    train_groups(common, tmp_path, GROUPS)
    for name, times in {"first": 7, "second": 3, "third": 4, "fourth": 2}.items():
        first, *others = runs_of(name, tmp_path)
        assert len(others) == times - 1
        for other in others:
            # torch normalizes a batch of all members' units, and sums some of them 4 at a time.
            assert_same_run(other, first, TOLERANCE if "bn" in kind else 0.0)


@pytest.mark.slow
def test_the_number_of_threads_changes_nothing(tmp_path):
    """Members are divided among threads, each of which computes on its own."""
    common = [*KINDS["bn, one cycle"], "trainer.max_epochs=2"]
    train_groups(common, tmp_path / "1", ["all"])
    torch.set_num_threads(3)
    try:
        train_groups(common, tmp_path / "3", ["all"])
    finally:
        torch.set_num_threads(1)
    for run_of_one in (tmp_path / "1").glob("*/*"):
        assert_same_run(tmp_path / "3" / run_of_one.relative_to(tmp_path / "1"), run_of_one, TOLERANCE)


@pytest.mark.slow
def test_members_of_one_seed_share_their_batches(tmp_path, monkeypatch):
    made = []

    class Counted(BatchStreams):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self.count)

    monkeypatch.setattr("trainlab.population.stack.BatchStreams", Counted)
    works = {tmp_path / str(i): [f"seed={seed}", "trainer.max_epochs=2"] for i, seed in enumerate([1, 2, 1])}
    together(works)
    assert made == [2] * 2


def test_a_population_draws_nothing_from_global_generators(tmp_path):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    common = [*KINDS["alpha dropout, augmented"], "trainer.max_epochs=1"]
    together({tmp_path / str(i): [*common, f"seed={i}"] for i in range(2)})
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_a_run_after_a_population_is_what_it_is_before_one(tmp_path):
    """Default types, threads and handlers of signals are given back."""
    settings = ["trainer.max_epochs=1", "trainer.precision=32-true"]
    alone(tmp_path / "before", *settings)
    together({tmp_path / str(i): ["trainer.max_epochs=1", f"seed={i}"] for i in range(2)})  # in float64
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_num_threads() == 1
    run(config(tmp_path / "after", *settings))
    assert_same_run(tmp_path / "after", tmp_path / "before", tolerance=0.0)
