import importlib.util
import json
import re

import pytest
import torch
from torch import nn
from torch.nn import functional

import trainlab.inference.export
from conftest import cases, first
from left_checkpoints import SIDE, leave_checkpoint
from trainlab.inference.export import FILES, ExportMismatch, export_checkpoint
from trainlab.inference.rebuild import rebuild_network
from trainlab.models import CNN, MLP
from trainlab.randomness import generator
from trainlab.runs.checkpoints import load_checkpoint

FORMATS = ("onnx", "torch_export")
NETWORKS = {
    "plain": (MLP, {}),
    "bn": (MLP, {"batch_norm": True, "batch_norm_input": True}),
    "selu": (
        MLP,
        {
            "activation": "selu",
            "initializer": "lecun_normal",
            "standardize": True,
            "dropout": 0.5,
            "dropout_after": "every",
        },
    ),
    "rrelu": (MLP, {"activation": "rrelu"}),
    "prelu": (MLP, {"activation": "prelu", "depth": 1}),
    "cnn": (CNN, {"batch_norm": True}),
}


def predictor(path, format):
    """The exported network as a stranger to the project would load it."""
    if format == "torch_export":
        return torch.export.load(str(path)).module()
    import onnxruntime  # the suite imports this module everywhere, and uses onnx in few places

    session = onnxruntime.InferenceSession(str(path))
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", cases(NETWORKS, "plain"))
def test_it_takes_raw_images_in_any_number_and_gives_the_checkpoints_logits(tmp_path, format, name, capsys):
    kind, settings = NETWORKS[name]
    path = leave_checkpoint(tmp_path, kind, **settings)
    out = export_checkpoint(path, format)
    assert out == tmp_path / FILES[format]
    assert str(out) in capsys.readouterr().out
    predict, network = predictor(out, format), rebuild_network(load_checkpoint(path))
    for count in (1, 2, 3, 50):
        draws = generator(1, "images", count)
        images = torch.randint(0, 256, (count, 3, SIDE, SIDE), dtype=torch.uint8, generator=draws)
        with torch.no_grad():
            logits, expected = predict(images), network(images)
        assert logits.dtype == torch.float32
        assert expected.abs().max() < 10
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)  # what is promised for small logits


@pytest.mark.slow
def test_names_types_and_classes_stand_in_the_file(tmp_path):
    import onnx

    path = leave_checkpoint(tmp_path, classes=("a", "b"))
    model = onnx.load(export_checkpoint(path, "onnx", tmp_path / "new" / "net.onnx"))
    onnx.checker.check_model(model)
    [images], [logits] = model.graph.input, model.graph.output
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    sizes = [[d.dim_value or d.dim_param for d in end.type.tensor_type.shape.dim] for end in (images, logits)]
    assert (images.name, logits.name, *sizes) == ("images", "logits", ["batch", 3, SIDE, SIDE], ["batch", 2])
    assert {p.key: json.loads(p.value) for p in model.metadata_props if p.key == "classes"} == {"classes": ["a", "b"]}
    extra = {"classes": ""}
    torch.export.load(str(export_checkpoint(path, "torch_export", tmp_path / "new" / "net")), extra_files=extra)
    assert json.loads(extra["classes"]) == ["a", "b"]
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["net", "net.onnx"]


@pytest.mark.parametrize(("task", "outputs"), first(1, [("Regression", "values"), ("MultiLabel", "logits")]))
def test_outputs_are_named_for_the_task(tmp_path, capsys, task, outputs):
    import onnx

    path = leave_checkpoint(tmp_path)
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["trainlab"]["config"]["task"] = {"_target_": f"trainlab.tasks.{task}"}
    torch.save(checkpoint, path)
    model = onnx.load(export_checkpoint(path, "onnx"))
    assert [output.name for output in model.graph.output] == [outputs]
    where, checked = capsys.readouterr().out.splitlines()
    assert f" -> {outputs} (N, 3): " in where
    assert f" random images: {outputs} differ from the checkpoint's by at most " in checked


class Shifted(nn.Module):
    """A network whose first logit is off by so much."""

    def __init__(self, network, by):
        super().__init__()
        self.network, self.by = network, by

    def forward(self, images):
        return self.network(images) + self.by * functional.one_hot(torch.tensor(0), 3)


class OfTwo(nn.Module):
    """A network with a number of images built in."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images[:2])


@pytest.mark.parametrize("format", cases(FORMATS, "torch_export"))
@pytest.mark.parametrize("wrong", first(1, [lambda n: Shifted(n, 2e-4), lambda n: Shifted(n, float("nan")), OfTwo]))
def test_a_network_that_comes_out_otherwise_leaves_what_there_was(tmp_path, format, wrong, monkeypatch):
    path = leave_checkpoint(tmp_path)
    out = tmp_path / "new" / FILES[format]
    convert = getattr(trainlab.inference.export, f"_as_{format}")
    monkeypatch.setattr(
        trainlab.inference.export, f"_as_{format}", lambda network, *rest: convert(wrong(network), *rest)
    )
    with pytest.raises(ExportMismatch, match="nothing was written"):
        export_checkpoint(path, format, out)
    assert not out.parent.exists()
    out.parent.mkdir()
    out.write_text("of before")
    with pytest.raises(ExportMismatch):
        export_checkpoint(path, format, out)
    assert [(file.name, file.read_text()) for file in out.parent.iterdir()] == [(out.name, "of before")]


def test_only_exported_networks_are_replaced(tmp_path):
    path = leave_checkpoint(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 1")
    (tmp_path / "model.onnx").write_bytes(path.read_bytes())
    before = path.read_bytes()
    for source, out, said in (
        (path, path, f"--out must be another file than the one that is read, got {path}; set --out"),
        (tmp_path / "model.onnx", None, "--out must be another file than the one that is read"),
        (path, tmp_path / "config.yaml", "config.yaml exists and is not a .onnx file, so it is not replaced; set an"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            export_checkpoint(source, "onnx", out or source)
    assert (path.read_bytes(), (tmp_path / "config.yaml").read_text()) == (before, "seed: 1")
    assert export_checkpoint(path, "torch_export", tmp_path / "x.pt2") == export_checkpoint(
        path, "torch_export", tmp_path / "x.pt2"
    )


@pytest.mark.parametrize(
    ("largest", "apart", "passes"),
    [(0.5, 9e-6, True), (0.5, 2e-5, False), (50, 9e-6, True), (50, 4e-4, True), (50, 6e-4, False)],
)
def test_the_tolerance_is_of_one_or_of_larger_logits(largest, apart, passes):
    def network(images):
        return torch.tensor([[largest, -0.1]], dtype=torch.float64).expand(len(images), 2)

    def compare():
        return trainlab.inference.export._compare(lambda images: network(images) - apart, network, (1, 2, 2), "logits")

    if passes:
        assert (f"the largest is {largest}" in compare()) and ("(tolerance: " in compare()) is (apart > 1e-5)
    else:
        with pytest.raises(ExportMismatch):
            compare()


def test_without_onnx_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    path, find = leave_checkpoint(tmp_path), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "onnxruntime" else find(name, *a))
    with pytest.raises(ValueError, match=re.escape("--format onnx needs onnxruntime; pip install 'trainlab[export]'")):
        export_checkpoint(path, "onnx")
    assert export_checkpoint(path, "torch_export").exists()


@pytest.mark.slow
def test_a_network_of_float64_is_exported_as_it_predicts(train):
    _, folder = train("trainer.max_epochs=1", "trainer.precision=64-true")
    path = folder / "checkpoints" / "last.ckpt"
    images = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)
    with torch.no_grad():
        expected = rebuild_network(load_checkpoint(path))(images)
        torch.testing.assert_close(predictor(export_checkpoint(path, "onnx"), "onnx")(images), expected)
