"""The end of this process that a scheduler announces, by SIGTERM or by SIGUSR2, as submitit has it."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

WARNINGS = (signal.SIGTERM, signal.SIGUSR2)
_SLOWER, _RESERVE_S = 1.5, 2.0  # how much longer than estimated the rest of an epoch may take


class Ending:
    """When this process will be ended, and who is told.

    Attributes:
        at_s: when, by `time.monotonic`; None while nothing is announced.
        is_watched: whether the signals are taken for announcements.
        by_user_signal: whether SIGUSR2 was among the announcements; SIGTERM alone may be a cancellation.
        heed: is called with the seconds that are left at each announcement; by default nothing is done.
    """

    def __init__(self) -> None:
        self.at_s: float | None = None
        self.is_watched = self.by_user_signal = False
        self.heed: Callable[[float], object] = lambda left_s: None
        self._left_s: Callable[[int], float] = lambda number: 0.0

    def watch(self, left_s: Callable[[int], float]) -> None:
        """Take the signals for announcements. ``left_s``: number of the signal -> seconds until the end."""
        self._left_s, self.is_watched = left_s, True
        self.take_signals()

    def take_signals(self) -> None:
        """Handle the signals here again, where others have handled them meanwhile."""
        for number in WARNINGS:
            signal.signal(number, self.announce)

    @contextlib.contextmanager
    def heeded_by(self, heed: Callable[[float], object]) -> Iterator[None]:
        """Have ``heed`` called meanwhile."""
        before, self.heed = self.heed, heed
        try:
            yield
        finally:
            self.heed = before

    def announce(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.by_user_signal |= number == signal.SIGUSR2
        now, left_s = time.monotonic(), self._left_s(number)
        self.at_s = now + left_s if self.at_s is None else min(self.at_s, now + left_s)
        self.heed(self.at_s - now)


ending = Ending()


class Pace:
    """How fast the steps of epochs are made, and whether what is left of one fits into a time.

    Attributes:
        made: steps of the epoch so far in this process; -1 before the first.
    """

    def __init__(self) -> None:
        self.made, self._begun_s = -1, 0.0
        self._steps = 0.0
        self._done_s: float | None = None  # when the steps of the epoch were done
        self._tail_s: float | None = None  # what came after the steps of the epoch before

    def begin(self, steps: float) -> None:
        """The steps of an epoch begin, of which that many are to be made."""
        self.made, self._steps, self._begun_s = -1, steps, time.monotonic()
        if self._done_s is not None:
            self._tail_s, self._done_s = self._begun_s - self._done_s, None

    def done(self) -> None:
        """Its steps are made; validation and checkpoints follow."""
        self._done_s = time.monotonic()

    def fits(self, left_s: float) -> bool:
        """Whether the epoch ends in that many seconds, with its validation and checkpoints."""
        if self._done_s is not None:
            return True  # there is nothing to save but its end
        if self.made < 1:
            return False
        passed_s = time.monotonic() - self._begun_s
        step_s = passed_s / self.made
        tail_s = step_s * self._steps if self._tail_s is None else self._tail_s  # unknown: as long as the steps
        return _SLOWER * ((self._steps - self.made) * step_s + tail_s) + _RESERVE_S < left_s
