"""Compiled populations: members have the results of their eager solo runs."""

import pytest
import torch
from members import alone, assert_same_run, config, together

from trainlab.config.build import build
from trainlab.population import stack

NADAM = ["optim=nadam", "optim.lr=1e-3"]
# What all members have, and what each has of its own.
CASES = {
    "batch normalization, decay": (
        ["model=bn", "optim=adamw", "optim.lr=1e-3", "optim.weight_decay=0.1", "optim.amsgrad=true"],
        [["seed=1"], ["optim.lr=5e-4", "seed=2"]],
    ),
    "batch normalization, clipped by norm": (
        ["model=bn", *NADAM, "trainer.gradient_clip_val=1"],
        [["seed=1"], ["trainer.gradient_clip_val=0.1", "seed=2"], ["optim.lr=5e-4"]],
    ),
    "alpha dropout, 1cycle": (
        ["model=alpha_dropout", "model.dropout_after=every", "optim=sgd", "optim.lr=5e-3", "scheduler=one_cycle"],
        [["seed=1"], ["model.dropout=0.2", "optim.momentum=0.8"]],
    ),
    "decay, smoothing, clipped by value": (
        ["optim=adamw", "optim.lr=1e-3", "trainer.gradient_clip_val=0.01", "trainer.gradient_clip_algorithm=value"],
        [["task.label_smoothing=0.1"], ["optim.weight_decay=0.1", "optim.betas=[0.8,0.99]"]],
    ),
    "prelu, rmsprop, plateau": (
        ["model.activation=prelu", "optim=rmsprop", "optim.lr=1e-4", "optim.momentum=0.9", "scheduler=plateau"],
        [["scheduler.patience=0"], ["scheduler.patience=1", "optim.alpha=0.9"]],
    ),
}


def assert_equal(works, folder):
    """Each of the works has the same result compiled in a population as in an eager solo run."""
    for result in together({folder / f"together_{i}": work for i, work in enumerate(works)}, compile=True):
        assert not isinstance(result, BaseException), result
    for i, work in enumerate(works):
        assert not isinstance(alone(folder / f"alone_{i}", *work), BaseException)
        assert_same_run(folder / f"together_{i}", folder / f"alone_{i}")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_members_are_those_of_eager_runs(case, tmp_path, monkeypatch):
    monkeypatch.setattr(stack, "LARGE", 300)  # a hidden layer has 400 weights
    common, own = CASES[case]
    assert_equal([["model.depth=3", *common, *settings] for settings in own], tmp_path)


@pytest.mark.slow
def test_members_leave_and_the_others_continue(tmp_path):
    # Seven rows, then five, then four members in five rows.
    epochs = (1, 1, 2, 3, 3, 3, 3)
    common = [*NADAM, "model.depth=2", "model.width=8"]
    assert_equal([[*common, f"seed={i}", f"trainer.max_epochs={n}"] for i, n in enumerate(epochs)], tmp_path)


@pytest.mark.slow
def test_a_compiled_members_checkpoint_is_gone_on_with(tmp_path):
    work = [*NADAM, "model.depth=2", "model.width=8"]
    members = {tmp_path / str(seed): [*work, f"seed={seed}"] for seed in (1, 2)}
    for more in (["trainer.max_epochs=2"], ["ckpt_path=last"]):
        results = together({folder: [*member, *more] for folder, member in members.items()}, compile=True)
        assert not any(isinstance(result, BaseException) for result in results), results
    for folder, member in members.items():
        whole = folder.with_name(f"{folder.name} alone")
        assert not isinstance(alone(whole, *member), BaseException)
        assert_same_run(folder, whole)


@pytest.mark.slow
@pytest.mark.parametrize(("clip", "stored"), [("norm", True), ("value", False)])
def test_the_gradient_of_all_parameters_is_stored_for_its_norm_alone(clip, stored, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "code"))
    monkeypatch.setattr(stack, "LARGE", 300)
    work = [*NADAM, "trainer.gradient_clip_val=1", f"trainer.gradient_clip_algorithm={clip}"]
    works = {tmp_path / f"{seed}": [*work, f"seed={seed}"] for seed in (1, 2)}
    assert not any(isinstance(result, BaseException) for result in together(works, compile=True))
    parameters = sum(p.numel() for p in build(config(tmp_path / "other", *work)).network.parameters())
    code = "".join(path.read_text() for path in (tmp_path / "code").glob("??/*.py"))
    assert "extern_kernels.bmm" in code
    assert (f"empty_strided_cpu((2, {parameters})" in code) is stored


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["elu", "selu"])
def test_float32_members_differ_from_eager_ones_by_rounding(activation, tmp_path):
    work = [*NADAM, f"model.activation={activation}", "trainer.precision=32-true", "trainer.max_epochs=1"]
    work += ["trainer.limit_train_batches=8"]  # more amplify rounding: by a hundredth of the loss after 50
    found = []
    for compile in (True, False):
        works = {tmp_path / f"{compile} {seed}": [*work, f"seed={seed}"] for seed in (1, 2)}
        found += [[result.metrics["val_loss"] for result in together(works, compile=compile)]]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["activation=elu", "activation=selu", "batch_norm=true"])
def test_the_backward_pass_of_an_activation_takes_no_exponential(model, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "code"))
    work = [*NADAM, f"model.{model}"]
    works = {tmp_path / f"{seed}": [*work, f"seed={seed}"] for seed in (1, 2)}
    assert not any(isinstance(result, BaseException) for result in together(works, compile=True))
    code = "".join(path.read_text() for path in (tmp_path / "code").glob("??/*.py"))
    kernels = [kernel for kernel in code.split("\ncpp_fused")[1:] if "elu_backward" in kernel.partition(" = ")[0]]
    assert kernels and not any(".exp()" in kernel for kernel in kernels)
    assert "as_strided" not in code and "new_zeros" not in code  # copies, for changes of a view


def test_parameters_are_updated_in_blocks_of_at_least_some_size():
    sizes = {"first": 100, "bias": 4, "second": 16, "third": 16, "large": 50, "last": 5}
    assert stack.blocks_of(sizes, 30) == [["first"], ["bias", "second", "third"], ["large"], ["last"]]
    assert stack.blocks_of(sizes, 10**6) == [[*sizes]]


def test_a_part_has_the_memory_of_its_view():
    values = torch.zeros(3, 8)
    part = stack._apart(values[:, 2:5])
    part += 1
    assert values.sum(0).tolist() == [0, 0, 3, 3, 3, 0, 0, 0]
    assert part.storage_offset() == 0 and part.untyped_storage()._cdata != values.untyped_storage()._cdata
