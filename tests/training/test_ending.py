"""A process whose end is announced: an epoch that fits is made, of others the steps so far are kept."""

import signal
import time

import pytest

from faults import Warn
from same_runs import NADAM, assert_same_run, rows
from trainlab.ending import Pace
from trainlab.run import Interrupted
from trainlab.runs.checkpoints import batches_begun, load_checkpoint
from trainlab.runs.starts import note_start, starts_in_a_row
from trainlab.sweep.slurm_job import seconds


@pytest.mark.parametrize(
    ("epoch", "batch", "accumulate"),
    [(1, 5, 1), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(0, 3, 1), (0, 0, 1), (1, 6, 4)])],
)
def test_a_run_is_saved_inside_an_epoch_and_resumes_to_the_bit(epoch, batch, accumulate, announced, train):
    settings = [*NADAM, "trainer.max_epochs=3", f"trainer.accumulate_grad_batches={accumulate}"]
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(Warn(epoch, batch),))
    announced.at_s = None  # another process
    _, whole = train(*settings, name="whole")
    cut = whole.parent / "cut"
    saved = load_checkpoint(cut / "checkpoints" / "last.ckpt")
    made = -(-(batch + 1) // accumulate) * accumulate
    assert (saved["epoch"], batches_begun(saved)) == (epoch, made if accumulate > 1 else batch + 1)
    train(*settings, name="cut")
    assert_same_run(cut, whole)


@pytest.mark.slow
def test_an_epoch_that_fits_is_made(announced, train, tmp_path):
    announced.left_s = 600.0
    with pytest.raises(Interrupted):
        train(*NADAM, name="cut", callbacks=(Warn(0, 5, signal.SIGTERM),))
    saved = load_checkpoint(tmp_path / "cut" / "checkpoints" / "last.ckpt")
    assert (saved["epoch"], batches_begun(saved), len(rows(tmp_path / "cut"))) == (0, 0, 1)


def test_a_pace_says_whether_the_rest_of_an_epoch_fits(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace()
    pace.begin(20)
    assert not pace.fits(1e9)  # nothing is known yet
    now[0], pace.made = 110.0, 10  # a second each; what follows may take as long as all 20
    assert pace.fits(1.5 * (10 + 20) + 2.1) and not pace.fits(1.5 * (10 + 20) + 1.9)
    pace.done()
    assert pace.fits(0.0)
    now[0] = 114.0
    pace.begin(20)
    now[0], pace.made = 124.0, 10  # validation and checkpoints took 4 s
    assert pace.fits(1.5 * (10 + 4) + 2.1) and not pace.fits(1.5 * (10 + 4) + 1.9)


def test_starts_are_counted_until_there_is_a_new_checkpoint(tmp_path):
    assert starts_in_a_row(tmp_path) == 0
    assert [note_start(tmp_path) for _ in range(3)] == [1, 2, 3]
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.touch()
    assert starts_in_a_row(tmp_path) == 0
    assert [note_start(tmp_path) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30", 30), ("5:00", 300), ("1:00:01", 3601), ("1-02:03:04", 93784), ("INVALID", 0), ("", 0), ("UNLIMITED", 0)],
)
def test_times_of_slurm_are_read(text, expected):
    assert seconds(text) == expected
