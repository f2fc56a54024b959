"""Whether two runs are the same, to the bit."""

import torch

from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.files import read_rows
from trainlab.runs.result import Result

TIMES = ("epoch_s", "images_per_s")
NADAM = ["model=elu_he", "optim=nadam", "optim.lr=2e-3"]


def rows(folder, name="metrics.csv"):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in read_rows(folder / name)]


def assert_same(ours, theirs, place=""):
    assert type(ours) is type(theirs), place
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), place
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), place
        for key in ours:
            assert_same(ours[key], theirs[key], f"{place}.{key}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), place
        for i, (x, y) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(x, y, f"{place}[{i}]")
    else:
        assert ours == theirs, place


def assert_same_run(ours, theirs):
    """Rows, result and checkpoints of two folders, but for times."""
    assert rows(ours) == rows(theirs)
    assert Result.read(ours).metrics == Result.read(theirs).metrics
    assert Result.read(ours).status == Result.read(theirs).status == "completed"
    for name in ("best.ckpt", "last.ckpt"):
        checkpoints = [load_checkpoint(folder / "checkpoints" / name) for folder in (ours, theirs)]
        for key in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
            assert_same(*(checkpoint[key] for checkpoint in checkpoints), f"{name} {key}")
        assert_same(*({k: v for k, v in c["callbacks"].items() if "Log" not in k} for c in checkpoints), name)


def assert_same_training(ours, theirs):
    """The same weights, statistics and states of optimizer and schedule, to the bit, and the same rows."""
    assert rows(ours) == rows(theirs)
    for name in ("last", "best"):
        one, other = (load_checkpoint(folder / "checkpoints" / f"{name}.ckpt") for folder in (ours, theirs))
        assert one["state_dict"].keys() == other["state_dict"].keys()
        for key, value in one["state_dict"].items():
            assert torch.equal(value, other["state_dict"][key]), key
        states = [checkpoint["optimizer_states"][0]["state"][0] for checkpoint in (one, other)]
        for key, value in states[0].items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(states[1][key])), key
        assert one["lr_schedulers"] == other["lr_schedulers"]
