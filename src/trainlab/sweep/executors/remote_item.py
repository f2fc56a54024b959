"""An item in a process that outlives that of the sweep, here or elsewhere: its files, and what is known of it."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainlab.passwords import without_passwords
from trainlab.processes import SHARE, THREADS
from trainlab.sweep.executors.executor import QUEUED, Program, Submitted
from trainlab.sweep.items import ItemFolder, items_of, new_item
from trainlab.sweep.outcome import results_before
from trainlab.sweep.plan import Item, Job

_SEARCHES = "lr_search."


@dataclass(eq=False)
class Remote(Submitted):
    """An item in a process somewhere.

    Attributes:
        files: its files.
        id: by which its executor knows it.
        status: as it was last seen.
        due: when to look again, by time.monotonic.
        gone_since: when its process was first missed, while its end is not recorded.
        is_killed: whether it was to be ended.
        untold: what could not be sent to it, to be tried again.
        is_requeued: whether its scheduler has it wait again after it has run.
        is_said: whether it was said that its scheduler has given it up, and it runs.
    """

    files: ItemFolder
    id: str = ""
    status: str = QUEUED
    due: float = 0.0
    gone_since: float | None = None
    is_killed: bool = False
    untold: Callable[["Remote"], bool] | None = None
    is_requeued: bool = False
    is_said: bool = False


def write_item(program: Program, item: Item, cpus: int, restarts: int) -> Remote:
    """Write the files that the process of an item starts from.

    Args:
        program: of the sweep.
        item: to be started.
        cpus: its threads, for each of its devices.
        restarts: how often in a row a run is started again without a new checkpoint.
    """
    before, threads = results_before(item), str(cpus)
    jobs = [
        {
            "number": job.number,
            "overrides": job.overrides,
            "folder": str(job.folder),
            "fingerprint": job.fingerprint,
            "devices": job.devices,
            "settings": [key for key in job.settings if key.startswith(_SEARCHES)],
        }
        for job in item.jobs
    ]
    about = {
        "name": program.name,
        "command": without_passwords(sys.orig_argv),  # for results
        "environment": {**program.environment, THREADS: threads, SHARE: threads},
        "restarts": restarts,
        "before": {str(job.folder): before[job.number] for job in item.jobs},
        "jobs": jobs,
    }
    files = new_item(program.folder, item.jobs[0].number + 1, about)
    return Remote(item, before, files.report, files)


def earlier_items(sweep: Path, jobs: Sequence[Job]) -> list[Remote]:
    """Items of the sweep in a folder that an earlier process of it has submitted and whose end is not recorded.

    Raises:
        ValueError: one was submitted with other settings than those of ``jobs``.
    """
    found = []
    by_folder = {str(job.folder): job for job in jobs}
    for files in items_of(sweep):
        about, submitted, started = files.describe(), files.submitted(), files.started()
        own = tuple(by_folder[job["folder"]] for job in about["jobs"] if job["folder"] in by_folder)
        given = {job["folder"]: job["fingerprint"] for job in about["jobs"]}
        if submitted is None and started is None:
            files.forbid()  # nobody knows whether it was taken
            if (started := files.started()) is not None:
                files.permit()
        if submitted is None and started is None:
            files.remove()  # what starts and finds no files ends
        elif own:
            id_ = str(submitted["id"] if submitted else (started or {})["job"])
            if other := [job.folder for job in own if job.fingerprint != given[str(job.folder)]]:
                raise ValueError(
                    f"the job of {other[0]} was submitted with other settings (as {id_}); set those, or cancel it "
                    f"and remove {files.path}, or set another name="
                )
            before = {job.number: about["before"][str(job.folder)] for job in own}
            found.append(Remote(Item(own), before, files.report, files, id_))
    return found
