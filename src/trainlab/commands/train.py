"""Train a network, or with ``-m`` a sweep of networks. ``trainlab train --help`` lists the settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from trainlab.cli import bypass_hydra_errors, gc_paused, load_libraries, run_script
from trainlab.config.compose import as_typed, resolve_job
from trainlab.config.overrides import is_of_sweep_alone
from trainlab.config.resolvers import CONF
from trainlab.config.value_types import check_numbers
from trainlab.console import say, say_error, status_line
from trainlab.programs import report_line, same_command, tensorboard_line
from trainlab.runs.folder import LAST, clean_up_on_error


@hydra.main(config_path=str(CONF), config_name="train", version_base="1.3")
def main(cfg: DictConfig) -> float | None:
    """Train with ``cfg``; returns the objective, which a sweeper minimizes or maximizes."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    job: Any = HydraConfig.get()
    with bypass_hydra_errors():
        with clean_up_on_error(Path(job.runtime.output_dir)):
            check_numbers(as_typed(job.overrides.task), job.runtime.choices)
        load_libraries()
        with status_line.counting("loading trainlab"), gc_paused():
            from trainlab.run import run
            from trainlab.tasks.metrics import key_of

        status_line.show("preparing the run")
        with clean_up_on_error(Path(job.runtime.output_dir)):
            config = resolve_job(cfg, job)
        is_alone = job.mode is RunMode.RUN  # and no job of a sweep, which has lines of its own
        if is_alone:
            _warn_of_unused(config.overrides)
        try:
            result = run(config)
        except KeyboardInterrupt:
            if is_alone and (config.run_dir / LAST).exists():
                say_error(
                    f"interrupted: {same_command(config.overrides, str(config.settings['name']))} resumes from here"
                )
            raise
        if is_alone:
            report = report_line(config.run_dir) if result.status == "completed" else ""
            for line in filter(None, (tensorboard_line(config.run_dir, [config.run_dir]), report)):
                say(line, wraps=False)
        return result.metrics.get(key_of(config.settings["sweep"]["objective"]))


def _warn_of_unused(overrides: Sequence[str]) -> None:
    """Name the settings that only a sweep has."""
    if unused := [*filter(is_of_sweep_alone, overrides)]:
        has = "has" if len(unused) == 1 else "have"
        say_error(f"warning: {', '.join(unused)} {has} no effect on a single run; add -m for a sweep")


if __name__ == "__main__":
    run_script(main, trains=True)
