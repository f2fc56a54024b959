"""What the main process of a training gives to the others."""

from dataclasses import replace

from trainlab import follow, ranks
from trainlab.follow import Decision
from trainlab.runs.heartbeat import newest_number
from trainlab.runs.result import Result


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


def test_one_of_the_others_records_that_the_main_process_is_lost(train, compose_config, capsys, monkeypatch):
    _, folder = train("trainer.max_epochs=1")
    result = Result.read(folder)
    decision = replace(Decision.of(compose_config(), None, 1, ""), lease=newest_number(folder / ".lease"))
    lost = ChildProcessError("process 1 of 3 was killed")
    follow._record_loss(decision, lost)
    assert Result.read(folder) == result, "it has recorded its end"
    result.status = "running"
    result.write(folder)
    follow._record_loss(replace(decision, lease=decision.lease - 1), lost)
    assert Result.read(folder).status == "running", "another process has resumed it since"
    for _ in range(2):  # processes
        follow._record_loss(decision, lost)
        assert Result.read(folder).status == "failed"
    assert capsys.readouterr().err.splitlines() == ["error: process 1 of 3 was killed"]
