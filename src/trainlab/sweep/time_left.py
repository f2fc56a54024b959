"""How long a running sweep still takes."""

from collections import defaultdict
from collections.abc import Sequence

from trainlab.sweep.plan import Item
from trainlab.sweep.state import State, epochs_of

_MAX_GUESSED = 200  # items whose positions are read; others take as long as these


def seconds_left(state: State, now: float) -> float | None:
    """Estimate of the seconds left, from ended items and the epochs of running ones; None without either.

    An item takes as long as others of its size; without such, its time per job is that of the others.
    """
    to_come = {job.number for job in state.waiting}
    waiting = [item for item in state.items if item.jobs[0].number in to_come]
    running = [item for item in state.items if state.left_of(item)]
    ended = [item for item in state.items if item.jobs[0].number in state.seconds and not state.left_of(item)]
    passed = [now - state.started[state.left_of(item)[0].number] for item in running]
    known = [
        (len(item.jobs), state.seconds[item.jobs[0].number])
        for item in ended
        if not all(state.outcomes[job.number].reason for job in item.jobs)
    ]
    every = -(-len(running) // _MAX_GUESSED) or 1
    guesses = [
        None if i % every else _guess(item, state, now, seconds)
        for i, (item, seconds) in enumerate(zip(running, passed, strict=True))
    ]
    guessed = [(len(i.jobs), guess) for i, guess in zip(running, guesses, strict=True) if guess is not None]
    if not known and not guessed:
        return None

    of_size = _means(guessed) | _means(known)
    found = known or guessed
    of_job = sum(seconds for _, seconds in found) / sum(jobs for jobs, _ in found)

    def usual(item: Item) -> float:
        return of_size.get(len(item.jobs), len(item.jobs) * of_job)

    whole = [usual(item) if guess is None else guess for item, guess in zip(running, guesses, strict=True)]
    left = [max(0.0, seconds - gone) for seconds, gone in zip(whole, passed, strict=True)]
    to_be_added = state.total - len(state.jobs)  # solo
    at_once = min(state.slots, len(running) + len(waiting) + to_be_added) or 1
    further = sum(map(usual, waiting)) + to_be_added * of_size.get(1, of_job)
    return max([*left, (sum(left) + further) / at_once])


def _means(found: Sequence[tuple[int, float]]) -> dict[int, float]:
    """Mean seconds of items by their number of jobs."""
    of_size = defaultdict[int, list[float]](list)
    for jobs, seconds in found:
        of_size[jobs].append(seconds)
    return {jobs: sum(seconds) / len(seconds) for jobs, seconds in of_size.items()}


def _guess(item: Item, state: State, now: float, passed: float) -> float | None:
    """Seconds that a running item takes in all: those so far and its steps to come, or by its share of the epochs.

    A population runs until its last member ends, so the member with the most epochs is decisive.
    """
    limits = [job.max_epochs for job in item.jobs]
    if not all(limits):
        return None
    end = max(n or 0 for n in limits)
    position = state.position(state.left_of(item)[0].number)
    if position is not None:
        if not position.step_s:  # it has just started
            return None
        left = (end - position.epochs) * position.batches * position.step_s
        return passed - (now - position.at_s) + max(0.0, left)
    begun = min(state.begun.get(job.number, 0) for job in item.jobs)
    share = (max(map(epochs_of, item.jobs)) - begun) / max(1, end - begun)
    return passed / share if share > 0 else None
