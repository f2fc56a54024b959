import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from run_folders import leave_run
from trainlab.cli import PROJECT
from trainlab.exercise import carry_out
from trainlab.exercise.carry_out import Cancelled, Exercise
from trainlab.exercise.evidence import Evidence, Measured, NotYet
from trainlab.exercise.section import Answer, Measurement, Section
from trainlab.exercise.trainings import Setting, Sweep

SWEEP = Sweep("sweep", ("optim.lr=1e-4", "seed=1,2"))
# In the place of train.py: leaves the runs that it is told to, and ends with a status.
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
for seed in {seeds}:
    if not (folder / str(seed)).exists():
        leave_run(folder / str(seed), [1.0, 0.9], [0.4, 0.5], seed=seed)
sys.exit({status})
"""


def exercise(
    tmp_path: Path, sections: Sequence[Section], seeds: Sequence[int] = (1, 2), status: int = 0, seconds: float = 0.0
) -> Exercise:
    script = tmp_path / "train.py"
    script.write_text(TRAIN.format(tests=str(PROJECT / "tests"), seeds=list(seeds), status=status, seconds=seconds))
    return Exercise(sections, sections, tmp_path / "outputs" / "study", Setting(), script)


def section(*measurements: Measurement) -> Section:
    def answer(evidence: Evidence) -> Answer:
        group = evidence.group(SWEEP, optim__lr=1e-4)
        return Answer([f"{len(group.runs)} runs", *(str(evidence.measured(m.name)) for m in measurements)])

    return Section("q", "1", "A question", "What?", "", answer, [SWEEP], measurements)


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
    assert "2 runs" in page.read_text() and "{&#x27;figure&#x27;: 0.5}" in page.read_text()
    seconds = json.loads((page.parent / "seconds.json").read_text())
    assert seconds.keys() == {"sweep", "one"} and seconds["sweep"] > 0
    exercise(tmp_path, sections).run()
    assert taken == [2]
    assert json.loads((page.parent / "seconds.json").read_text())["sweep"] > seconds["sweep"]
    called = (tmp_path / "outputs" / "called").read_text().splitlines()
    assert called == [f"-m optim.lr=1e-4 seed=1,2 name=study/sweep output_dir={tmp_path / 'outputs'}"] * 2


def test_a_failed_run_is_no_reason_to_end_but_a_sweep_without_any_is(tmp_path: Path):
    exercise(tmp_path, [section()], status=1).run()
    with pytest.raises(Cancelled) as ended:
        exercise(tmp_path / "other", [section()], seeds=(), status=2).run()
    assert ended.value.status == 2


@pytest.fixture(autouse=True)
def folders(tmp_path: Path):
    (tmp_path / "other").mkdir()


def test_a_section_without_an_answer_is_named_at_the_end(tmp_path: Path):
    with pytest.raises(ValueError, match=r"A question: no answer, .*1 of 2 seeds have ended; the others are in .*html"):
        exercise(tmp_path, [section()], seeds=(1,)).run()


def test_a_measurement_that_lacks_something_is_left_for_later(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    def take(evidence: Evidence) -> Measured:
        raise NotYet("no checkpoint")

    with pytest.raises(ValueError, match="one is not measured"):
        exercise(tmp_path, [section(Measurement("one", take))]).run()
    assert "not measured: one: no checkpoint" in caplog.text
    assert not Evidence(tmp_path / "outputs" / "study", Setting()).is_measured("one")


def test_a_measurement_is_taken_again_when_its_runs_have_changed(tmp_path: Path):
    taken = []

    def take(evidence: Evidence) -> Measured:
        taken.append(len(evidence.runs(SWEEP)))
        return {}

    def anew(evidence: Evidence) -> Answer:
        return Answer([str(evidence.measured("one"))])

    sections = [Section("q", "1", "A question", "What?", "", anew, [SWEEP], [Measurement("one", take)])]
    exercise(tmp_path, sections).run()
    leave_run(tmp_path / "outputs" / "study" / "sweep" / "3", [1.0], [0.5], seed=3)
    exercise(tmp_path, sections).run()
    exercise(tmp_path, sections).run()
    assert taken == [2, 3]


def test_a_fault_in_a_measurement_or_an_answer_takes_no_other_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    def fault(evidence: Evidence) -> Measured:
        raise RuntimeError("no such layer")

    wrong = Section("w", "1", "Wrong", "What?", "", lambda evidence: Answer([str(1 / 0)]), [SWEEP])
    sections = [section(Measurement("one", fault), Measurement("two", lambda evidence: {"two": 2})), wrong]
    with pytest.raises(ValueError, match="A question: no answer, one is not measured"):
        exercise(tmp_path, sections).run()
    assert "no such layer" in caplog.text
    evidence = Evidence(tmp_path / "outputs" / "study", Setting())
    assert evidence.measured("two") == {"two": 2}
    assert "it could not be made (ZeroDivisionError" in (evidence.folder / "exercise.html").read_text()


def test_other_settings_are_refused_in_the_same_folder(tmp_path: Path):
    exercise(tmp_path, [section()]).run()
    other = exercise(tmp_path, [section()])
    other.setting = Setting(overrides=("data.root=/elsewhere",))
    with pytest.raises(
        ValueError, match=r"sweep was trained with other settings \(optim.lr=1e-4 seed=1,2\); give those"
    ):
        other.run()


def test_the_page_is_written_while_a_sweep_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = []
    monkeypatch.setattr(carry_out, "PAGE_EVERY_S", 0.1)
    monkeypatch.setattr(Exercise, "_write", lambda self: written.append(1) or tmp_path)
    exercise(tmp_path, [section()], seconds=1.0).run()
    assert len(written) > 2  # before, at least once while it ran, after


def test_ctrl_c_ends_sweep_and_exercise_with_130(tmp_path: Path):
    script = tmp_path / "train.py"
    script.write_text(
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        f"Path({str(tmp_path / 'started')!r}).touch()\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n"
        f"    Path({str(tmp_path / 'told')!r}).touch()\n    sys.exit(130)\n"
    )
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from trainlab.exercise.carry_out import Cancelled, Exercise\n"
        "from trainlab.exercise.section import Section\n"
        "from trainlab.exercise.trainings import Setting, Sweep\n"
        "section = Section('q', '1', 'A', 'B', '', None, [Sweep('s', ())])\n"
        f"one = Exercise([section], [], Path({str(tmp_path / 'outputs' / 'x')!r}), Setting(), Path({str(script)!r}))\n"
        "try:\n    one.run()\nexcept Cancelled as ended:\n    sys.exit(ended.status)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        for _ in range(600):
            if (tmp_path / "started").exists():
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (tmp_path / "told").exists()
