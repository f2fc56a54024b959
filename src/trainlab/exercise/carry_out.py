"""Carries the exercise out: trains, measures, writes the page as it goes. What is there is not done again."""

import json
import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trainlab.exercise.answers import Answers
from trainlab.exercise.evidence import Evidence, NotYet
from trainlab.exercise.page import write_page
from trainlab.exercise.section import Measurement, Section, sweeps_of
from trainlab.exercise.trainings import Setting, Sweep, command, overrides_of
from trainlab.files import write_atomically

log = logging.getLogger(__name__)
PAGE_EVERY_S = 20.0  # while a sweep runs
INTERRUPTED = 130


class Cancelled(Exception):
    """Ended by Ctrl-C, or by a sweep that could not begin; the exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class Exercise:
    """Carries sections out, in their order.

    Args:
        sections: those that are asked for.
        all_sections: those of the page; what was done of the others before is shown, too.
        folder: `outputs/NAME` of the exercise.
        setting: that it is carried out with.
        script: `src/train.py`.
    """

    def __init__(
        self,
        sections: Sequence[Section],
        all_sections: Sequence[Section],
        folder: Path,
        setting: Setting,
        script: Path,
    ) -> None:
        self.sections, self.all_sections = sections, all_sections
        self.folder, self.setting, self.script = folder, setting, script
        self._times = folder / "seconds.json"
        self._answers = Answers()

    def run(self) -> Path:
        """Do all of it. Returns the page.

        Raises:
            Cancelled: by Ctrl-C, or a sweep's settings are wrong.
            ValueError: the folder is of other settings, or a section has no answer after all.
        """
        self._claim_folder()
        for sweep in sweeps_of(self.sections):
            self._train(sweep)
        for section in self.sections:
            for measurement in section.measurements:
                self._measure(section, measurement)
        self._answers = Answers()  # all made again, once: nothing on the page is older than what is on disk
        page = self._write()
        evidence = Evidence(self.folder, self.setting)
        for section in self.sections:
            if isinstance(missing := self._answers.of(section, evidence), str):
                raise ValueError(f"{section.title}: no answer, {missing}; the others are in {page}")
        return page

    def _train(self, sweep: Sweep) -> None:
        """Train what of ``sweep`` is not trained, in a process of its own."""
        words = [*command(sweep, self.setting, self.folder.name), f"output_dir={self.folder.parent}"]
        log.info("python src/train.py %s", shlex.join(words[:-1]))
        evidence = Evidence(self.folder, self.setting)
        evidence.set_under_way(sweep.name, True)
        self._write()
        started = time.monotonic()
        process = subprocess.Popen([sys.executable, str(self.script), *words])
        try:
            written = started
            while process.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - written > PAGE_EVERY_S:
                    self._write()
                    written = time.monotonic()
        except KeyboardInterrupt:  # which the sweep has got, too: it ends its epoch
            process.wait()
            raise Cancelled(INTERRUPTED) from None
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
            self._add_seconds(sweep.name, time.monotonic() - started)
        # 1: some run failed or diverged, which is on record and part of the answer. No run at all is a mistake.
        if process.returncode not in (0, 1) or not evidence.runs(sweep):
            raise Cancelled(process.returncode or 1)
        evidence.set_under_way(sweep.name, False)

    def _measure(self, section: Section, measurement: Measurement) -> None:
        evidence = Evidence(self.folder, self.setting)
        of = evidence.what_ran(section.sweeps)
        if evidence.is_measured(measurement.name, of):
            return
        log.info("measuring %s (%s)", measurement.name, section.title)
        self._write()
        started = time.monotonic()
        try:
            evidence.keep(measurement.name, measurement.take(evidence), of)
        except NotYet as missing:
            log.warning("not measured: %s: %s", measurement.name, missing)
        except KeyboardInterrupt:
            raise Cancelled(INTERRUPTED) from None
        except Exception:  # the others are measured; without it the section has no answer, which fails at the end
            log.exception("not measured: %s", measurement.name)
        finally:
            self._add_seconds(measurement.name, time.monotonic() - started)

    def _claim_folder(self) -> None:
        """Keep what is trained here beside it, so that other settings never come among the same figures.

        Raises:
            ValueError: what was trained here before had other settings.
        """
        path = self.folder / "settings.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        now = {sweep.name: overrides_of(sweep, self.setting) for sweep in sweeps_of(self.sections)}
        for name, overrides in now.items():
            if before.get(name, overrides) != overrides:
                raise ValueError(
                    f"{self.folder / name} was trained with other settings ({shlex.join(before[name])}); give those, "
                    "set another --name, or remove that folder and its line in settings.json"
                )
        write_atomically(path, (json.dumps(before | now, indent=1) + "\n").encode())

    def _write(self) -> Path:
        return write_page(self.all_sections, Evidence(self.folder, self.setting), self._seconds(), self._answers)

    def _seconds(self) -> dict[str, float]:
        return json.loads(self._times.read_text()) if self._times.exists() else {}

    def _add_seconds(self, name: str, seconds: float) -> None:
        """Add to what a sweep or a measurement has taken, over all times that it was gone on with."""
        times = self._seconds()
        times[name] = times.get(name, 0.0) + seconds
        write_atomically(self._times, (json.dumps(times, indent=1) + "\n").encode())
