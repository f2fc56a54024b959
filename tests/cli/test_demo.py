"""What a newcomer sees first: `make demo`."""

import html
import re
import shlex
from pathlib import Path

import pytest
from test_commands import command

from trainlab.config.resolvers import PROJECT

ARGUMENTS = "-m model=elu_he,bn,selu seed=1,2,3 experiment=demo name=demo"


@pytest.mark.parametrize("place", ["Makefile", "docs/getting_started.md", "conf/experiment/demo.yaml"])
def test_the_command_is_the_same_everywhere(place: str):
    text = re.sub(r"\\\n *", "", (PROJECT / place).read_text())
    found = re.findall(r"src/train\.py (-m .*experiment=demo .*)", text)
    assert found == [ARGUMENTS]


@pytest.mark.slow
def test_the_report_claims_which_network_is_better(tmp_path: Path):
    done = command("train.py", *shlex.split(ARGUMENTS), f"output_dir={tmp_path}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = html.unescape((tmp_path / "demo" / "report.html").read_text()).replace("\xa0", " ")
    for better, worse in (("selu", "bn"), ("selu", "elu_he"), ("bn", "elu_he")):
        assert re.search(
            rf"{better} is better than {worse} by [\d.]+ ± [\d.]+ points \(95 %; paired t over seeds", report
        )
