"""Whether the steps of a training are compiled, and where torch keeps what it has compiled."""

import contextlib
import functools
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from trainlab.runs.files import setting_of_path

AUTO = "auto"
_BUILDING = "_CxxBuild"
_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"  # of torch; a value of the user's is left alone


def check_compile(compile: bool | str, compile_min_steps: int) -> None:
    """Raise ValueError unless ``compile`` is "auto", true or false, and ``compile_min_steps`` a number of steps."""
    if compile != AUTO and not isinstance(compile, bool):
        raise ValueError(f"compile must be auto, true or false, got {compile!r}; set compile")
    if isinstance(compile_min_steps, bool) or not isinstance(compile_min_steps, int) or compile_min_steps < 0:
        raise ValueError(
            f"compile_min_steps must be an integer of at least 0, got {compile_min_steps!r}; set compile_min_steps"
        )


def is_long(total_steps: int, min_steps: int) -> bool:
    """Whether a training of ``total_steps``, 0 for no limit, saves more time by compiled steps than compiling takes."""
    return total_steps == 0 or total_steps >= min_steps


@functools.cache
def lacks_for_compilation() -> str:
    """What torch lacks to compile for the CPU on this machine; "" where it has all. Runs the compiler once."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if not shutil.which(compiler):
        return f"a C++ compiler ({compiler})"
    include = sysconfig.get_path("include")
    command = [compiler, "-x", "c++", "-std=c++17", "-fsyntax-only", f"-I{include}", "-"]
    if subprocess.run(command, input=b"#include <vector>\n#include <Python.h>\n", capture_output=True).returncode:
        return f"a C++ compiler ({compiler}) that works with Python's headers ({include})"
    return ""


def set_up_compilation(folder: str | None, on_cpu: bool) -> None:
    """Have torch keep compiled code in ``folder``, for later processes, unless the user has named another.

    Where only the CPU is compiled for, torch starts no processes for kernels of a GPU, which would each import it.

    Args:
        folder: None for `trainlab/compiled` in the user's cache directory, or, where that cannot be written, torch's
            own folder among the temporary files.
        on_cpu: whether the training is on the CPU.

    Raises:
        OSError: it cannot be made.
    """
    if on_cpu:
        os.environ.setdefault("TORCH_WARM_POOL", "0")
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # which warns that there is no GPU
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir  # takes a while to import

    _remove_unfinished(Path(default_cache_dir(), "precompiled_headers"))
    if os.environ.get(_CACHE_VARIABLE, "") not in ("", default_cache_dir()):  # which torch sets, too
        _remove_unfinished(Path(os.environ[_CACHE_VARIABLE]))
        return
    path = Path(folder or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "trainlab", "compiled")).expanduser()
    with setting_of_path("compile_cache_dir", path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError:
            if folder is None:
                return
            raise
    if folder is not None or os.access(path, os.W_OK):
        os.environ[_CACHE_VARIABLE] = str(path)
        _remove_unfinished(path)


def _remove_unfinished(folder: Path) -> None:
    """Remove what compilers that were killed, or found the disk full, left in ``folder``: torch would load it.

    A folder `<key>..._CxxBuild` beside the library is there while it is compiled, under the lock of that key.
    """
    from filelock import FileLock, Timeout  # which torch requires

    found = [Path(path, name) for path, names, _ in os.walk(folder) for name in names if name.endswith(_BUILDING)]
    for building in found:
        name = building.name.removesuffix(_BUILDING)
        with contextlib.suppress(Timeout), FileLock(folder / "locks" / f"{name.partition('.')[0]}.lock", timeout=0):
            if not building.is_dir():
                continue  # another process has finished it meanwhile
            for suffix in (".so", ".o", ".gch"):
                building.with_name(name + suffix).unlink(missing_ok=True)
            shutil.rmtree(building, ignore_errors=True)
