import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import cases, first
from exercise import runner
from exercise.runner import Exercise, SweepProcess
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, NotAvailable
from exercise.trainings import Setting, Sweep
from exercise_texts import made_up_texts  # noqa: F401 (a fixture)
from left_decisions import leave_decisions, with_spread
from run_folders import leave_run
from trainlab.config.resolvers import PROJECT

SWEEP = Sweep("sweep", ("optim.lr=1e-4", "seed=1,2"))
# In the place of train.py: leaves the runs of its arguments, and ends with a status.
TRAIN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
time.sleep({seconds})
from run_folders import leave_run
words = dict(word.split("=", 1) for word in sys.argv[2:])
folder = Path(words["output_dir"]) / words["name"]
with (folder.parents[1] / "called").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
print("of", folder.name)
for seed, ended in {runs}.items():
    if not (folder / str(seed)).exists():
        error = {{"type": "OSError", "message": "no room"}} if ended == "failed" else None
        leave_run(folder / str(seed), [1.0, 0.9], [0.4, 0.5], seed=seed, status=ended, error=error)
sys.exit({status})
"""


BOTH = {1: "completed", 2: "completed"}


def exercise(
    tmp_path: Path,
    sections: Sequence[Section],
    runs: Mapping[int, str] = BOTH,
    status: int = 0,
    seconds: float = 0.0,
    quick: bool = False,
) -> Exercise:
    """One whose sweeps leave ``runs``, by seed, and end with a status after some seconds."""
    script = tmp_path / "train.py"
    script.write_text(TRAIN.format(tests=str(PROJECT / "tests"), runs=dict(runs), status=status, seconds=seconds))
    return Exercise(sections, sections, tmp_path / "outputs" / "study", Setting(quick), [sys.executable, str(script)])


def section(*measurements: Measurement) -> Section:
    def answer(evidence: Evidence) -> Answer:
        group = evidence.group(SWEEP, optim__lr=1e-4)
        return Answer({"text": f"{len(group.runs)} runs {[evidence.measured(m.name) for m in measurements]}"})

    return Section("q", "1", answer, [SWEEP], measurements)


pytestmark = pytest.mark.usefixtures("made_up_texts")


@pytest.fixture(autouse=True)
def tests_can_be_imported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT / "src"), str(PROJECT / "tests")]))


def test_trains_measures_and_writes_and_does_nothing_twice(tmp_path: Path):
    taken = []

    def take(evidence: Evidence) -> Measured:
        taken.append(len(evidence.group(SWEEP, optim__lr=1e-4).runs))
        return {"figure": 0.5}

    sections = [section(Measurement("one", take))]
    page = exercise(tmp_path, sections).run()
    assert page == tmp_path / "outputs" / "study" / "exercise.html"
    assert "2 runs" in page.read_text() and "{&#39;figure&#39;: 0.5}" in page.read_text()
    seconds = json.loads((page.parent / "seconds.json").read_text())
    assert seconds.keys() == {"sweep", "one"} and seconds["sweep"] > 0
    exercise(tmp_path, sections).run()
    assert taken == [2]
    assert json.loads((page.parent / "seconds.json").read_text())["sweep"] > seconds["sweep"]
    called = (tmp_path / "outputs" / "called").read_text().splitlines()
    words = f"-m optim.lr=1e-4 seed=1,2 name=study/sweep output_dir={tmp_path / 'outputs'} sweep.retry_failed=true"
    assert called == [words] * 2


def test_it_says_beforehand_how_long_each_part_takes_that_is_not_done(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    timed, measured = replace(SWEEP, minutes=39.6), Measurement("one", lambda evidence: {"figure": 0.5}, minutes=2)
    of = [replace(section(measured), part="8", sweeps=[timed]), replace(section(), key="m", part="mistakes")]
    exercise(tmp_path, [replace(one, sweeps=[timed]) for one in of]).run()
    assert "question 8: about 42 minutes" in caplog.text
    assert not any(record.getMessage().startswith("mistakes") for record in caplog.records)  # shares the sweep
    caplog.clear()
    exercise(tmp_path, of).run()
    assert "minutes" not in caplog.text


def test_a_sweep_that_adds_seeds_has_ended_once_nothing_is_open(tmp_path: Path):
    sweep = Sweep("auto", ("model=a,b", "seed=auto", "sweep.margin=1.0", "sweep.max_seeds=9"))
    folder, setting = tmp_path / "auto", Setting()
    assert Evidence(tmp_path, setting).count_missing(sweep) == 2  # groups, of which nothing has begun
    leave_decisions(folder, {"a": with_spread(0.505, 7, 3.0), "b": with_spread(0.5, 7, -3.0)})
    assert Evidence(tmp_path, setting).count_missing(sweep) == 2
    at_most = replace(sweep, overrides=(*sweep.overrides[:-1], "sweep.max_seeds=7"))
    assert Evidence(tmp_path, setting).count_missing(at_most) == 0
    leave_decisions(tmp_path / "clear" / "auto", {"a": with_spread(0.55, 7), "b": with_spread(0.5, 7, -1.0)})
    assert Evidence(tmp_path / "clear", setting).count_missing(sweep) == 0
    quick = Evidence(tmp_path / "clear", Setting(quick=True))
    assert quick.count_missing(sweep) == 0  # two seeds of each


def test_a_run_that_diverged_is_part_of_the_answer(tmp_path: Path):
    assert "1 runs" in exercise(tmp_path, [section()], {1: "completed", 2: "diverged"}, status=1).run().read_text()


def test_a_run_that_failed_leaves_its_sections_without_an_answer_and_the_others_with_theirs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    other = Section("o", "1", lambda evidence: Answer({"text": "There it is."}))
    with pytest.raises(ValueError, match=r"the others are in .*html\n  The title of q: .*: 1 run failed \(no room\)$"):
        exercise(tmp_path, [section(), other], {1: "completed", 2: "failed"}, status=1).run()
    assert "sweep: 1 run failed (no room); the same command tries again" in caplog.text
    page = (tmp_path / "outputs" / "study" / "exercise.html").read_text()
    assert "1 run failed (no room)" in page and "There it is." in page


@pytest.mark.parametrize("status", cases([0, 1, 2, 137], 1))
@pytest.mark.parametrize("runs", first(2, [{1: "completed", 2: "running"}, {1: "failed"}, {}, {1: "completed"}]))
def test_a_sweep_that_does_not_finish_ends_the_exercise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, runs: dict[int, str]
):
    with pytest.raises(SystemExit) as ended:
        exercise(tmp_path, [section()], runs, status).run()
    assert ended.value.code == (status or 1)
    recorded = [how for how in runs.values() if how != "running"]
    assert f"sweep: {2 - len(recorded)} runs have not ended" in caplog.text


def test_a_sweep_of_which_all_runs_fail_ends_the_exercise(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with pytest.raises(SystemExit) as ended:
        exercise(tmp_path, [section()], {1: "failed", 2: "failed"}, status=1).run()
    assert ended.value.code == 1
    assert "sweep: 2 runs failed (no room)" in caplog.text


def test_a_sweep_that_ends_otherwise_ends_the_exercise_whatever_it_left(tmp_path: Path):
    with pytest.raises(SystemExit) as ended:
        exercise(tmp_path, [section()], status=3).run()
    assert ended.value.code == 3


def test_a_measurement_that_lacks_something_is_left_for_later(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    def take(evidence: Evidence) -> Measured:
        raise NotAvailable("no checkpoint")

    with pytest.raises(ValueError, match="one is not measured"):
        exercise(tmp_path, [section(Measurement("one", take))]).run()
    assert "not measured: one: no checkpoint" in caplog.text
    assert not Evidence(tmp_path / "outputs" / "study", Setting()).measured_of("one")


@pytest.mark.slow
def test_a_measurement_is_taken_again_when_its_runs_have_changed(tmp_path: Path):
    taken = []

    def take(evidence: Evidence) -> Measured:
        taken.append(len(evidence.runs(SWEEP)))
        return {}

    def anew(evidence: Evidence) -> Answer:
        return Answer({"text": str(evidence.measured("one"))})

    sections = [Section("q", "1", anew, [SWEEP], [Measurement("one", take)])]
    exercise(tmp_path, sections).run()
    leave_run(tmp_path / "outputs" / "study" / "sweep" / "3", [1.0], [0.5], seed=3)
    exercise(tmp_path, sections).run()
    exercise(tmp_path, sections).run()
    assert taken == [2, 3]


@pytest.mark.slow
def test_measurements_of_other_runs_do_not_count_if_they_cannot_be_repeated(tmp_path: Path):
    def take(evidence: Evidence) -> Measured:
        if len(evidence.runs(SWEEP)) > 2:
            raise RuntimeError("a fault")
        return {}

    sections = [section(Measurement("one", take))]
    exercise(tmp_path, sections).run()
    leave_run(tmp_path / "outputs" / "study" / "sweep" / "3", [1.0], [0.5], seed=3)
    with pytest.raises(ValueError, match="one is not measured"):
        exercise(tmp_path, sections).run()


def test_a_fault_in_a_measurement_or_an_answer_takes_no_other_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    def fault(evidence: Evidence) -> Measured:
        raise RuntimeError("no such layer")

    wrong = Section("w", "1", lambda evidence: Answer({"text": 1 / 0}), [SWEEP])
    sections = [section(Measurement("one", fault), Measurement("two", lambda evidence: {"two": 2})), wrong]
    with pytest.raises(ValueError, match="The title of q: one is not measured\n  The title of w: it could not be made"):
        exercise(tmp_path, sections).run()
    assert "no such layer" in caplog.text
    evidence = Evidence(tmp_path / "outputs" / "study", Setting())
    assert evidence.measured("two") == {"two": 2}
    assert "it could not be made (ZeroDivisionError" in (evidence.folder / "exercise.html").read_text()


@pytest.mark.slow
def test_the_page_is_written_while_a_sweep_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = []
    monkeypatch.setattr(runner, "PAGE_EVERY_S", 0.1)
    monkeypatch.setattr(Exercise, "_write", lambda self: written.append(1) or tmp_path)
    exercise(tmp_path, [section()], seconds=1.0).run()
    assert len(written) > 2  # before, at least once while it ran, after


@pytest.mark.slow
@pytest.mark.parametrize("quick", [False, True])
def test_ctrl_c_ends_sweeps_and_exercise_with_130(tmp_path: Path, quick: bool):
    expected = ["x_s", "x_t"] if quick else ["x_s"]
    script = tmp_path / "train.py"
    script.write_text(
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "name = next(word for word in sys.argv if word.startswith('name=')).removeprefix('name=').replace('/', '_')\n"
        "try:\n"
        f"    Path({str(tmp_path)!r}, name + '.started').touch()\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        f"    Path({str(tmp_path)!r}, name + '.interrupted').touch()\n    sys.exit(130)\n"
    )
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from exercise.runner import Exercise\n"
        "from exercise.section import Section\n"
        "from exercise.trainings import Setting, Sweep\n"
        "section = Section('q', '1', None, [Sweep('s', ()), Sweep('t', ())])\n"
        f"folder, script = Path({str(tmp_path / 'outputs' / 'x')!r}), Path({str(script)!r})\n"
        f"one = Exercise([section], [], folder, Setting({quick}), [sys.executable, str(script)])\n"
        "one.run()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        for _ in range(600):
            if all((tmp_path / f"{name}.started").exists() for name in expected):
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert [path.stem for path in sorted(tmp_path.glob("*.interrupted"))] == expected


@pytest.mark.slow
@pytest.mark.parametrize("quick", [False, True])
def test_quick_sweeps_run_two_at_a_time_and_what_they_say_stays_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, quick: bool
):
    caplog.set_level("INFO")
    at_once, running = [], []
    start, end = Exercise._start, Exercise._end

    def started(self: Exercise, sweep: Sweep) -> SweepProcess:
        at_once.append([*running])
        running.append(sweep.name)
        return start(self, sweep)

    def ended(self: Exercise, one: SweepProcess) -> None:
        running.remove(one.sweep.name)
        end(self, one)

    monkeypatch.setattr(Exercise, "_start", started)
    monkeypatch.setattr(Exercise, "_end", ended)
    sections = [
        Section(f"q{i}", "1", lambda _: Answer({"text": "It is."}), [Sweep(f"sweep_{i}", ("seed=1,2",))])
        for i in range(3)
    ]
    one = exercise(tmp_path, sections, quick=quick)
    one.run()
    assert at_once[:2] == [[], ["sweep_0"] if quick else []]
    assert len(at_once[2]) < (2 if quick else 1)  # the third waits until one has ended
    assert quick is (
        {f"sweep_{i}:\nof sweep_{i}" for i in range(3)} <= {record.getMessage() for record in caplog.records}
    )
    assert json.loads((one.folder / "seconds.json").read_text()).keys() == {"sweep_0", "sweep_1", "sweep_2"}


def test_a_quick_sweep_that_does_not_finish_ends_the_concurrent_one(tmp_path: Path):
    script = tmp_path / "train.py"
    script.write_text(
        "import pathlib, signal, sys, time\n"
        "if 'name=study/bad' in sys.argv:\n"
        f"    while not pathlib.Path({str(tmp_path / 'there')!r}).exists():\n        time.sleep(0.05)\n"
        "    sys.exit(2)\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))\n"
        f"pathlib.Path({str(tmp_path / 'there')!r}).touch()\n"
        "time.sleep(60)\n"
    )
    sections = [Section(name, "1", None, [Sweep(name, ())]) for name in ("good", "bad")]
    one = Exercise(sections, [], tmp_path / "outputs" / "study", Setting(quick=True), [sys.executable, str(script)])
    with pytest.raises(SystemExit) as ended:
        one.run()
    assert ended.value.code == 2
    assert json.loads((one.folder / "seconds.json").read_text()).keys() == {"good", "bad"}
