"""Mistakes in overrides are explained, whatever else is given with them."""

import pytest

from trainlab.config.compose import compose
from trainlab.config.errors import describe_config_error
from trainlab.config.load import load_config
from trainlab.config.resolvers import PROJECT


@pytest.mark.parametrize("other", ["experiment=glob(exercise/*)", "model=choice(selu,bn)", "model=selu,bn", "model={}"])
def test_a_setting_that_does_not_exist_is_explained_beside_a_sweep_over_options(other: str):
    with pytest.raises(Exception, match="Could not override") as caught:
        load_config("train", ["optim.lrr=1"])
    message = describe_config_error(caught.value, [other, "optim.lrr=1"], "train")
    assert message.startswith("there is no setting 'optim.lrr'; did you mean optim.lr")


def test_an_experiment_without_the_folder_that_it_was_moved_to_is_an_error_that_names_it():
    names = [path.stem for path in (PROJECT / "conf" / "experiment" / "exercise").glob("*.yaml")]
    assert len(names) > 5
    messages = {}
    for name in names:
        with pytest.raises(ValueError) as caught:
            compose([f"experiment={name}"])
        messages[name] = str(caught.value)
    assert messages == {n: f"experiment has no option {n!r}; set experiment=exercise/{n}" for n in names}
