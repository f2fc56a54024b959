"""The configuration of a run as a file."""

import pytest
from omegaconf import OmegaConf

from trainlab.config.run_config import to_yaml

VALUES = {
    "text like other values": ["yes", "off", "null", "~", "1e3", "1_000", "0x1", "010", "2026-11-30", "12:30", ""],
    "signs": ["# x", "x: y", "- z", "[1]", "{a}", "'", '"', "%", "@", "`", "!x", "&x", "*x", "?", "|", ">", "C:\\x"],
    "long": ["x " * 80, "x" * 200 + " y", "é " * 60, "line\nother\n", " lead", "trail ", "tab\tx"],
    "numbers": [1e-5, 1e20, float("inf"), float("nan"), -0.0, 1e16, 0.1, 3, True, None],
    "nested": [{"a": [], "b": {}, 1: [[{"c": [{}]}]]}, "größe € 漢字"],
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_configuration_is_written_as_omegaconf_writes_it(kind):
    for value in VALUES[kind]:
        settings = {"key": value, "list": [value]}
        assert to_yaml(settings) == OmegaConf.to_yaml(settings)
