"""A checkpoint's network as one file for other programs: uint8 images in, logits out, with scaling inside."""

import importlib.util
import io
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainlab.inference.rebuild import check_finite, rebuild_network
from trainlab.randomness import generator
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.files import check_replaceable, write_atomically

FILES = {"onnx": "model.onnx", "torch_export": "model.pt2"}
CLASSES = "classes"  # names by label, as JSON: in ONNX's metadata, and one of the extra files of torch.export
TOLERANCE = 1e-5  # of logits, or of the largest of them where that is more than one
_TRACED, _CHECKED = 2, (1, 7)  # images of a batch; torch takes a batch of one for a constant, so it is not traced
_NEEDED = ("onnx", "onnxscript", "onnxruntime")
Predictor = Callable[[Tensor], Tensor]


class NotTheSame(ArithmeticError):
    """An exported network gives other logits than the one that it was made from."""


def export_checkpoint(path: Path, format: str, out: Path | None = None) -> Path:
    """Write the network of a checkpoint, in evaluation mode, checked against what the checkpoint gives.

    Takes uint8 images (N, C, H, W) named "images", for any N, and gives logits (N, classes) named "logits".

    Args:
        path: of the checkpoint.
        format: a key of ``FILES``.
        out: file to write; None for that of ``FILES`` in the folder of the run.

    Returns:
        The file.

    Raises:
        ValueError: it is no checkpoint, its network's outputs are not finite, something is not installed, or ``out``
            exists and is of another kind.
        NotTheSame: the check failed; nothing was written.
        OSError: a file cannot be read or written.
    """
    if missing := [name for name in _NEEDED if format == "onnx" and importlib.util.find_spec(name) is None]:
        raise ValueError(f"--format onnx needs {', '.join(missing)}; pip install -e '.[export]'")
    checkpoint = load_checkpoint(path)
    network, shape = rebuild_network(checkpoint), tuple(checkpoint["trainlab"]["image_shape"])
    out, suffix = out or path.resolve().parent.parent / FILES[format], Path(FILES[format]).suffix
    check_replaceable(out, path, lambda there: there.suffix == suffix, f"a {suffix} file", "--out")
    classes = json.dumps(checkpoint["trainlab"]["classes"])
    with torch.no_grad(), _quietly():
        check_finite(network(_noise(shape, _TRACED)), path)
        content = (_as_onnx if format == "onnx" else _as_torch_export)(network, _noise(shape, _TRACED), classes)
        predict = (_load_onnx if format == "onnx" else _load_torch_export)(content)
        said = _compare(predict, network, shape)
    write_atomically(out, content)
    print(f"uint8 images (N, {', '.join(map(str, shape))}) -> logits (N, {network.num_classes}): {out}\n{said}")
    return out


def _compare(predict: Predictor, network: nn.Module, shape: tuple[int, ...]) -> str:
    """What a check over batches of other sizes than the traced one found, if it found no more than rounding.

    Rounding is in proportion to what is rounded, so the tolerance is, too, where logits are large.
    """
    batches = [_noise(shape, count) for count in _CHECKED]
    pairs = [(predict(images), network(images)) for images in batches]
    if any(ours.shape != theirs.shape for ours, theirs in pairs):
        raise NotTheSame(f"the exported network gives logits {tuple(pairs[0][0].shape)}; nothing was written")
    largest = max(float(theirs.abs().max()) for _, theirs in pairs)
    apart = max(float((ours - theirs).abs().max()) for ours, theirs in pairs)
    found = f"logits differ from the checkpoint's by at most {apart:.1e}, the largest is {largest:.3g}"
    if apart > TOLERANCE and largest > 1:
        found += f" and {TOLERANCE:g} of it is allowed"
    if not apart <= TOLERANCE * max(1.0, largest):  # nor where they are not finite
        raise NotTheSame(f"the exported network is another: {found}; nothing was written")
    return f"checked on {sum(_CHECKED)} random images: {found}"


def _noise(shape: tuple[int, ...], count: int) -> Tensor:
    draws = generator(0, "export", count)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=draws)


def _as_torch_export(network: nn.Module, images: Tensor, classes: str) -> bytes:
    program = torch.export.export(network, (images,), dynamic_shapes=_any_batch())
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={CLASSES: classes})
    return buffer.getvalue()


def _load_torch_export(content: bytes) -> Predictor:
    return torch.export.load(io.BytesIO(content)).module()


def _as_onnx(network: nn.Module, images: Tensor, classes: str) -> bytes:
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    program = torch.onnx.export(network, (images,), dynamo=True, dynamic_shapes=_any_batch(), verbose=False, **names)
    assert program is not None
    model = program.model_proto
    model.metadata_props.add(key=CLASSES, value=classes)
    return model.SerializeToString()


def _load_onnx(content: bytes) -> Predictor:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


def _any_batch() -> tuple[dict[int, Any]]:
    return ({0: torch.export.Dim("batch", min=1)},)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep to themselves what torch and its exporters say of their own insides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
