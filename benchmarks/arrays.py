"""The project's own training and validation split of an image folder as arrays, for the peers.

    PYTHONPATH=src .venv/bin/python benchmarks/arrays.py DIR CACHE_DIR

prints the path of an uncompressed .npz with `train_x` uint8 (45000, 3, 32, 32), `train_y` int64 (45000,), and
`val_x`, `val_y` of 5,000; it is written at the first call. In a process of its own: `os.wait4` counts what its parent
once held into the peak memory of a child, so the process that starts the contestants has to stay small.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from trainlab.data.image_folder import ImageFolder


def write_arrays(root: str, cache_dir: Path) -> Path:
    """Decode and split the images under ``root`` unless that was done before; return the file."""
    data = ImageFolder(root, cache_dir=str(cache_dir), val_size=5000)
    path = cache_dir / f"arrays-{data.images.digest[:16]}.npz"
    if not path.exists():
        arrays = {}
        for name, loader in (("train", data.train_dataloader()), ("val", data.val_dataloader())):
            images, labels = zip(*loader, strict=True)
            arrays |= {f"{name}_x": torch.cat(images).numpy(), f"{name}_y": torch.cat(labels).numpy()}
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(path)
    return path


if __name__ == "__main__":
    print(write_arrays(sys.argv[1], Path(sys.argv[2])))
