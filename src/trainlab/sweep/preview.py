"""Description of a plan: which jobs are trained as populations, and why the others run solo."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from trainlab.population.grouping import differing
from trainlab.runs.fingerprint import training_overrides
from trainlab.runs.result import folder_of_result
from trainlab.sweep.outcome import recorded_outcome
from trainlab.sweep.plan import CONTINUE, KEEP, RETRY, TEST, Item, Job, labels_by_number
from trainlab.sweep.state import epochs_of

_MAX_POPULATIONS, _MAX_REASONS, _MAX_JOBS = 6, 3, 3  # that are listed


def describe_jobs(jobs: Sequence[Job]) -> list[str]:
    """One line per job: whether it is kept, resumed, retried or new."""
    names = labels_by_number(jobs).values()
    todo = [_todo(job) for job in jobs]
    width = max(map(len, todo))
    counts = Counter(text.partition(" ")[0] for text in todo)
    headline = (
        f"{len(jobs)} job{'s' if len(jobs) > 1 else ''}: {', '.join(f'{n} {word}' for word, n in counts.items())}"
    )
    return [headline, *(f"  {text:{width}}  {name}" for text, name in zip(todo, names, strict=True))]


def _todo(job: Job) -> str:
    if job.todo == KEEP:
        folder = folder_of_result(job.folder, job.fingerprint)
        return f"kept ({recorded_outcome(folder).status})"
    if job.todo == CONTINUE:
        epochs = epochs_of(job)
        return f"resumed (after {epochs} epoch{'' if epochs == 1 else 's'})"
    if job.todo == TEST:
        return "tested (completed)"
    return "retried (failed)" if job.todo == RETRY else "new"


def describe_plan(items: Sequence[Item], jobs: Sequence[Job], at_once: int = 1, whole: bool = False) -> str:
    """Describe the plan of a sweep; ``at_once`` items run at the same time.

    It has at most a dozen lines, or, as a ``whole``, one for each kind of population and each reason to train solo.
    """
    together = [item for item in items if len(item.jobs) > 1]
    solo = [item for item in items if len(item.jobs) == 1]
    headline = _headline(items, together, solo) + (f", {at_once} at once" if at_once > 1 else "")
    lines = [headline, *_populations(together, jobs, whole), *_singles(solo, jobs, whole), *_compiled(items)]
    return "\n".join(lines)


def _compiled(items: Sequence[Item]) -> list[str]:
    """A line where steps are compiled, which is a while without progress."""
    jobs = [job for item in items for job in item.jobs]
    number = sum(bool(job.settings.get("compile")) for job in jobs)
    whose = "all" if number == len(jobs) else f"{number} of {len(jobs)} jobs"
    return [f"  compiled steps: {whose}; compiling takes up to a minute, a few seconds the next time"] * (number > 0)


def _headline(items: Sequence[Item], together: Sequence[Item], solo: Sequence[Item]) -> str:
    count = sum(len(item.jobs) for item in items)
    if not together:
        return f"plan: {count} solo jobs"
    populations = f"{len(together)} population{'s' if len(together) > 1 else ''}"
    return f"plan: {count} jobs in {populations}" + (f", {len(solo)} solo" if solo else "")


def _populations(together: Sequence[Item], jobs: Sequence[Job], whole: bool) -> list[str]:
    """One line for all populations with the same description."""
    sizes: dict[str, Counter[int]] = defaultdict(Counter)
    common = set.intersection(*(set(training_overrides(job.overrides)) for job in jobs))
    for item in together:
        sizes[_words(item, common)][len(item.jobs)] += 1
    lines = [f"  {_sum(counts)} together{words}" for words, counts in sizes.items()]
    if whole:
        return lines
    left = sum(sum(n for n in counts.values()) for counts in list(sizes.values())[_MAX_POPULATIONS:])
    return lines[:_MAX_POPULATIONS] + ([f"  and {left} more populations"] if left else [])


def _words(item: Item, common: set[str]) -> str:
    """Overrides that the members share and other jobs do not, and the settings in which members differ."""
    first, *others = (training_overrides(job.overrides) for job in item.jobs)
    shared = [o for o in first if o not in common and all(o in other for other in others)]
    keys = differing([job.settings for job in item.jobs])
    return (f": {' '.join(shared)}" if shared else "") + (f"; they differ in {', '.join(keys)}" if keys else "")


def _sum(counts: Counter[int]) -> str:
    """Sizes of populations, such as "2 x 15 + 14"."""
    return " + ".join(f"{n} x {size}" if n > 1 else str(size) for size, n in sorted(counts.items(), reverse=True))


def _singles(solo: Sequence[Item], jobs: Sequence[Job], whole: bool) -> list[str]:
    """One line for all solo jobs with the same reason."""
    names = labels_by_number(jobs)
    by_reason = defaultdict(list)
    for item in solo:
        by_reason[item.reason].append(names[item.jobs[0].number])
    lines = []
    for reason, found in by_reason.items():
        more = f" and {len(found) - _MAX_JOBS} more" if len(found) > _MAX_JOBS else ""
        names_of = ", ".join(found[:_MAX_JOBS]) + more
        lines.append(
            f"  solo: {names_of} ({reason})" if len(found) == 1 else f"  {len(found)} solo: {reason}: {names_of}"
        )
    if whole:
        return lines
    left = sum(len(found) for found in list(by_reason.values())[_MAX_REASONS:])
    return lines[:_MAX_REASONS] + ([f"  and {left} more solo, for other reasons"] if left else [])
