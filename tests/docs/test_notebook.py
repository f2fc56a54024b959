"""The notebook of the documentation: its code runs."""

import json
from pathlib import Path

import pytest

from documented import PROJECT, run

CELLS = json.loads((PROJECT / "docs" / "python_api.ipynb").read_text())["cells"]
CODE = "\n\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code")


def test_outputs_of_the_notebook_are_small_and_hold_no_path_of_a_machine():
    outputs = json.dumps([cell["outputs"] for cell in CELLS if cell["cell_type"] == "code"])
    assert len(outputs) < 5000
    assert "/home" not in outputs and "/tmp" not in outputs


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path):
    (tmp_path / "src").symlink_to(PROJECT / "src")
    status, output = run(["PYTHONPATH=src", "python", "-c", CODE], tmp_path)
    assert status == 0, output
    runs = tmp_path / "outputs" / "notebook"
    assert len(list(runs.glob("*/result.json"))) == 6  # that of the first cell is one of the sweep's
    assert (runs / "report.html").exists()
    assert "bn" in output and "elu_he" in output
