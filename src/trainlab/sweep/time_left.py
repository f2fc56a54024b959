"""How long a running sweep still takes."""

from trainlab.sweep.plan import Item
from trainlab.sweep.state import State, epochs_of


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
    guesses = [_guess(item, state, now, seconds) for item, seconds in zip(running, passed, strict=True)]
    guessed = [(len(i.jobs), guess) for i, guess in zip(running, guesses, strict=True) if guess is not None]
    if not known and not guessed:
        return None

    def usual(item: Item) -> float:
        size = len(item.jobs)
        for found in (known, guessed):
            if same := [seconds for jobs, seconds in found if jobs == size]:
                return sum(same) / len(same)
        found = known or guessed
        return size * sum(seconds for _, seconds in found) / sum(jobs for jobs, _ in found)

    whole = [usual(item) if guess is None else guess for item, guess in zip(running, guesses, strict=True)]
    left = [max(0.0, seconds - gone) for seconds, gone in zip(whole, passed, strict=True)]
    at_once = min(state.slots, len(running) + len(waiting)) or 1
    return max([*left, (sum(left) + sum(map(usual, waiting))) / at_once])


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
