"""What an invalid run leaves."""

import pytest

from trainlab.config.resolvers import absolute_folder
from trainlab.runs.folder import clean_up_on_error


@pytest.mark.parametrize("exists", [False, True])
def test_an_invalid_run_leaves_the_output_folder_as_it_was(exists, tmp_path):
    outputs = tmp_path / "outputs"
    if exists:
        outputs.mkdir()
    folder = outputs / "run"
    assert absolute_folder(outputs) == str(outputs)  # which Hydra looks up, and makes the folder of the run
    folder.mkdir(parents=True)
    with pytest.raises(ValueError, match="invalid"), clean_up_on_error(folder):
        raise ValueError("invalid")
    assert not folder.exists() and outputs.exists() == exists
