"""The configuration of a run, resolved and as a file."""

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue

from trainlab.config.resolvers import resolvers_registered
from trainlab.config.run_config import resolve, to_yaml

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


REFERENCES = {
    "a": {"b": 1e-3, "c": "${.b}", "d": [1, "${a.b}", {"e": "${n}"}], "f": "${a.d}"},
    **{"n": None, "s": "at ${a.b}, ${a.c}", "whole": "${a}", "escaped": "\\${a.b}", "call": "${oc.env:NOT_SET,7}"},
    **{"empty": {}, "none": [], 1: "${s}", "truth": True, "text": "???x"},
}


@pytest.mark.parametrize("overrides", [(), ("lr_search=grid", "scheduler=one_cycle"), ("task=multilabel",)])
def test_settings_are_resolved_as_omegaconf_resolves_them(overrides, compose_config):
    cfg = compose_config(*overrides)
    with resolvers_registered():
        for given in (dict(cfg.references), REFERENCES):
            node = OmegaConf.create(given)
            expected = OmegaConf.to_container(OmegaConf.create(given), resolve=True, throw_on_missing=True)
            assert resolve(node, (), {}).settings == expected


@pytest.mark.parametrize(
    ("given", "error"), [({"a": {"b": "???"}}, MissingMandatoryValue), ({"a": ["${b}"]}, InterpolationKeyError)]
)
def test_what_is_missing_is_named_by_omegaconf(given, error):
    with pytest.raises(error) as caught:
        resolve(OmegaConf.create(given), (), {})
    with pytest.raises(error) as expected:
        OmegaConf.to_container(OmegaConf.create(given), resolve=True, throw_on_missing=True)
    assert str(caught.value) == str(expected.value)
