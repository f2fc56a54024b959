"""The jobs of an item of a sweep, in the process of the item."""

import signal
import subprocess
import sys
from collections.abc import Sequence

from hydra.core.utils import JobStatus

from hydra_plugins.trainlab._jobs import Jobs, describe_error, write_output_to
from hydra_plugins.trainlab._population import train_together
from trainlab.sweep.plan import Item


def run_jobs(jobs: Jobs, item: Item) -> dict[int, dict[str, str]]:
    """In the item's process: run its jobs with output to their logs. Returns errors by job number."""
    if len(item.jobs) > 1:
        return train_together(jobs, item)
    (job,) = item.jobs
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        write_output_to(job.folder / f"{jobs.config.hydra.job.name}.log")
        overrides = [*job.overrides, *jobs.quiet()]
        if job.devices > 1:
            _run_command(jobs.command(overrides, job.folder))
            return {}
        returned = jobs.run(overrides, job.number)
    except Exception as error:  # whatever it is, the sweep records it and continues
        return {job.number: describe_error(error)}
    return {job.number: describe_error(returned._return_value)} if returned.status is JobStatus.FAILED else {}


def _run_command(command: Sequence[str]) -> None:
    """Run a command and exit with its status. Lightning repeats the command line for each further device.

    Ctrl-C reaches all processes of the group; this one only waits for the others.
    """
    signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the command would inherit
    status = subprocess.run(command).returncode
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        signal.raise_signal(-status)
    sys.exit(status)
