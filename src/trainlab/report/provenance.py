"""What ran and on what, and warnings about it."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from trainlab.report.formatting import count_of, listed
from trainlab.report.groups import Group
from trainlab.report.runs import Run
from trainlab.runs.fingerprint import training_overrides
from trainlab.runs.numbers import short_number

MAX_LABELS = 5
PROGRAM = "python src/train.py"  # before 0.3 there was no other
_THREADS = re.compile(r", (\d+) threads?(?=\)$)")  # of a device: "cpu (x86_64, 2 threads)"


def summarize_provenance(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Command, code, versions, machine and data: each with its values, the most frequent first."""
    facts: dict[str, Callable[[Run], Any]] = {
        "command": lambda run: run.result.provenance.get("command"),
        "code": _code,
        "versions": _versions,
        "machine": lambda run: run.result.provenance.get("host"),
        "device": lambda run: run.result.time.get("device"),
        "data": _data,
        "data digest": lambda run: run.result.provenance.get("data_digest"),
    }
    found = []
    for name, read in facts.items():
        counts = Counter(str(value) for run in runs if (value := read(run)) is not None)
        if counts:
            many = [f"{value} ({n} run{'s' if n > 1 else ''})" for value, n in counts.most_common()]
            found.append((name, many if len(counts) > 1 else [*counts]))
    return found


def provenance_warnings(runs: Sequence[Run], groups: Sequence[Group] = ()) -> list[str]:
    """Differences between the runs that are not settings, and what prevents repeating them.

    Args:
        groups: named by the images they saw, if these differ.
    """
    origins = [run.result.provenance for run in runs if not run.problem]
    found = []
    for what, key, so in (
        ("code commits", "git_commit", "a difference between them may come from the code"),
        (
            "data digests",
            "data_digest",
            f"they did not see the same images, so they are not compared{_by_digest(groups)}",
        ),
        ("versions of Python or the libraries", "versions", "a difference between them may come from there"),
    ):
        different = {json.dumps(value, sort_keys=True) for origin in origins if (value := origin.get(key))}
        if len(different) > 1:
            found.append(f"The runs are of {len(different)} different {what}: {so}.")
    if dirty := sum(bool(origin.get("git_dirty")) for origin in origins):
        made = ("was made with changes that are not committed", "were made with changes that are not committed")
        found.append(f"{count_of(dirty, len(origins), *made)}: the commit does not say what ran.")
    return found + _differing_clocks(runs)


def _differing_clocks(runs: Sequence[Run]) -> list[str]:
    """What makes the times of the completed runs, which are compared, those of different hardware."""
    known = [run.result for run in runs if run.is_completed and run.result.time.get("device")]
    hosts = dict.fromkeys(str(result.provenance.get("host")) for result in known)
    devices = dict.fromkeys(_THREADS.sub("", str(result.time["device"])) for result in known)
    threads = {found[1] for result in known if (found := _THREADS.search(str(result.time["device"])))}
    for of, what in ((hosts, "machines"), (devices, "devices")):
        if len(of) > 1:
            names = ", ".join([*of][:MAX_LABELS]) + (" and others" if len(of) > MAX_LABELS else "")
            return [f"The runs were made on {len(of)} {what} ({names}): their times are not comparable."]
    if len({result.compiled for result in known}) > 1:
        return ["Steps of some runs were compiled and those of others not: their times are not comparable."]
    if len(threads) > 1:
        return [f"The runs used {listed(sorted(threads, key=int), 'or')} threads: their times are not comparable."]
    return []


def repeat_command(run: Run) -> str:
    """The command that repeats a run, in a folder of its own; scripts of a checkout are started from there.

    There is none for a run that continues one with other settings.
    """
    assert not run.problem and not run.continued
    overrides = [word for word in training_overrides(run.result.overrides) if not word.startswith("ckpt_path=")]
    return " ".join([_program(run), *map(shlex.quote, map(_as_people_type, overrides))])


def _program(run: Run) -> str:
    return str(run.result.provenance.get("program", PROGRAM))


def _as_people_type(override: str) -> str:
    """ "optim.lr=1e-4" for "optim.lr=0.0001"."""
    key, equals, value = override.partition("=")
    return f"{key}{equals}{short_number(value)}"


def repeat_commands(group: Group) -> list[str]:
    """The commands that repeat the completed runs of a group: one sweep over the seeds if they differ in that alone."""
    runs = [*group.runs.values()]
    words = [[word for word in repeat_command(run).split(" ") if not word.startswith("seed=")] for run in runs]
    if (
        len(runs) > 1
        and all(own == words[0] for own in words)
        and all(f" seed={run.seed}" in repeat_command(run) for run in runs)
    ):
        seeds = ",".join(str(run.seed) for run in sorted(runs, key=lambda run: run.seed))
        program = _program(runs[0])
        return [f"{program} -m{' '.join(words[0]).removeprefix(program)} seed={seeds}"]
    return [repeat_command(run) for run in runs]


def _by_digest(groups: Sequence[Group]) -> str:
    """The groups by the digest of the images they saw."""
    of: dict[str, list[str]] = {}
    for group in groups:
        for digest in sorted(group.digests):
            of.setdefault(digest, []).append(group.label)
    if len(of) < 2:
        return ""
    listed = (
        f"{digest[:8]}: {', '.join(labels[:MAX_LABELS])}{' and others' if len(labels) > MAX_LABELS else ''}"
        for digest, labels in of.items()
    )
    return f" ({'; '.join(listed)})"


def _code(run: Run) -> str | None:
    commit, is_dirty = (run.result.provenance.get(key) for key in ("git_commit", "git_dirty"))
    if commit is None:
        return None
    return f"commit {commit}{', with changes that are not committed' if is_dirty else ''}"


def _versions(run: Run) -> str | None:
    versions = run.result.provenance.get("versions")
    return ", ".join(f"{name} {version}" for name, version in versions.items()) if versions else None


def _data(run: Run) -> str | None:
    """The settings of the data, the seed aside."""
    parts = [f"{key[5:]}={value}" for key, value in run.settings.items() if key.startswith("data.")]
    return ", ".join(part for part in parts if not part.startswith("seed=")) or None
