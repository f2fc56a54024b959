"""The table of a network's layers and parameters."""

import logging
import re

import pytest
from lightning.pytorch.utilities.model_summary import get_human_readable_count

from trainlab.runs.checkpoints import load_checkpoint, network_weights


def test_the_summary_counts_every_parameter_once_and_is_off_by_default(train, caplog):
    with caplog.at_level(logging.INFO, logger="trainlab"):
        _, folder = train("trainer.max_epochs=1", name="plain")
        assert "Trainable params" not in caplog.text
        train("trainer.max_epochs=1", "callbacks.model_summary.max_depth=3")
    weights = network_weights(load_checkpoint(folder / "checkpoints" / "last.ckpt"))
    count = sum(weight.numel() for name, weight in weights.items() if name.startswith("module."))
    (found,) = re.findall(r"([\d.]+ *\w*) +Trainable params", caplog.text)
    assert found.split() == get_human_readable_count(count).split()
    assert "network.module" in caplog.text


def test_a_negative_depth_is_refused(train):
    with pytest.raises(ValueError, match=r"^max_depth must be at least 0, got -1; set callbacks\.model_summary"):
        train("callbacks.model_summary.max_depth=-1")


def test_the_summary_of_lightning_works_too(train, capsys):
    target = "lightning.pytorch.callbacks.RichModelSummary"
    result, _ = train("trainer.max_epochs=1", f"+callbacks.rich_summary={{_target_: {target}}}")
    assert result.status == "completed"
    assert "Trainable params" in capsys.readouterr().out
