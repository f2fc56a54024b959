"""What the system says of its memory, read from files of the same shape, and of its threads."""

import os

import torch

from trainlab.sweep.resources import count_threads, gpu_memory, host_memory


def write(root, **files):
    for path, text in files.items():
        file = root / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


MEMINFO = "MemTotal:  1000 kB\nMemFree: 100 kB\nMemAvailable:  800 kB\nHugePages_Total:  0\n"


def test_memory_is_that_of_the_machine(tmp_path):
    assert host_memory(tmp_path) is None
    write(tmp_path, proc__meminfo=MEMINFO)
    assert host_memory(tmp_path) == 800 * 1024


def test_memory_ends_at_the_limit_of_a_control_group(tmp_path):
    write(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/user/job\n")
    group = tmp_path / "sys" / "fs" / "cgroup" / "user" / "job"
    own = {"memory.max": "5000\n", "memory.current": "3000\n", "memory.stat": "anon 2\ninactive_file 400\n"}
    write(group, **own)
    assert host_memory(tmp_path) == 5000 - 3000 + 400
    write(group.parent, **{"memory.max": "3500\n", "memory.current": "3200\n"})  # the group around it has less left
    assert host_memory(tmp_path) == 300
    write(group.parent, **{"memory.max": "max\n"})
    write(group, **{"memory.max": "max\n"})
    assert host_memory(tmp_path) == 800 * 1024


def test_memory_ends_at_the_limit_of_an_older_control_group(tmp_path):
    write(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="9:cpu:/x\n4:memory:/of/the/host\n0::/\n")
    own = {
        "memory.limit_in_bytes": "5000\n",
        "memory.usage_in_bytes": "3000\n",
        "memory.stat": "total_inactive_file 4\n",
    }
    write(tmp_path / "sys" / "fs" / "cgroup" / "memory", **own)
    assert host_memory(tmp_path) == 2004


def test_memory_of_gpus_is_that_of_the_fullest(monkeypatch):
    free = [(700, 1000), (300, 2000), (500, 500)]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", free.__getitem__)
    assert gpu_memory() == 300
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert gpu_memory() is None


def test_threads_are_those_of_openmp_or_the_cores_that_the_process_may_use(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert count_threads() == 3
    for nothing in ("", "0", "4,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", nothing)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 6, 7, 9}, raising=False)
        assert count_threads() == 5
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert count_threads() == 12
