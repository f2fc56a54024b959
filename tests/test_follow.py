"""What the main process of a training gives to the others."""

from trainlab import ranks
from trainlab.follow import Decision


def test_others_get_the_settings_and_no_logger_with_its_password(compose_config, monkeypatch, tmp_path):
    monkeypatch.delenv(ranks.DECISION, raising=False)
    url = "logger.mlflow={_target_: trainlab.loggers.MLflow, tracking_uri: 'http://me:secret@host'}"
    cfg = compose_config(f"+{url}", "optim.lr=1e-05", "task.class_weights={1: 2.5}")
    Decision.of(cfg, tmp_path / "last.ckpt", 2, "abc").pass_on()
    found = Decision.received()
    monkeypatch.delenv(ranks.DECISION)
    assert (found.start, found.num_threads, found.digest) == (str(tmp_path / "last.ckpt"), 2, "abc")
    loggers = found.cfg.settings["logger"]
    assert loggers.keys() == {name for name, one in cfg.settings["logger"].items() if one}
    assert "secret" not in str(found)
    for part in ("settings", "references"):
        ours, theirs = ({**vars(one)[part], "logger": None} for one in (cfg, found.cfg))
        assert ours == theirs
    assert found.cfg.settings["optim"]["lr"] == 1e-5
    assert (list(found.cfg.overrides), found.cfg.choices) == (list(cfg.overrides)[1:], cfg.choices)
