"""A process that trains along with the main one, for another device: it decides, writes and prints nothing."""

import base64
import contextlib
import logging
import os
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from trainlab import ranks
from trainlab.config.build import Parts, build
from trainlab.config.run_config import RunConfig
from trainlab.console import quiet
from trainlab.programs import import_from
from trainlab.runs.continuation import was_compiled
from trainlab.runs.errors import Interrupted
from trainlab.runs.folder import is_interruption
from trainlab.runs.lease import lease_of, taken_over
from trainlab.runs.result import CONTINUATION, RESULT, Result
from trainlab.training.lightning_internals import on_death
from trainlab.training.lightning_processes import going_with_the_main_process, is_lost_connection

log = logging.getLogger(__name__)
_DUMMY = "lightning.pytorch.loggers.logger.DummyLogger"


@dataclass(frozen=True)
class Decision:
    """What the main process has decided for all.

    Attributes:
        config: fields of its `RunConfig`; loggers are the main process's, with their passwords.
        start: the checkpoint that the training starts from.
        num_threads: of the CPU, for each process; None on other devices.
        digest: of the data.
        cwd: working directory.
        lease: number of that of the run's folder, which the main process holds.
    """

    config: Mapping[str, Any]
    start: str | None
    num_threads: int | None
    digest: str
    cwd: str
    lease: int

    @classmethod
    def of(cls, cfg: RunConfig, start: Path | None, num_threads: int | None, digest: str) -> "Decision":
        """The decision for a run of ``cfg``."""
        settings, references = (
            part | {"logger": {name: {"_target_": _DUMMY} for name, logger in part["logger"].items() if logger}}
            for part in (dict(cfg.settings), dict(cfg.references))
        )
        overrides = [one for one in cfg.overrides if not one.lstrip("+~").startswith("logger")]
        found = replace(cfg, settings=settings, references=references, overrides=overrides)
        lease = lease_of(cfg.run_dir / RESULT)
        number = lease.number if lease else 0
        return cls(asdict(found), str(start) if start else None, num_threads, digest, str(Path.cwd()), number)

    @property
    def cfg(self) -> RunConfig:
        """The configuration of the run."""
        return RunConfig(**self.config)

    def pass_on(self) -> None:
        """Give it to processes that were started with this one, and to those that Lightning starts."""
        text = base64.b64encode(zlib.compress(yaml.safe_dump(asdict(self)).encode())).decode()
        os.environ[ranks.DECISION] = text
        if (others := ranks.others()) and others.number == 0:
            others.publish(text)

    @classmethod
    def received(cls) -> "Decision":
        """That of the main process; waits for it.

        Raises:
            ChildProcessError: the main process is lost.
            SystemExit: it has ended before, with that status.
        """
        others = ranks.others()
        text = others.decision() if others else os.environ[ranks.DECISION]
        return cls(**yaml.safe_load(zlib.decompress(base64.b64decode(text))))


def fit(parts: Parts, config: dict[str, Any], start: Path | None) -> None:
    """Train, from the checkpoint ``start`` if there is one."""
    parts.checkpoint.about |= {"config": config, "data_digest": parts.learner.digest} | parts.learner.about
    parts.learner.prepare(parts.trainer, is_new=start is None)
    try:
        parts.trainer.fit(parts.module, datamodule=parts.data, ckpt_path=start, weights_only=True)
    finally:
        parts.interrupt.give_back()
    if summary := parts.trainer.profiler.summary():  # type: ignore[attr-defined]  # Lightning sets it dynamically
        log.info(summary)


def follow() -> None:
    """Train along with the main process.

    Raises:
        Interrupted: it was interrupted.
        SystemExit: the main process reports why.
    """
    logging.root.addHandler(logging.NullHandler())  # instead of standard error
    quiet()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    decision: Decision | None = None
    with _end_reported(lambda: decision):
        decision = Decision.received()
        os.chdir(decision.cwd)
        if decision.cfg.config_dir:
            import_from(decision.cfg.config_dir)
        if (others := ranks.others()) is not None:
            decision.pass_on()  # to the processes of this node
        parts = build(decision.cfg)
        on_death(parts.trainer, partial(_record_loss, decision))
        start = Path(decision.start) if decision.start else None
        if start:
            parts.learner.continue_as(was_compiled(start))
        if decision.num_threads:
            torch.set_num_threads(decision.num_threads)
            parts.checkpoint.about["num_threads"] = decision.num_threads
        if parts.learner.digest != decision.digest:
            raise ValueError(
                "it reads other images than the first process; set data.root to a folder that is the same on all nodes"
            )
        parts.loggers.follow(parts.trainer)
        with going_with_the_main_process() if others is None else contextlib.nullcontext():
            fit(parts, decision.cfg.settings, start)
        if parts.interrupt.interrupted:
            raise Interrupted


@contextlib.contextmanager
def _end_reported(decision: Callable[[], Decision | None]) -> Iterator[None]:
    """Leave it to the main process to report an error, unless that is lost."""
    try:
        yield
    except ChildProcessError as error:
        _record_loss(decision(), error)
        raise SystemExit(1) from None
    except (RuntimeError, SystemExit) as error:
        if is_interruption(error):
            raise Interrupted from None
        if is_lost_connection(error):
            raise SystemExit(1) from None
        raise


def _record_loss(decision: Decision | None, error: Exception) -> None:
    """Record and report that the main process is lost, unless it has recorded its end, or another process this."""
    others = ranks.others()
    if decision is None:  # nothing was written
        if others and others.number == 1:
            print(f"error: {error}", file=sys.stderr, flush=True)
        return
    folder = decision.cfg.run_dir
    if not _without_end(folder):
        return
    with taken_over(folder.parent if folder.name == CONTINUATION else folder, decision.lease) as lease:
        result = _without_end(folder) if lease else None  # read anew: the main process may have ended meanwhile
        if result:
            result.status = "failed"
            result.error = {"type": type(error).__name__, "message": str(error), "traceback": ""}
            result.write(folder)
            print(f"error: {error}", file=sys.stderr, flush=True)


def _without_end(folder: Path) -> Result | None:
    """The result of a run that has recorded no end."""
    result = Result.read(folder)
    return result if result and result.status == "running" else None
