"""A sweep with `seed=auto`: seeds are added, as populations, until every pair of groups is decided."""

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from hydra_plugins.trainlab._check import checked
from hydra_plugins.trainlab._jobs import Jobs
from hydra_plugins.trainlab._sweep import report_on
from trainlab.cli import SweepFailed
from trainlab.config.overrides import written_alike
from trainlab.config.run_folders import shared_overrides
from trainlab.console import say, say_error
from trainlab.programs import same_command
from trainlab.report.decision import Rules, count_of_seeds
from trainlab.report.decisions import Decisions, read_decisions
from trainlab.runs.fingerprint import as_typed, training_overrides
from trainlab.statistics import ALPHA
from trainlab.sweep.auto_seeds import AUTO, AutoSeeds
from trainlab.sweep.check import aliases, describe_aliases
from trainlab.sweep.decide import Record, first_counts, next_counts
from trainlab.sweep.folder import folder_lock
from trainlab.sweep.plan import Job, labels_by_number
from trainlab.sweep.resources import count_threads

if TYPE_CHECKING:
    from hydra_plugins.trainlab.launcher import ProcessLauncher

_LEASE = ".decisions.lease"
_MAX_DESCRIBED = 3  # undecided pairs, after each batch


def decide(launcher: "ProcessLauncher", asked: AutoSeeds) -> list[JobReturn]:
    """Train batches of seeds until every pair is decided or has ``asked.max_seeds``; what is on disk counts.

    Raises:
        ValueError: the folder holds another comparison, or runs from before it; none was started.
        SweepFailed: jobs are invalid, and none was started; or runs failed.
        KeyboardInterrupt: it was interrupted.
    """
    launcher.reports = False
    jobs = Jobs(launcher.hydra_context, launcher.task_function, launcher.config, 0)
    numbers = range(len(asked.groups))
    launcher.shared = shared_overrides([asked.overrides(number, seed) for number in numbers for seed in (1, 2)])
    firsts = [asked.overrides(number, 1) for number in numbers]
    with_folders = jobs.with_folders(firsts, launcher.shared)
    if not with_folders.folders:
        raise ValueError(f"{AUTO} finds runs by the names of their folders; leave out hydra.sweep.subdir")
    found, *_ = checked(with_folders, firsts, retry_failed=False, measure=False)
    same = aliases(found)
    for line in describe_aliases(same, found):
        say(line)
    names = labels_by_number([job for job in found if job.number not in same])
    rules = _rules(asked, found, names, same)
    with nullcontext() if launcher.dry_run else folder_lock(jobs.sweep_dir, _LEASE, "sweep"):
        record = Record(jobs.sweep_dir, rules)
        return _Loop(launcher, asked, jobs, rules, record, {name: number for number, name in names.items()}).run()


def _rules(asked: AutoSeeds, jobs: list[Job], names: Mapping[int, str], same: Mapping[int, int]) -> Rules:
    """What is fixed: the groups by their names, of which ``same`` are left out, and how they are compared.

    Raises:
        ValueError: they cannot be compared.
    """
    if len(names) < 2:
        raise ValueError(f"{AUTO} compares groups, and all of these are the same run; give values that differ")
    metrics = dict.fromkeys(job.metrics.compared_by for job in jobs)
    if len(metrics) > 1:
        labels = ", ".join(metric.label for metric in metrics)
        raise ValueError(f"{AUTO} compares groups by one metric, got {labels}; sweep over groups of one task")
    if any(job.settings.get("trainer.limit_val_batches") == 0 for job in jobs):
        raise ValueError(f"{AUTO} compares by validation; set trainer.limit_val_batches=1.0")
    groups = {
        name: tuple(sorted(written_alike(o) for o in training_overrides(asked.groups[number]) if o != AUTO))
        for number, name in names.items()
    }
    baseline = None if asked.baseline is None else names[same.get(asked.baseline, asked.baseline)]
    return Rules(next(iter(metrics)), asked.margin, ALPHA, baseline, groups)


class _Loop:
    """Launches batches of seeds. ``numbers`` are the indices of groups in ``asked``, by name."""

    def __init__(
        self,
        launcher: "ProcessLauncher",
        asked: AutoSeeds,
        jobs: Jobs,
        rules: Rules,
        record: Record,
        numbers: Mapping[str, int],
    ) -> None:
        self._launcher, self._asked, self._jobs, self._rules = launcher, asked, jobs, rules
        self._record, self._numbers = record, numbers
        self._returns: list[JobReturn] = []

    def run(self) -> list[JobReturn]:
        """Until all is decided. Ends with the report."""
        begun = dict.fromkeys(self._rules.groups, 0)
        counts = self._record.counts if any(self._record.counts.values()) else first_counts(self._rules)
        pairs, most = len(self._rules.pairs), self._asked.max_seeds
        say(
            f"{len(begun)} groups, {pairs} pair{'s' * (pairs > 1)}: seeds are added until all are decided, "
            f"{most} at most; margin {self._rules.describe_margin()}"
        )
        stopped = ""
        try:
            while counts and not stopped:
                self._launch(begun, counts)
                if self._launcher.dry_run:
                    return []
                begun |= counts
                decisions = self._decisions()
                counts = next_counts(decisions, begun, most, count_threads())
                self._say_progress(decisions, counts, begun)
                competitors = decisions.competitors.values()
                lost = any(of.lost for of in competitors) and self._launcher.on_failure == "stop"
                if (counts and lost) or any(len(of.folders) > len(of.values) + len(of.lost) for of in competitors):
                    stopped = f"a failure stopped the sweep; {self._same_command()} resumes from here"
        except KeyboardInterrupt:
            report_on(self._record.folders, self._jobs.sweep_dir)
            raise
        message = "; ".join(filter(None, [self._describe_lost(), stopped]))
        if message:
            say_error(f"error: {message}")  # before the results, which are what is read at the end
        report_on(self._record.folders, self._jobs.sweep_dir)
        if message:
            raise SweepFailed(message, is_said=True)
        return self._returns

    def _launch(self, begun: Mapping[str, int], counts: Mapping[str, int]) -> None:
        """Run the seeds that groups are to have and have not begun."""
        runs = [(name, seed) for name, count in counts.items() for seed in range(begun[name] + 1, count + 1)]
        overrides = [self._asked.overrides(self._numbers[name], seed) for name, seed in runs]
        if not self._launcher.dry_run:
            folders = self._jobs.with_folders(overrides, self._launcher.shared).folders
            self._record.add(runs, [folders[index] for index in range(len(runs))])
        self._returns += self._launcher.launch(overrides, len(self._returns))

    def _decisions(self) -> Decisions:
        found = read_decisions(self._jobs.sweep_dir)
        assert found is not None
        return found

    def _say_progress(self, decisions: Decisions, counts: Mapping[str, int], begun: Mapping[str, int]) -> None:
        """How many pairs are decided, the undecided ones, and what comes next."""
        total, left = len(decisions.pairs), decisions.open
        done = sum(pair.decided_after is not None for pair in decisions.pairs)
        say(f"{count_of_seeds(max(begun.values()))}: {done} of {total} pair{'s' * (total > 1)} decided")
        for pair in left[:_MAX_DESCRIBED]:
            say(f"  {pair.describe()}")
        if len(left) > _MAX_DESCRIBED:
            say(f"  and {len(left) - _MAX_DESCRIBED} more undecided pairs")
        if counts:
            first = min(begun[name] for name in counts) + 1
            say(f"  next: seeds {first} to {max(counts.values())} of {', '.join(counts)}")
        elif left:
            say(f"  {self._same_command('sweep.max_seeds=N')} adds seeds, up to N")

    def _describe_lost(self) -> str:
        """Number of runs that were lost, and what can be done about them; "" if there is none."""
        lost = Counter(status for of in self._decisions().competitors.values() for status in of.lost.values())
        if not lost:
            return ""
        said = [f"{len(self._record.folders)} jobs: {', '.join(f'{n} {status}' for status, n in lost.most_common())}"]
        if lost["failed"]:
            said.append(f"{self._same_command('sweep.retry_failed=true')} retries failed runs")
        if lost["diverged"]:
            said.append("diverged runs are not retried; their messages say what to change")
        return "; ".join(said)

    def _same_command(self, *more: str) -> str:
        config: Any = self._jobs.config
        typed = as_typed(cast(list[str], OmegaConf.to_container(config.hydra.overrides.task)))
        return same_command(typed, str(config.name), *more)
