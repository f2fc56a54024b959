"""One run in several processes that torchrun starts, in one group or as two nodes of one process each."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from torch.distributed import TCPStore

from conftest import TINY, with_defaults
from sweeping import FAULT, HERE, Script
from trainlab.config.resolvers import PROJECT
from trainlab.runs.checkpoints import load_checkpoint, network_weights
from trainlab.runs.result import Result

pytestmark = [pytest.mark.ddp, pytest.mark.slow]
KILLED = ("+callbacks.fault.what=rank", "+callbacks.fault.step=12")
TRAIN = str(PROJECT / "src" / "train.py")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(command, **environment):
    """A process in a session of its own."""
    given = {**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}:{HERE}", **environment}
    options = {"env": given, "start_new_session": True, "text": True}
    return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def torchrun(arguments, *words, **environment):
    command = [sys.executable, "-m", "torch.distributed.run", *arguments, TRAIN, *with_defaults(TINY, *words)]
    return start(command, **environment)


def ended(*processes):
    """Exit statuses, and all that was printed."""
    try:
        outputs = [process.communicate(timeout=200) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return [process.returncode for process in processes], "".join(text for output in outputs for text in output)


def own_lines(output):
    return [line for line in output.splitlines() if line.startswith(("error: ", "epoch ", "already "))]


def weights(folder):
    return network_weights(load_checkpoint(folder / "checkpoints" / "last.ckpt"))


@pytest.mark.cluster
def test_two_nodes_train_what_two_devices_do_and_a_killed_one_resumes(tmp_path):
    """As one story, for its processes take most of the time."""
    port, settings = (
        free_port(),
        [f"output_dir={tmp_path / 'nodes'}", FAULT, "+callbacks.fault.what=rank", "+callbacks.fault.step=12"],
    )
    nodes = ["trainer.devices=1", "trainer.num_nodes=2"]

    def run_on_two_nodes(*own, **environment):
        agents = [
            [f"--nnodes=2 --nproc-per-node=1 --node-rank={i} --master-addr=127.0.0.1 --master-port={port}".split()]
            for i in (0, 1)
        ]
        return ended(*(torchrun(agent[0], *settings, *nodes, *own, **environment) for agent in agents))

    # A name that is the time is that of the first process, which alone prints and writes.
    statuses, output = run_on_two_nodes("seed=1", FAULTS="off")
    assert statuses == [0, 0], output
    (folder,) = (tmp_path / "nodes").iterdir()
    assert len(own_lines(output)) == 2, output
    assert {path.name for path in folder.iterdir()} >= {"result.json", "metrics.csv", "train.log", "checkpoints"}
    assert [path.name for path in folder.glob("*.log")] == ["train.log"]

    whole = start(
        [sys.executable, TRAIN, *with_defaults(TINY, *settings, "name=one", "trainer.devices=2")], FAULTS="off"
    )
    assert ended(whole)[0] == [0]
    one, two = Result.read(tmp_path / "nodes" / "one"), Result.read(folder)
    assert one.metrics == two.metrics
    expected = weights(tmp_path / "nodes" / "one")
    assert all(torch.equal(value, expected[key]) for key, value in weights(folder).items())

    begun = time.monotonic()
    statuses, output = run_on_two_nodes("name=cut")
    assert time.monotonic() - begun < 60 and 0 not in statuses
    cut = Result.read(tmp_path / "nodes" / "cut")
    assert cut.status == "failed" and cut.error["message"].startswith("process 2 of 2 on "), cut.error
    assert [line for line in own_lines(output) if line.startswith("error: ")] == [f"error: {cut.error['message']}"]
    statuses, output = run_on_two_nodes("name=cut", FAULTS="off")
    assert statuses == [0, 0], output
    assert Result.read(tmp_path / "nodes" / "cut").metrics == one.metrics
    assert all(torch.equal(value, expected[key]) for key, value in weights(tmp_path / "nodes" / "cut").items())


def test_two_processes_of_one_node_train_what_two_devices_do(tmp_path):
    settings = with_defaults(TINY, f"output_dir={tmp_path}", "trainer.devices=2")
    whole = Script("train.py", [*settings, "name=one"], tmp_path, {}).finish()
    assert whole.returncode == 0, whole.stderr
    statuses, output = ended(torchrun(["--standalone", "--nproc-per-node=2"], *settings, "name=two"))
    assert statuses == [0], output
    assert len(own_lines(output)) == 2, output  # the first process alone prints, a line an epoch
    one, two = (Result.read(tmp_path / name) for name in ("one", "two"))
    assert one.metrics == two.metrics
    expected, found = (weights(tmp_path / name) for name in ("one", "two"))
    assert all(torch.equal(value, expected[key]) for key, value in found.items())


def outcomes(folder, port, words, environments):
    """Exit statuses, and all that was printed, of processes with such variables."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    scripts = [Script("train.py", with_defaults(TINY, *words), folder, address | own) for own in environments]
    done = [script.finish(timeout_s=200) for script in scripts]
    return [one.returncode for one in done], "".join(one.stdout + one.stderr for one in done)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["trainer.devices=1"],
            "error: torchrun has started 2 processes (2 on each of 1 nodes), got trainer.devices=1",
        ),
        (["-m", "seed=1,2"], "error: a sweep is one process that starts its jobs itself, got 2 processes"),
        (["trainer.devices=2", "optim.lr=-1"], "error: lr must be positive"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(words, message, tmp_path):
    """With the variables and the store of torchrun, without the seconds that it takes."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    launch = {"TORCHELASTIC_RUN_ID": "r", "TORCHELASTIC_USE_AGENT_STORE": "True", "GROUP_RANK": "0", "WORLD_SIZE": "2"}
    processes = [launch | {"RANK": str(i), "LOCAL_RANK": str(i)} for i in (0, 1)]
    statuses, output = outcomes(tmp_path, store.port, [*words, f"output_dir={tmp_path / 'out'}"], processes)
    errors = own_lines(output)
    assert len(errors) == 1 and errors[0].startswith(message), output
    assert statuses == [2, 2]
    assert list(tmp_path.iterdir()) == []


def test_processes_on_nodes_that_are_started_by_hand(tmp_path):
    """The first one searches the learning rate while the other waits."""
    search = ("lr_search=range_test", "lr_search.num_steps=40", "lr_search.num_seeds=1")
    settings = (f"output_dir={tmp_path / 'out'}", f"lr_search.cache_dir={tmp_path / 'cache'}", "trainer.max_epochs=1")
    nodes = [{"NODE_RANK": str(i)} for i in (0, 1)]
    statuses, output = outcomes(tmp_path, free_port(), [*settings, *search, "trainer.num_nodes=2"], nodes)
    assert statuses == [0, 0], output
    (folder,) = (tmp_path / "out").iterdir()
    result = Result.read(folder)
    assert result.status == "completed" and result.lr_search
    assert len([line for line in own_lines(output) if line.startswith("epoch ")]) == 1, output
