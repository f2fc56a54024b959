"""Jobs of any application: each in a process of its own, its return as Hydra wants it."""

import pickle
import time
from collections.abc import Sequence
from functools import partial

from hydra.core.utils import JobReturn, JobStatus

from hydra_plugins.trainlab._jobs import Jobs
from trainlab.processes import POLL_S, Forked
from trainlab.sweep.outcome import describe_exit


def launch(jobs: Jobs, job_overrides: Sequence[Sequence[str]], at_once: int) -> list[JobReturn]:
    """Run them, ``at_once`` at a time; one return each, in their order."""
    jobs.sweep_dir.mkdir(parents=True, exist_ok=True)
    waiting = list(enumerate(job_overrides))
    running: dict[int, Forked] = {}
    returns: dict[int, JobReturn] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                index, overrides = waiting.pop(0)
                running[index] = Forked(partial(_run, jobs, overrides, index))
            for index, process in list(running.items()):
                status = process.poll()
                if status is not None:
                    del running[index]
                    returns[index] = process.returned or _died(job_overrides[index], status)
            time.sleep(POLL_S)
    finally:
        for process in running.values():
            process.kill()
    return [returns[index] for index in range(len(job_overrides))]


def _run(jobs: Jobs, overrides: Sequence[str], index: int) -> JobReturn:
    """In the job's process: what Hydra returns, in a form that can be sent."""
    returned = jobs.run(overrides, index)
    try:
        pickle.loads(pickle.dumps(returned))
    except Exception:
        text = repr(returned._return_value)
        returned.return_value = RuntimeError(text) if returned.status is JobStatus.FAILED else text
    return returned


def _died(overrides: Sequence[str], status: int) -> JobReturn:
    returned = JobReturn(overrides=list(overrides), status=JobStatus.FAILED)
    returned.return_value = RuntimeError(describe_exit(status))
    return returned
