"""Processes of a training that meet at a store, here two objects of one process."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment

from sweeping import eventually
from trainlab.ranks import peers as module
from trainlab.ranks.peers import Peers


@pytest.fixture
def environment(monkeypatch):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_PORT", str(one.getsockname()[1]))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    for name in ("_BEAT_S", "_POLL_S"):
        monkeypatch.setattr(module, name, 0.02)
    monkeypatch.setattr(module, "SHORT_SILENCE_S", 0.5)
    return LightningEnvironment()


@pytest.fixture
def pair(environment):
    found = Peers(environment, 0, "a"), Peers(environment, 1, "a")
    yield found
    for one in found:
        one._over.set()


def error_of(peers, silence_s=20.0):
    assert eventually(lambda: peers.lost(silence_s), 10)
    return str(peers.lost(silence_s))


def test_the_others_get_what_the_main_process_has_decided(pair, monkeypatch):
    main, other = pair
    assert main.meet(2) == [2]  # both on the first node
    main.publish("lr: 1e-3")
    assert (other.decision(), other.count) == ("lr: 1e-3", 2)
    other.leave(0, None)
    assert eventually(lambda: main._seen[1].content["status"] == 0)
    assert main.lost() is None, "it has ended in order"
    monkeypatch.setattr(module, "SHORT_SILENCE_S", 60)
    begun = time.monotonic()
    assert main.leave(0, None)
    assert time.monotonic() - begun < 30, "nobody is left to wait for"


def test_what_has_failed_is_reported_by_the_main_process(pair):
    main, other = pair
    main.meet(2)
    other.leave(1, ValueError("no images in /data\n(of ten)"))
    reason = r"failed: ValueError: no images in /data; training cannot continue"
    assert error_of(main).startswith("process 2 of 2 on ") and error_of(main).endswith(reason)


def test_who_gives_no_sign_of_life_is_lost(pair):
    main, other = pair
    main.meet(2)
    other._over.set()  # as if it were killed
    assert "has given no sign of life for" in error_of(main, 0.3)
    main._over.set()
    assert "process 1 of " in error_of(other, 0.3)


def test_time_in_which_all_were_suspended_does_not_count(pair, monkeypatch):
    main, other = pair
    main.meet(2)
    clock = SimpleNamespace(monotonic=lambda now=time.monotonic: now() + 1000, sleep=time.sleep)
    monkeypatch.setattr(module, "time", clock)
    assert (main.lost(), other.lost()) == (None, None)
    assert eventually(lambda: other._own["beat"] > 20, 10)
    assert (main.lost(1.0), other.lost(1.0)) == (None, None)


def test_others_end_as_the_main_process_does_before_it_has_decided(pair):
    main, other = pair
    main.meet(2)
    assert main.leave(2, None), "it waits until the other knows"
    with pytest.raises(SystemExit) as ended:
        other.decision()
    assert ended.value.code == 2


def test_a_main_process_that_ends_early_waits_for_others_that_have_not_come(environment, monkeypatch):
    """They would take it for lost, and report that besides its error."""
    monkeypatch.setattr(module, "SHORT_SILENCE_S", 60)
    main = Peers(environment, 0, "a", 2)
    with ThreadPoolExecutor(1) as pool:
        left = pool.submit(main.leave, 2, None)
        other = Peers(environment, 1, "a", 2)
        with pytest.raises(SystemExit) as ended:
            other.decision()
        assert (ended.value.code, left.done()) == (2, False)
        other.leave(2, None)
        assert left.result(30)


def test_the_store_ends_with_the_main_process(pair):
    main, other = pair
    main.meet(2)
    main._over.set()
    main._thread.join()
    main._store = main._signs = None  # as in a process that is killed
    assert error_of(other).endswith("was killed, or its node was lost; training cannot continue")
    with pytest.raises(ChildProcessError, match=r"^process 1 of all .*was killed"):
        other.decision()


def test_processes_that_do_not_come_are_named(pair, monkeypatch):
    pair[0].meet(2)
    monkeypatch.setattr(module, "_MEET_S", 0.2)
    with pytest.raises(ValueError, match=r"^2 of 4 processes \(number 3, 4\) have not been started within 0 s"):
        pair[0].meet(4)


def test_an_address_where_nobody_is(environment, monkeypatch):
    monkeypatch.setattr(module, "_MEET_S", 0.2)
    with pytest.raises(ValueError, match=r"^the first process of the training is not reached at 127\.0\.0\.1"):
        Peers(environment, 1)


def test_a_port_that_is_taken(environment):
    with socket.socket() as one:
        one.bind(("", environment.main_port))
        one.listen()
        with pytest.raises(ValueError, match=r"^port \d+, at which .* cannot be opened .*; set MASTER_PORT to a free"):
            Peers(environment, 0)


def test_trainings_at_one_address_do_not_mix(pair, environment, monkeypatch):
    another = Peers(environment, 1, "b")
    pair[0].meet(2)
    pair[0].publish("of a")
    monkeypatch.setattr(module, "_ANSWER_S", 0.1)
    assert not another._store.check([module._DECISION])
    another._over.set()
