"""Mistakes in overrides are explained, whatever else is given with them."""

import pytest

from trainlab.config.errors import describe_config_error
from trainlab.config.load import load_config


@pytest.mark.parametrize("other", ["experiment=glob(exercise/*)", "model=choice(selu,bn)", "model=selu,bn", "model={}"])
def test_a_setting_that_does_not_exist_is_explained_beside_a_sweep_over_options(other: str):
    with pytest.raises(Exception, match="Could not override") as caught:
        load_config("train", ["optim.lrr=1"])
    message = describe_config_error(caught.value, [other, "optim.lrr=1"], "train")
    assert message.startswith("there is no setting 'optim.lrr'; did you mean optim.lr")
