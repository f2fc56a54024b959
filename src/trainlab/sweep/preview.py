"""What a sweep is about to do, in a few lines: which jobs are trained together, and why the others are not."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from trainlab.population.grouping import differing
from trainlab.runs.fingerprint import telling
from trainlab.sweep.plan import Item, Job, labels

_POPULATIONS_TOLD, _REASONS_TOLD, _JOBS_TOLD = 6, 3, 3


def plan_told(items: Sequence[Item], jobs: Sequence[Job], at_once: int = 1) -> str:
    """The plan of the sweep of ``jobs``, in at most a dozen lines; ``at_once`` items run at the same time."""
    together = [item for item in items if len(item.jobs) > 1]
    alone = [item for item in items if len(item.jobs) == 1]
    headline = _headline(items, together, alone) + (f", {at_once} at once" if at_once > 1 else "")
    return "\n".join([headline, *_populations(together, jobs), *_singles(alone, jobs)])


def _headline(items: Sequence[Item], together: Sequence[Item], alone: Sequence[Item]) -> str:
    count = sum(len(item.jobs) for item in items)
    if not together:
        return f"plan: {count} jobs, each alone"
    populations = f"{len(together)} population{'s' if len(together) > 1 else ''}"
    return f"plan: {count} jobs in {populations}" + (f", {len(alone)} alone" if alone else "")


def _populations(together: Sequence[Item], jobs: Sequence[Job]) -> list[str]:
    """A line for all populations that are told in the same words."""
    sizes: dict[str, Counter[int]] = defaultdict(Counter)
    common = set.intersection(*(set(telling(job.overrides)) for job in jobs))
    for item in together:
        sizes[_words(item, common)][len(item.jobs)] += 1
    lines = [f"  {_sum(counts)} together{words}" for words, counts in sizes.items()]
    left = sum(sum(n for n in counts.values()) for counts in list(sizes.values())[_POPULATIONS_TOLD:])
    return lines[:_POPULATIONS_TOLD] + ([f"  and {left} more populations"] if left else [])


def _words(item: Item, common: set[str]) -> str:
    """What the members of a population share and other jobs do not, and what sets them apart."""
    first, *others = (telling(job.overrides) for job in item.jobs)
    shared = [o for o in first if o not in common and all(o in other for other in others)]
    keys = differing([job.settings for job in item.jobs])
    return (f": {' '.join(shared)}" if shared else "") + (f"; they differ in {', '.join(keys)}" if keys else "")


def _sum(counts: Counter[int]) -> str:
    """Sizes of populations, as "2 x 15 + 14"."""
    return " + ".join(f"{n} x {size}" if n > 1 else str(size) for size, n in sorted(counts.items(), reverse=True))


def _singles(alone: Sequence[Item], jobs: Sequence[Job]) -> list[str]:
    """A line for all jobs that are alone for one reason."""
    names = dict(zip((job.number for job in jobs), labels([job.overrides for job in jobs]), strict=True))
    by_reason = defaultdict(list)
    for item in alone:
        by_reason[item.reason].append(names[item.jobs[0].number])
    lines = []
    for reason, found in by_reason.items():
        more = f" and {len(found) - _JOBS_TOLD} more" if len(found) > _JOBS_TOLD else ""
        told = ", ".join(found[:_JOBS_TOLD]) + more
        lines.append(f"  alone: {told} ({reason})" if len(found) == 1 else f"  {len(found)} alone: {reason}: {told}")
    left = sum(len(found) for found in list(by_reason.values())[_REASONS_TOLD:])
    return lines[:_REASONS_TOLD] + ([f"  and {left} more alone, for other reasons"] if left else [])
