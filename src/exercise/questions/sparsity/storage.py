"""The file a network is measured by: each tensor in the smallest of several forms that gives back the same numbers.

A tensor is places and values. Places: all of them ("dense"), a bit each ("mask"), or columns by row ("csr", matrices of
up to 65,536 columns). Values: float32, or of a matrix the int8 of each and a bfloat16 scale a row.
"""

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from exercise.questions.sparsity.methods import quantize_weight, row_scales

_HEADER = struct.Struct("<I")


def write(path: Path, network: nn.Module) -> int:
    """Write all that ``network`` holds. Returns the size of the file in bytes."""
    entries, contents = [], []
    for name, tensor in network.state_dict().items():
        form, content = _smallest(tensor.detach().cpu())
        entries.append([name, list(tensor.shape), form, len(content)])
        contents.append(content)
    header = zlib.compress(json.dumps(entries, separators=(",", ":")).encode(), 9)
    whole = b"".join([_HEADER.pack(len(header)), header, *contents])
    path.write_bytes(whole)
    return len(whole)


def read(path: Path) -> dict[str, Tensor]:
    """What `write` wrote, for ``load_state_dict`` of a network of the same architecture."""
    whole = path.read_bytes()
    (length,) = _HEADER.unpack_from(whole)
    start = _HEADER.size + length
    state = {}
    for name, shape, form, size in json.loads(zlib.decompress(whole[_HEADER.size : start])):
        state[name] = _decode(form, torch.Size(shape), whole[start : start + size])
        start += size
    return state


def _smallest(tensor: Tensor) -> tuple[str, bytes]:
    """The form and the bytes."""
    if tensor.dtype == torch.int64:
        return "int64", _bytes(tensor)
    if tensor.dtype != torch.float32:
        raise ValueError(f"a network is stored in float32, got {tensor.dtype}")
    values: dict[str, Callable[[Tensor], bytes]] = {"float32": lambda kept: _bytes(tensor[kept])}
    scales_first = b""
    if tensor.ndim == 2:
        scales = row_scales(tensor)
        integers = quantize_weight(tensor, scales)
        if torch.equal(integers * scales, tensor):
            scales_first = _bytes(scales.bfloat16().view(torch.int16))
            values["int8"] = lambda kept: scales_first + _bytes(integers[kept])
    kept = tensor != 0
    places = {"dense": (torch.ones_like(kept), b""), "mask": (kept, np.packbits(kept.numpy()).tobytes())}
    if tensor.ndim == 2 and tensor.shape[1] <= 2**16:
        counts, columns = kept.sum(1).numpy(), kept.nonzero()[:, 1].numpy()
        places["csr"] = (kept, counts.astype("<u4").tobytes() + columns.astype("<u2").tobytes())
    found = {
        f"{place} {value}": before + encode(which)
        for place, (which, before) in places.items()
        for value, encode in values.items()
    }
    form = min(found, key=lambda name: len(found[name]))
    return form, found[form]


def _decode(form: str, shape: torch.Size, content: bytes) -> Tensor:
    if form == "int64":
        return _tensor(content, torch.int64).view(shape)
    place, value = form.split(" ")
    kept = torch.ones(shape, dtype=torch.bool)
    if place == "mask":
        length = -(-shape.numel() // 8)
        bits = np.unpackbits(np.frombuffer(content[:length], np.uint8), count=shape.numel())
        kept, content = torch.from_numpy(bits).bool().view(shape), content[length:]
    elif place == "csr":
        counts = np.frombuffer(content[: 4 * shape[0]], "<u4")
        end = 4 * shape[0] + 2 * int(counts.sum())
        columns = np.frombuffer(content[4 * shape[0] : end], "<u2").astype(np.int64)
        kept = torch.zeros(shape, dtype=torch.bool)
        kept[torch.from_numpy(np.repeat(np.arange(shape[0]), counts)), torch.from_numpy(columns)] = True
        content = content[end:]
    tensor = torch.zeros(shape)
    if value == "float32":
        tensor[kept] = _tensor(content, torch.float32)
        return tensor
    scales = _tensor(content[: 2 * shape[0]], torch.int16).view(torch.bfloat16).float()
    tensor[kept] = _tensor(content[2 * shape[0] :], torch.int8).float()
    return tensor * scales[:, None]


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()


def _tensor(content: bytes, kind: torch.dtype) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=kind) if content else torch.zeros(0, dtype=kind)


def same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two states hold the same numbers."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
