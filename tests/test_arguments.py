"""Words of scripts that are none of Hydra's."""

from pathlib import Path

import pytest

from trainlab.arguments import checkpoint_word
from trainlab.config.overrides import in_quotes


@pytest.mark.parametrize(
    "path", ["a/b.ckpt", "seed=1,optim.lr=0.1/best.ckpt", "it's=b.ckpt", "a\\b=c", "a=\\'b\\\\", "'\"=", "a b='"]
)
def test_a_checkpoint_is_written_as_it_is_or_in_quotes_as_for_hydra(path):
    assert checkpoint_word(f"ckpt_path={path}") == checkpoint_word(f"ckpt_path={in_quotes(path)}") == Path(path)
    assert checkpoint_word('ckpt_path="a=b/c.ckpt"') == Path("a=b/c.ckpt")
