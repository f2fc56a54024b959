"""The runner of the exercise: trains, measures, and writes the page meanwhile. Nothing is done twice."""

import json
import logging
import os
import shlex
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from exercise.page import write_page
from exercise.programs import shown
from exercise.section import Answers, Measurement, Section, sweeps_of
from exercise.store import Evidence, NotAvailable, claim_folder, describe_failures
from exercise.trainings import Setting, Sweep, sweep_command
from trainlab.runs import write_json

log = logging.getLogger(__name__)
PAGE_EVERY_S = 20.0
POLL_S = 0.2
QUICK_AT_ONCE = 2  # tiny sweeps, whose time goes into starts on one core; others have all cores for themselves
QUICK_MINUTES = 2
INTERRUPTED = 130


class SweepProcess(subprocess.Popen[bytes]):
    """A sweep that runs: alone, or with an ``output``, which is shown when it has ended, in one thread among others."""

    def __init__(self, sweep: Sweep, command: Sequence[str], output: Path | None = None) -> None:
        self.sweep, self.output, self.started = sweep, output, time.monotonic()
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"} if output else None
        with output.open("wb") if output else nullcontext() as file:
            super().__init__(command, stdout=file, stderr=file, env=one_thread)


@dataclass
class Exercise:
    """Runs sections, in their order."""

    sections: Sequence[Section]  # to run
    all_sections: Sequence[Section]  # of the page; what was done of the others before is shown, too
    folder: Path  # `outputs/NAME`
    setting: Setting
    train: Sequence[str]  # words that start a training
    _answers: Answers = field(default_factory=Answers)
    _written: float = -inf

    def run(self) -> Path:
        """Do all of it. Returns the page.

        Raises:
            SystemExit: by Ctrl-C, or a sweep did not finish.
            ValueError: the folder is of another exercise, a setting cannot be read, or a section has no answer.
        """
        sweeps = sweeps_of(self.sections)
        with claim_folder(self.folder, sweeps, self.setting):
            self._say_how_long()
            self._train(sweeps)
            for section in self.sections:
                for measurement in section.measurements:
                    self._measure(section, measurement)
            page, evidence = self._write(), self._evidence
        missing = {section.title: self._answers.of(section, evidence)[2] for section in self.sections}
        lacking = [f"{title}: {reason}" for title, reason in missing.items() if reason]
        if lacking:
            raise ValueError("\n  ".join([f"not all have an answer; the others are in {page}", *lacking]))
        return page

    @property
    def _evidence(self) -> Evidence:
        """What is there now."""
        return Evidence(self.folder, self.setting)

    def _say_how_long(self) -> None:
        """A line for each part that is not done: how long its sweeps and measurements take on two cores."""
        if self.setting.quick:
            log.info("about %d minutes in all", QUICK_MINUTES)
            return
        evidence, minutes, known = self._evidence, defaultdict[str, float](float), set[str]()
        for section in self.sections:
            left: list[Sweep | Measurement]
            left = [of for of in section.sweeps if evidence.failed(of) or evidence.count_missing(of)]
            left += [of for of in section.measurements if evidence.measured_of(of.name) is None]
            for of in left:
                if of.name not in known:
                    minutes[section.part] += of.minutes
                known.add(of.name)
        for part, of_part in minutes.items():
            log.info("%s: about %.0f minutes", f"question {part}" if part.isdigit() else part, max(1, of_part))
        if len(minutes) > 1:
            log.info("in all: about %.0f minutes on two cores", max(1, sum(minutes.values())))

    def _train(self, sweeps: Sequence[Sweep]) -> None:
        """Train what of them is not trained."""
        waiting, running = deque(sweeps), list[SweepProcess]()
        at_once = QUICK_AT_ONCE if self.setting.quick else 1
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    running.append(self._start(waiting.popleft()))
                for one in [one for one in running if one.poll() is not None]:
                    running.remove(one)
                    self._end(one)
                self._write_now_and_then()
                time.sleep(POLL_S)
        except KeyboardInterrupt:  # which the sweeps have got, too: they end their epochs
            for one in running:
                one.wait()
            sys.exit(INTERRUPTED)
        finally:
            for one in running:
                one.terminate()  # nothing, if it has ended
                self._wait(one)

    def _start(self, sweep: Sweep) -> SweepProcess:
        words = sweep_command(sweep, self.setting, self.folder.name)
        log.info("%s", shlex.join([*shown("train"), *words]))
        output = self.folder / f"{sweep.name}.log" if self.setting.quick else None
        words.append(f"output_dir={self.folder.parent}")
        if not any(word.startswith("sweep.retry_failed=") for word in words):
            words.append("sweep.retry_failed=true")
        return SweepProcess(sweep, [*self.train, *words], output)

    def _wait(self, one: SweepProcess) -> int:
        """Wait for the end of a sweep, and show its output. Returns the exit status as a shell has it."""
        status = one.wait()
        self._add_seconds(one.sweep.name, time.monotonic() - one.started)
        if one.output:
            log.info("%s:\n%s", one.sweep.name, one.output.read_text(errors="replace").rstrip())
        return status if status >= 0 else 128 - status

    def _end(self, one: SweepProcess) -> None:
        """Check the results of a sweep. Its exit status is 1 if runs failed or diverged, and after many a mistake, too.

        Raises:
            SystemExit: a run that it should have made has not ended, or all have failed.
        """
        status, sweep, evidence = self._wait(one), one.sweep, self._evidence
        failed, missing = evidence.failed(sweep), evidence.count_missing(sweep)
        if missing:
            log.error("%s: %d runs have not ended", sweep.name, missing)
        if failed:
            log.warning("%s: %s; the same command tries again", sweep.name, describe_failures(failed))
        all_failed = len(failed) == len(evidence.runs(sweep))  # and what ends all runs would end others, too
        if missing or all_failed or status not in (0, 1):
            sys.exit(status or 1)

    def _measure(self, section: Section, measurement: Measurement) -> None:
        evidence = self._evidence
        of = evidence.what_ran(section.sweeps)
        if evidence.measured_of(measurement.name) == of:
            return
        log.info("measuring %s (%s)", measurement.name, section.title)
        self._write_now_and_then()
        started = time.monotonic()
        evidence.path_of(measurement.name).unlink(missing_ok=True)  # what is of other runs is no answer if this fails
        try:
            evidence.keep(measurement.name, measurement.take(evidence), of)
        except NotAvailable as missing:
            log.warning("not measured: %s: %s", measurement.name, missing)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except Exception:  # the others are measured; without it the section has no answer, which fails at the end
            log.exception("not measured: %s", measurement.name)
        finally:
            self._add_seconds(measurement.name, time.monotonic() - started)

    def _write_now_and_then(self) -> None:
        if time.monotonic() - self._written > PAGE_EVERY_S:
            self._write()

    def _write(self) -> Path:
        page = write_page(self.all_sections, self._evidence, self._seconds(), self._answers)
        self._written = time.monotonic()
        return page

    def _seconds(self) -> dict[str, float]:
        path = self.folder / "seconds.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def _add_seconds(self, name: str, seconds: float) -> None:
        """Add to the time that a sweep or a measurement has taken, over all times that it was resumed."""
        times = self._seconds()
        write_json(self.folder / "seconds.json", times | {name: times.get(name, 0.0) + seconds}, indent=1)
