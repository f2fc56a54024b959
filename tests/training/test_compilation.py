"""Which runs have compiled steps, and that whoever continues them keeps it."""

import json

import pytest
from filelock import FileLock

from conftest import STEPS
from trainlab.config.build import build
from trainlab.config.compose import compose
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.training.compilation import lacks_for_compilation, set_up_compilation

ALL_STEPS = 2 * STEPS
SUMMARY = "lightning.pytorch.callbacks.ModelSummary"
AUTO = {
    "as long as the limit": ((f"compile_min_steps={ALL_STEPS}",), True),
    "a step shorter": ((f"compile_min_steps={ALL_STEPS + 1}",), False),
    "without a limit": (("trainer.max_epochs=-1",), True),
    "set": (("compile=true",), True),
    "switched off": (("compile=false", "compile_min_steps=1"), False),
    "products in bfloat16": (("trainer.precision=bf16-mixed", "compile_min_steps=1"), True),
    "all in bfloat16": (("trainer.precision=bf16-true", "compile_min_steps=1"), False),
    "a callback of the user's": (("+callbacks.own={_target_: faults.Fault}", "compile_min_steps=1"), False),
    "a callback of Lightning": ((f"+callbacks.own._target_={SUMMARY}", "compile_min_steps=1"), True),
    "accumulation": (("trainer.accumulate_grad_batches=2", "compile_min_steps=1"), False),
    "an optimizer without a rule": (("optim=muon", "compile_min_steps=1"), False),
}


def test_networks_that_are_not_of_trainlab_are_eager():
    cfg = compose(["model=resnet18", "data=shapes", "trainer=cpu", "compile_min_steps=1", "name=run"])
    assert not build(cfg).learner.compiled


@pytest.mark.parametrize("case", AUTO)
def test_the_settings_decide(case, compose_config):
    overrides, compiled = AUTO[case]
    assert build(compose_config(*overrides)).learner.compiled is compiled


def test_without_a_compiler_long_runs_are_eager_and_say_so(compose_config, monkeypatch):
    monkeypatch.setenv("CXX", "no-compiler")
    lacks_for_compilation.cache_clear()
    learner = build(compose_config("compile_min_steps=1")).learner
    assert not learner.compiled
    assert "lacks a C++ compiler" in learner.describe_compilation()
    with pytest.raises(ValueError, match="compile=true needs a C"):
        build(compose_config("compile=true"))
    with pytest.raises(ValueError, match="begun with compiled steps"):
        learner.continue_as(True)
    lacks_for_compilation.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize(("begun", "resumed"), [("auto", "false"), ("false", "auto")])
def test_who_continues_keeps_it_to_the_bit(begun, resumed, train, tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    settings = ["optim.lr=1e-3", "model.dropout=0.1", "compile_min_steps=1"]
    cache = tmp_path / "compiled"
    result, whole = train(*settings, f"compile={begun}", f"compile_cache_dir={cache}", name="whole")
    assert result.compiled is cache.exists() is (begun == "auto")
    train(*settings, f"compile={begun}", "trainer.max_epochs=1", name="cut")
    result, folder = train(*settings, f"compile={resumed}", "ckpt_path=last", name="cut")
    assert json.loads((folder / "result.json").read_text())["compiled"] is result.compiled is (begun == "auto")
    ends = [load_checkpoint(path / "checkpoints" / "last.ckpt")["state_dict"] for path in (whole, folder)]
    assert all(ends[0][name].equal(ends[1][name]) for name in ends[0])


def test_what_a_killed_compiler_left_is_removed_and_what_another_compiles_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    for key in ("left", "held"):
        (tmp_path / key[:2] / f"c{key}.main_CxxBuild").mkdir(parents=True)
        (tmp_path / key[:2] / f"c{key}.main.so").write_bytes(b"half")
    (tmp_path / "le" / "cwhole.main.so").write_bytes(b"whole")
    (tmp_path / "locks").mkdir()
    with FileLock(tmp_path / "locks" / "cheld.lock"):
        set_up_compilation(None, on_cpu=True)
    assert {path.name for path in tmp_path.rglob("c*.main*")} == {
        *("cwhole.main.so", "cheld.main.so", "cheld.main_CxxBuild"),
    }
