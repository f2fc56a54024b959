"""`python src/exercise.py`, as far as it trains nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from exercise import command_line
from exercise.registry import SECTIONS
from exercise.runner import Exercise

SOURCE = Path(command_line.__file__).parents[1]


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    """The exit status, or the message that it ends with."""
    monkeypatch.setattr(sys, "argv", ["exercise.py", *words])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    return ended.value.code


def test_the_help_names_every_part():
    assert all(part in command_line.PARTS for part in {section.part for section in SECTIONS} - set("12345678"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("9",), "error: there is no part '9'; there are: 1, 2, "),
        (("8c",), "error: there is no part '8c'; it belongs to part 8"),
        (("8", "name=mine"), "error: name= is the exercise's own; its folder under outputs/ is named by --name NAME"),
        (("8", "seed=1", "seed=2"), "error: seed is given twice: seed=1 and seed=2; leave out one of them"),
        (("--quick", "data=image_folder"), "error: --quick is of a small embedded data set; leave --quick out"),
    ],
)
def test_mistakes_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
):
    assert called(monkeypatch, *words) == 2
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (SystemExit(3), 3),
        (KeyboardInterrupt(), 130),
        (ValueError("not all have an answer"), "error: not all have an answer"),
    ],
)
def test_how_it_ends(monkeypatch: pytest.MonkeyPatch, raised: BaseException, status: int | str):
    def run(self: Exercise) -> Path:
        raise raised

    monkeypatch.setattr(Exercise, "run", run)
    assert called(monkeypatch, "8") == status


@pytest.mark.parametrize(
    ("words", "folder", "parts"),
    [
        ((), "exercise", {*"12345678", "mistakes"}),
        (("--quick", "8"), "exercise_quick", {"8"}),
        (("cnn", "--name", "mine", "seed=1,2", "best"), "mine", {"cnn", "best"}),
    ],
)
def test_which_parts_run_and_where(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    folder: str,
    parts: set[str],
):
    ran: list[Exercise] = []
    monkeypatch.setattr(Exercise, "run", lambda self: ran.append(self) or Path("page.html"))
    monkeypatch.setattr(sys, "argv", ["exercise.py", *words])
    command_line.main()
    assert (ran[0].folder.name, ran[0].setting.quick) == (folder, "--quick" in words)
    assert {section.part for section in ran[0].sections} == parts
    assert ran[0].setting.overrides == tuple(word for word in words if "=" in word)
    assert capsys.readouterr().out == "report: page.html\n"


@pytest.mark.slow
def test_the_script_runs_the_package_of_the_same_name():
    done = subprocess.run([sys.executable, SOURCE / "exercise.py", "9"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no part '9'; there are: 1, 2, ")
