"""Which folder each run of a sweep has in that of the sweep."""

import contextlib
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from trainlab.config.overrides import MAX_FOLDER_BYTES, folder_name, in_folder_name, written_alike
from trainlab.runs.fingerprint import as_typed, training_overrides
from trainlab.runs.result import RESULT, Result


def run_folder(overrides: Sequence[str], folder: str | Path) -> str:
    """Name of the folder, in the ``folder`` of a sweep, of a run of which the other jobs are not known.

    It is that of `run_folders`, but a new one is named after all overrides.
    """
    (name,) = run_folders(Path(folder), [overrides], [])
    return name


def run_folders(folder: Path, job_overrides: Sequence[Sequence[str]], shared: Collection[str]) -> list[str]:
    """Names of the folders of a sweep's jobs in its ``folder``; they have the ``shared`` overrides in common.

    A run that is there keeps its folder, whichever command started it: it is found by its overrides, in any order. The
    folder of a new one is named after those that are not shared. Where another run has that name, those in which the
    two differ are added, or a hash.
    """
    there, shared = _runs_in(folder), {*as_typed([*shared])}
    found: dict[tuple[str, ...], str] = {}
    for name, own in there.items():
        found.setdefault(own, name)
    for name, own in there.items():
        found.setdefault(tuple(sorted(own)), name)
    names = []
    for overrides in job_overrides:
        own = _decisive(overrides)
        key = own if own in found else tuple(sorted(own))
        if key not in found:
            found[key] = _new_name(_decisive(_without(shared, overrides)), own, there)
            there[found[key]] = own
        names.append(found[key])
    return names


def _new_name(parts: Sequence[str], own: Sequence[str], there: Mapping[str, Sequence[str]]) -> str:
    """A folder's name of ``parts`` of a run's ``own`` overrides, and of more where another run that is there has it."""
    name = folder_name(parts)
    if name in there:
        name = folder_name([override for override in own if override in parts or override not in there[name]])
    return f"{name}-{_digest(own)}" if name in there else name


def _digest(own: Sequence[str]) -> str:
    return hashlib.blake2b(",".join(sorted(own)).encode(), digest_size=4).hexdigest()


def _runs_in(folder: Path) -> dict[str, tuple[str, ...]]:
    """Overrides of the runs in the folder of a sweep, by the names of their folders, short ones first.

    A folder with another name, such as a copy, is none of the sweep's; neither is one whose result is damaged.
    """
    found = {}
    for path in sorted(folder.glob(f"*/{RESULT}"), key=lambda path: (len(path.parent.name), path)):
        with contextlib.suppress(OSError):
            about = path.stat()
            overrides = _overrides_of(path, about.st_mtime_ns, about.st_size)
            if overrides is not None:
                found[path.parent.name] = overrides
    return found


def _can_be_named(name: str, own: Sequence[str]) -> bool:
    """Whether ``name`` is one of a folder of the run with ``own`` overrides, by whichever version."""

    def consists_of_overrides(text: str) -> bool:
        words = {in_folder_name(override) for override in own} or {folder_name([])}
        return {*map(in_folder_name, text.split(","))} <= words

    start, _, digest = name.rpartition("-")
    if consists_of_overrides(name):
        return True
    keys = tuple(override.partition("=")[0].replace("/", "_") for override in own)
    hashed = name.startswith(keys) and re.fullmatch(r"[0-9a-f]{8}", digest) is not None
    if consists_of_overrides(start) and len(name.encode()) < MAX_FOLDER_BYTES - 3:  # a cut character has up to four
        return digest == _digest(own)
    return hashed  # shortened


@lru_cache(maxsize=10_000)
def _overrides_of(path: Path, _changed_ns: int, _size: int) -> tuple[str, ...] | None:
    """Those of a run by its result, which is read once for each state of the file; None where it is none."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        if result := Result.read(path.parent):
            overrides = _decisive(result.overrides)
            return overrides if _can_be_named(path.parent.name, overrides) else None
    return None


def _decisive(overrides: Sequence[str]) -> tuple[str, ...]:
    """Overrides that decide what is trained, equal numbers written alike."""
    return tuple(map(written_alike, training_overrides(overrides)))


def differing(job_overrides: Sequence[Sequence[str]]) -> list[list[str]]:
    """The overrides in which each job of a sweep differs from others; all of its own where there are none.

    Those of paths, observers and machine settings are left out.
    """
    shared = shared_overrides(job_overrides)
    return [_without(shared, overrides) for overrides in job_overrides]


def shared_overrides(job_overrides: Sequence[Sequence[str]]) -> set[str]:
    """The overrides that all jobs of a sweep have; none for a single job."""
    return set.intersection(*map(set, map(training_overrides, job_overrides))) if len(job_overrides) > 1 else set()


def _without(shared: Collection[str], overrides: Sequence[str]) -> list[str]:
    own = training_overrides(overrides)
    return [override for override in own if override not in shared] or own
