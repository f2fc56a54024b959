"""The newest checkpoint of all runs in a folder."""

import os
from pathlib import Path

from trainlab.runs.result import CONTINUATION


def latest_checkpoint(output_dir: Path) -> Path:
    """The `checkpoints/last.ckpt` below ``output_dir`` that was written last.

    Runs of sweeps count, continuations that are not completed do not.

    Raises:
        FileNotFoundError: there is none.
    """
    found = []
    for folder, subfolders, files in os.walk(output_dir):
        subfolders[:] = [name for name in subfolders if name != CONTINUATION]
        if Path(folder).name == "checkpoints" and "last.ckpt" in files:
            found.append(Path(folder, "last.ckpt"))
    if not found:
        raise FileNotFoundError(
            f"there is no run with a checkpoint under {output_dir}; set output_dir, or ckpt_path to a .ckpt file"
        )
    return max(found, key=lambda path: path.stat().st_mtime_ns)
