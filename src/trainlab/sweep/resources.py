"""What there is for the jobs of a sweep: memory, threads of the processor, GPUs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from trainlab.processes import count_cores, threads_asked_for


@dataclass(frozen=True)
class Memory:
    """Free memory in bytes; None where it is not known.

    Attributes:
        host: of the machine.
        gpu: of the GPU that has least.
        is_of_each: whether each item has as much of a machine's to itself.
    """

    host: int | None = None
    gpu: int | None = None
    is_of_each: bool = False


def host_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process and its children can still take: of the machine, or as far as its control groups go.

    None where the system does not say.
    """
    return min([*_of_machine(root), *_of_groups(root)], default=None)


def gpu_memory() -> int | None:
    """Bytes that are free on the GPU that has least; None where there is none. Starts CUDA in this process."""
    return min((torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count())), default=None)


def count_threads() -> int:
    """Threads that this process may use: one a core of the processor, or what OMP_NUM_THREADS says."""
    return threads_asked_for() or count_cores()


def _of_machine(root: Path) -> Iterator[int]:
    for name, value in _table(root / "proc" / "meminfo"):
        if name == "MemAvailable:":
            yield value * 1024


def _of_groups(root: Path) -> Iterator[int]:
    """What each control group with a limit, of those that this process is in, has left."""
    groups = root / "sys" / "fs" / "cgroup"
    for line in _lines(root / "proc" / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, limit, usage, idle = groups, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            top, limit = groups / "memory", "memory.limit_in_bytes"
            usage, idle = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        own = top / path.lstrip("/")  # in a container the path may be the host's, and its own group lies at the top
        for folder in (own, *own.parents):
            most, taken = _lines(folder / limit), _lines(folder / usage)
            if most and taken and most[0].isdecimal():
                # Files that were read a while ago count as taken, but make room.
                kept = dict(_table(folder / "memory.stat")).get(idle, 0)
                yield max(0, int(most[0]) - int(taken[0]) + kept)
            if folder == top:
                break


def _table(path: Path) -> Iterator[tuple[str, int]]:
    """Names and numbers of a file that has one of each a line."""
    for line in _lines(path):
        name, value, *_ = line.split()
        yield name, int(value)


def _lines(path: Path) -> list[str]:
    """Lines of a file of the system's; none where it has no such file."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
