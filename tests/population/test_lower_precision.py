"""Populations in bfloat16: members have the results of their solo runs, to the rounding of bfloat16."""

import pytest
import torch
from members import alone, together

from conftest import first
from trainlab.runs.checkpoints import load_checkpoint

WORK = ("optim=sgd", "optim.lr=0.01", "data.num_train=900", "trainer.max_epochs=1")
NETWORKS = {
    "elu": (),
    "batch normalization": ("model=bn",),
    "dropout": ("model.dropout=0.2", "model.dropout_kind=standard", "model.dropout_after=every"),
    "alpha dropout": ("model=alpha_dropout", "model.dropout_after=every"),
    "prelu": ("model.activation=prelu",),
    "rrelu": ("model.activation=rrelu",),
    "clipped": ("trainer.gradient_clip_val=0.1",),
}


def weights(folder):
    state = load_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]
    return torch.cat([tensor.flatten().double() for tensor in state.values()])


def apart(one, other):
    """Mean distance of the weights of two runs."""
    return float((weights(one) - weights(other)).abs().mean())


SOLO = {"solo": (), "float32": ("trainer.precision=32-true",), "near": ("optim.lr=0.01000001",)}


def trained(folder, precision, *work, others=("solo", "float32"), compile=False):
    """A member of a population of two, and solo runs: like it, in float32, or with nearly the same rate."""
    work = (*WORK, *work, f"trainer.precision={precision}")
    members = [folder / f"member_{seed}" for seed in (1, 2)]
    works = {member: [*work, f"seed={seed}"] for seed, member in enumerate(members, 1)}
    results = together(works, compile=compile)
    results += [alone(folder / name, *work, "seed=1", *SOLO[name]) for name in others]
    assert {getattr(result, "status", result) for result in results} == {"completed"}
    return members[0], *(folder / name for name in others)


@pytest.mark.filterwarnings("ignore:alpha dropout will not keep")
@pytest.mark.parametrize(
    ("network", "precision"),
    first(
        1,
        [
            *((network, "bf16-mixed") for network in NETWORKS),
            *((network, "bf16-true") for network in ("elu", "batch normalization", "dropout")),
        ],
    ),
)
def test_a_step_differs_from_that_of_a_solo_run_far_less_than_from_float32(network, precision, tmp_path):
    # Both sum in float32 and round to bfloat16: where they sum in another order, few sums are rounded to a neighbour.
    member, solo, single = trained(tmp_path, precision, *NETWORKS[network], "trainer.max_steps=1")
    assert apart(member, solo) <= apart(single, solo) / 20
    assert apart(single, solo) > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:alpha dropout will not keep")
@pytest.mark.parametrize("network", ["elu", "batch normalization", "alpha dropout", "clipped"])
def test_a_training_differs_no_more_than_two_solo_runs_do(network, tmp_path):
    # Training amplifies a difference of a millionth of the learning rate, too: weights near the middle between two
    # numbers of bfloat16 are rounded to the other one.
    member, solo, near = trained(tmp_path, "bf16-mixed", *NETWORKS[network], others=("solo", "near"))
    assert apart(member, solo) <= 2 * apart(near, solo)


@pytest.mark.slow
def test_a_compiled_training_differs_no_more_than_one_in_float32(tmp_path):
    # Compiled steps round to bfloat16 before and after products only.
    member, solo, single = trained(tmp_path, "bf16-mixed", compile=True)
    compiled = tmp_path / "compiled"
    assert alone(compiled, *WORK, "trainer.precision=bf16-mixed", "seed=1", compile=True).status == "completed"
    assert 0 < apart(member, solo) <= apart(single, solo)
    assert 0 < apart(compiled, solo) <= apart(single, solo)
