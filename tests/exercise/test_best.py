"""What is said of the best recipe."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from exercise.questions.best import describe_against_mark, describe_recipe
from trainlab.config.resolvers import PROJECT, register_resolvers
from trainlab.report.groups import Group, group_runs
from trainlab.report.runs import find_runs
from trainlab.statistics import interval


@pytest.fixture
def group(leave: Callable[..., Path], tmp_path: Path) -> Group:
    """Of a run with the settings of the experiment."""
    folder = leave("best", [1.0], [0.6])
    register_resolvers()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        cfg = compose("train", ["experiment=best_20x100", "name=x", "run_dir=x"])
    OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
    (found,) = group_runs(find_runs([tmp_path]))
    return found


def test_the_recipe_is_read_from_the_settings(group: Group):
    assert describe_recipe(group) == (
        "The recipe: ELU with batch normalization and He normal initialization; AdamW under a 1cycle schedule up to "
        "0.006, weight decay 0.04; 100 epochs in batches of 256; flips and crops of the training images."
    )
    plain = {"data.flip": False, "data.crop_padding": 0, "model.batch_norm": False, "scheduler._target_": "x.constant"}
    assert describe_recipe(replace(group, settings=group.settings | plain)) == (
        "The recipe: ELU with He normal initialization; AdamW at 0.006, weight decay 0.04; 100 epochs in batches of "
        "256."
    )


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (0.6, "1.0 points above the goal, 60.0 %; the 95 % interval, 60.8 to 61.2 %, lies above it."),
        (0.609, "0.1 points above the goal, 60.9 %; the 95 % interval, 60.8 to 61.2 %, lies on both sides of it."),
        (0.65, "4.0 points below the goal, 65.0 %; the 95 % interval, 60.8 to 61.2 %, lies below it."),
    ],
)
def test_a_mean_compared_with_a_mark(mark: float, said: str):
    assert describe_against_mark(interval([0.609, 0.610, 0.611]), mark, "the goal") == f"That is {said}"


def test_one_seed_claims_nothing_of_a_mark():
    said = describe_against_mark(interval([0.61]), 0.6, "the goal")
    assert said == "That is 1.0 points above the goal, 60.0 %; with one seed nothing more can be claimed."
