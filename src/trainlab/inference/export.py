"""Export of a network to ONNX or torch.export: uint8 images to its outputs, including input scaling."""

import importlib.util
import io
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainlab.inference.rebuild import check_finite, rebuild_network, rebuild_task
from trainlab.randomness import generator
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.files import check_replaceable, write_atomically

FILES = {"onnx": "model.onnx", "torch_export": "model.pt2"}
CLASSES = "classes"  # JSON list of names by label: in ONNX's metadata, and an extra file of torch.export
TOLERANCE = 1e-5  # absolute, or relative to the largest output if that is above 1
_TRACED, _CHECKED = 2, (1, 7)  # batch sizes; torch specializes on a batch of one, so it is not traced
_NEEDED = ("onnx", "onnxscript", "onnxruntime")
Predictor = Callable[[Tensor], Tensor]


class ExportMismatch(ArithmeticError):
    """An exported network gives other outputs than the checkpoint."""


def export_checkpoint(path: Path, format: str, out: Path | None = None, trust: Sequence[str] = ()) -> Path:
    """Export the network of a checkpoint, in evaluation mode, and compare its outputs with the checkpoint's.

    The exported network maps uint8 images (N, C, H, W), named "images", to outputs (N, K) for any N. These are what the
    task makes predictions of: "logits" of classes or labels, or "values", by which they are named.

    Args:
        path: checkpoint.
        format: "onnx" or "torch_export".
        out: file to write; None for `model.onnx` or `model.pt2` in the folder of the run.
        trust: packages and modules, besides those of trainlab, whose classes and functions the checkpoint may name.

    Returns:
        The file.

    Raises:
        ValueError: the file is not a checkpoint, outputs of the network are not finite, a package is missing, or
            ``out`` exists and has another type.
        ExportMismatch: the outputs differ; nothing is written.
        OSError: a file cannot be read or written.
    """
    if missing := [name for name in _NEEDED if format == "onnx" and importlib.util.find_spec(name) is None]:
        raise ValueError(f"--format onnx needs {', '.join(missing)}; pip install 'trainlab[export]'")
    checkpoint = load_checkpoint(path)
    network, shape = rebuild_network(checkpoint, trust), tuple(checkpoint["trainlab"]["image_shape"])
    out, suffix = out or path.resolve().parent.parent / FILES[format], Path(FILES[format]).suffix
    check_replaceable(out, path, lambda there: there.suffix == suffix, f"a {suffix} file", "--out")
    floats = bool(checkpoint["trainlab"].get("float_images"))
    classes = json.dumps(checkpoint["trainlab"]["classes"])
    outputs = "values" if rebuild_task(checkpoint, trust).predicts == "value" else "logits"
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):  # of the exporters about their internals
        check_finite(network(_noise(shape, _TRACED, floats)), path)
        traced = network, _noise(shape, _TRACED, floats)
        if format == "onnx":
            content = _as_onnx(*traced, classes, outputs)
            predict = _load_onnx(content)
        else:
            content = _as_torch_export(*traced, classes)
            predict = torch.export.load(io.BytesIO(content)).module()
        summary = _compare(predict, network, shape, outputs, floats)
    write_atomically(out, content)
    inputs = f"{'float32' if floats else 'uint8'} images (N, {', '.join(map(str, shape))})"
    print(f"{inputs} -> {outputs} (N, {network.num_classes}): {out}\n{summary}")
    return out


def _compare(predict: Predictor, network: nn.Module, shape: tuple[int, ...], outputs: str, floats: bool = False) -> str:
    """Compare the exported network with ``network`` on batch sizes that were not traced; returns a summary.

    The tolerance is relative for large outputs, as rounding errors are. ``outputs`` is what they are called.
    """
    batches = [_noise(shape, count, floats) for count in _CHECKED]
    pairs = [(predict(images), network(images)) for images in batches]
    if any(exported.shape != original.shape for exported, original in pairs):
        raise ExportMismatch(
            f"the exported network gives {outputs} of shape {tuple(pairs[0][0].shape)}; nothing was written"
        )
    largest = max(float(original.abs().max()) for _, original in pairs)
    apart = max(float((exported - original).abs().max()) for exported, original in pairs)
    found = f"{outputs} differ from the checkpoint's by at most {apart:.1e}, the largest is {largest:.3g}"
    if apart > TOLERANCE and largest > 1:
        found += f" (tolerance: {TOLERANCE:g} of it)"
    if not apart <= TOLERANCE * max(1.0, largest):  # also false for NaN
        raise ExportMismatch(f"the exported network gives other {outputs}: {found}; nothing was written")
    return f"checked on {sum(_CHECKED)} random images: {found}"


def _noise(shape: tuple[int, ...], count: int, floats: bool) -> Tensor:
    draws = generator(0, "export", count)
    if floats:
        return torch.rand(count, *shape, generator=draws)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=draws)


def _as_torch_export(network: nn.Module, images: Tensor, classes: str) -> bytes:
    program = torch.export.export(network, (images,), dynamic_shapes=_any_batch())
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={CLASSES: classes})
    return buffer.getvalue()


def _as_onnx(network: nn.Module, images: Tensor, classes: str, outputs: str) -> bytes:
    names: dict[str, Any] = {"input_names": ["images"], "output_names": [outputs]}
    program = torch.onnx.export(network, (images,), dynamo=True, dynamic_shapes=_any_batch(), verbose=False, **names)
    assert program is not None
    model = program.model_proto
    model.metadata_props.add(key=CLASSES, value=classes)
    return model.SerializeToString()


def _load_onnx(content: bytes) -> Predictor:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _any_batch() -> tuple[dict[int, Any]]:
    return ({0: torch.export.Dim("batch", min=1)},)
