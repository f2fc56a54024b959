"""The runner of the exercise: trains, measures, and writes the page meanwhile. Nothing is done twice."""

import json
import logging
import os
import shlex
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
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


class SweepProcess:
    """A sweep that runs.

    Args:
        sweep: the sweep.
        command: words that start it.
        output: file for its output, which is shown when it has ended: it is not the only one, and has one
            thread. None for the terminal, and as many threads as there are.

    Attributes:
        seconds: that it took; 0 before its end.
    """

    def __init__(self, sweep: Sweep, command: Sequence[str], output: Path | None = None) -> None:
        self.sweep, self.seconds = sweep, 0.0
        self._output, self._started = output, time.monotonic()
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"} if output else None
        with output.open("wb") if output else nullcontext() as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file, env=one_thread)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait(self) -> int:
        """Wait for its end, and show its output. Returns the exit status as a shell has it."""
        status = self._process.wait()
        if not self.seconds:
            self.seconds = time.monotonic() - self._started
            if self._output:
                log.info("%s:\n%s", self.sweep.name, self._output.read_text(errors="replace").rstrip())
        return status if status >= 0 else 128 - status

    def stop(self) -> None:
        """Request it to stop, as Ctrl-C does, and wait for that."""
        if not self.has_ended:
            self._process.terminate()
        self.wait()


class Cancelled(SystemExit):
    """Ended by Ctrl-C, or by a sweep that did not finish; ``code`` is the exit status."""


class Exercise:
    """Runs sections, in their order.

    Args:
        sections: those to run.
        all_sections: those of the page; what was done of the others before is shown, too.
        folder: `outputs/NAME` of the exercise.
        setting: that it is run with.
        train: words that start a training.
    """

    def __init__(
        self,
        sections: Sequence[Section],
        all_sections: Sequence[Section],
        folder: Path,
        setting: Setting,
        train: Sequence[str],
    ) -> None:
        self.sections, self.all_sections = sections, all_sections
        self.folder, self.setting, self.train = folder, setting, train
        self._times = folder / "seconds.json"
        self._answers = Answers()
        self._written = -inf

    def run(self) -> Path:
        """Do all of it. Returns the page.

        Raises:
            Cancelled: by Ctrl-C, or a sweep did not finish.
            ValueError: the folder is of another exercise, a setting cannot be read, or a section has no answer.
        """
        sweeps = sweeps_of(self.sections)
        with claim_folder(self.folder, sweeps, self.setting):
            self._say_how_long()
            self._train(sweeps)
            for section in self.sections:
                for measurement in section.measurements:
                    self._measure(section, measurement)
            page, evidence = self._write(), Evidence(self.folder, self.setting)
        answers = [(section, self._answers.of(section, evidence)) for section in self.sections]
        lacking = [f"{section.title}: {answer}" for section, answer in answers if isinstance(answer, str)]
        if lacking:
            raise ValueError("\n  ".join([f"not all have an answer; the others are in {page}", *lacking]))
        return page

    def _say_how_long(self) -> None:
        """A line for each part that is not done: how long its sweeps and measurements take on two cores."""
        if self.setting.quick:
            log.info("about %d minutes in all", QUICK_MINUTES)
            return
        evidence, minutes, known = Evidence(self.folder, self.setting), dict[str, float](), set[str]()
        for section in self.sections:
            parts: list[Sweep | Measurement] = [*section.sweeps, *section.measurements]
            for of in parts:
                done = evidence.is_done(of) if isinstance(of, Sweep) else evidence.is_taken(of.name)
                if of.name not in known and not done:
                    minutes[section.part] = minutes.get(section.part, 0.0) + of.minutes
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
                for one in [one for one in running if one.has_ended]:
                    running.remove(one)
                    self._end(one)
                self._write_now_and_then()
                time.sleep(POLL_S)
        except KeyboardInterrupt:  # which the sweeps have got, too: they end their epochs
            for one in running:
                one.wait()
            raise Cancelled(INTERRUPTED) from None
        finally:
            for one in running:
                one.stop()
                self._add_seconds(one.sweep.name, one.seconds)

    def _start(self, sweep: Sweep) -> SweepProcess:
        words = sweep_command(sweep, self.setting, self.folder.name)
        log.info("%s", shlex.join([*shown("train"), *words]))
        Evidence(self.folder, self.setting).set_under_way(sweep.name, True)
        output = self.folder / f"{sweep.name}.log" if self.setting.quick else None
        words.append(f"output_dir={self.folder.parent}")
        if not any(word.startswith("sweep.retry_failed=") for word in words):
            words.append("sweep.retry_failed=true")
        return SweepProcess(sweep, [*self.train, *words], output)

    def _end(self, one: SweepProcess) -> None:
        """Check the results of a sweep. Its exit status is 1 if runs failed or diverged, and after many a mistake, too.

        Raises:
            Cancelled: a run that it should have made has not ended, or all have failed.
        """
        status, sweep = one.wait(), one.sweep
        self._add_seconds(sweep.name, one.seconds)
        evidence = Evidence(self.folder, self.setting)
        failed = evidence.failed(sweep)
        missing = evidence.count_missing(sweep)
        if missing:
            log.error("%s: %d runs have not ended", sweep.name, missing)
        if failed:
            log.warning("%s: %s; the same command tries again", sweep.name, describe_failures(failed))
        all_failed = len(failed) == len(evidence.runs(sweep))  # and what ends all runs would end others, too
        if missing or all_failed or status not in (0, 1):
            raise Cancelled(status or 1)
        evidence.set_under_way(sweep.name, False)

    def _measure(self, section: Section, measurement: Measurement) -> None:
        evidence = Evidence(self.folder, self.setting)
        of = evidence.what_ran(section.sweeps)
        if evidence.is_measured(measurement.name, of):
            return
        log.info("measuring %s (%s)", measurement.name, section.title)
        self._write_now_and_then()
        started = time.monotonic()
        evidence.forget(measurement.name)  # what was taken of other runs is no answer if this fails
        try:
            evidence.keep(measurement.name, measurement.take(evidence), of)
        except NotAvailable as missing:
            log.warning("not measured: %s: %s", measurement.name, missing)
        except KeyboardInterrupt:
            raise Cancelled(INTERRUPTED) from None
        except Exception:  # the others are measured; without it the section has no answer, which fails at the end
            log.exception("not measured: %s", measurement.name)
        finally:
            self._add_seconds(measurement.name, time.monotonic() - started)

    def _write_now_and_then(self) -> None:
        if time.monotonic() - self._written > PAGE_EVERY_S:
            self._write()

    def _write(self) -> Path:
        page = write_page(self.all_sections, Evidence(self.folder, self.setting), self._seconds(), self._answers)
        self._written = time.monotonic()
        return page

    def _seconds(self) -> dict[str, float]:
        return json.loads(self._times.read_text()) if self._times.exists() else {}

    def _add_seconds(self, name: str, seconds: float) -> None:
        """Add to the time that a sweep or a measurement has taken, over all times that it was resumed."""
        times = self._seconds()
        times[name] = times.get(name, 0.0) + seconds
        write_json(self._times, times, indent=1)
