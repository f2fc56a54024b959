"""Passwords in URLs are used, and are in no file that a run writes."""

import logging

import pytest

from recording import LOGGER, recorded
from trainlab.config.build import build
from trainlab.passwords import masked_settings, without_passwords
from trainlab.run import run
from trainlab.runs.result import Result

URL, MASKED = "https://me:hunter2@host/x", "https://me:***@host/x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (URL, MASKED),
        (f"failed: {URL}: refused", f"failed: {MASKED}: refused"),
        ("'postgresql+psycopg2://me:p/w,@d@host:5432/db'", "'postgresql+psycopg2://me:***@host:5432/db'"),
        ("redis://:pw@host", "redis://:***@host"),
        ("['a://b:it's@c', 'd@e']", "['a://b:***@c', 'd@e']"),
        (f"https://ghp_{'x1' * 10}@host/x", "https://***@host/x"),
        ("https://alice@host/x", "https://alice@host/x"),
        ("https://host/?to=me@x.org&max_token=5", "https://host/?to=me@x.org&max_token=5"),
        ("https://host/?api-key=x1&X-Amz-Signature=x2", "https://host/?api-key=***&X-Amz-Signature=***"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("a://b/c?user=me&password=p/w&d=e", "a://b/c?user=me&password=***&d=e"),
        ("{url: 'https://b/?access_token=x1'}", "{url: 'https://b/?access_token=***'}"),
        ("http://host:5000/a@b me:x@y", "http://host:5000/a@b me:x@y"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
        ({"a": [URL, 1, None], "b": (URL,)}, {"a": [MASKED, 1, None], "b": (MASKED,)}),
    ],
)
def test_only_the_password_of_a_url_is_masked(text, expected):
    assert without_passwords(text) == expected
    assert without_passwords(expected) == expected


def test_settings_without_their_password_are_found():
    assert [*masked_settings({"a": {"b": MASKED, "c": URL}, "d": MASKED})] == [("a.b", MASKED), ("d", MASKED)]


def test_no_file_of_a_run_has_the_password_that_its_logger_uses(compose_config, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    setting = f"+logger.recorder.run_name={URL}"
    cfg = compose_config(LOGGER, setting, "+logger.recorder.fails=metrics", "print_config=true", "trainer.max_epochs=1")
    hydra = tmp_path / "run" / ".hydra"  # which Hydra writes before a run starts
    hydra.mkdir(parents=True)
    (hydra / "overrides.yaml").write_text(f"- {setting}\n")
    run(cfg)
    folder = tmp_path / "run"
    [_, [name, settings]], *_ = recorded(folder / "recorded")
    assert (name, settings["logger"]["recorder"]["run_name"]) == (URL, MASKED)
    holding = [path.name for path in folder.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert holding == ["recorded"]  # which the logger itself has written
    assert (hydra / "overrides.yaml").read_text() == f"- +logger.recorder.run_name={MASKED}\n"
    assert MASKED in (folder / "config.yaml").read_text()
    assert f"+logger.recorder.run_name={MASKED}" in Result.read(folder).overrides


@pytest.mark.parametrize("key", ["logger.recorder.run_name", "logger.mlflow.tracking_uri"])
def test_a_masked_password_is_an_error_before_any_work(key, compose_config, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    cfg = compose_config(
        LOGGER, "logger=[tensorboard,mlflow]", f"{key}={MASKED}" if "mlflow" in key else f"+{key}={MASKED}"
    )
    also = ", or the environment variable MLFLOW_TRACKING_URI" * ("mlflow" in key)
    with pytest.raises(ValueError, match="needs its password, which files leave out") as raised:
        build(cfg)
    assert str(raised.value).endswith(f"got {MASKED}; set {key}{also}")
    if also:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", URL)
        build(cfg)
