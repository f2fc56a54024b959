"""`vary`: the split and the search that follow the seed of a run."""

import pytest

from trainlab.config.compose import compose
from trainlab.lr_search.apply import search_config
from trainlab.runs.fingerprint import fingerprint, settings

WHERE = ("name=run", "run_dir=nowhere", "data=shapes")


def composed(*overrides):
    return compose([*WHERE, *overrides]).settings


def test_split_and_search_follow_the_seed_only_where_they_are_named():
    grid = ("lr_search=grid", "seed=5")
    for named, split, search in (("[]", 0, 0), ("[split]", 5, 0), ("[search]", 0, 5), ("[search,split]", 5, 5)):
        cfg = composed(*grid, f"vary={named}")
        assert (cfg["data"]["split_seed"], cfg["lr_search"]["seed"]) == (split, search)
        assert (cfg["data"]["seed"], cfg["model"]["seed"]) == (5, 5)
    assert cfg["vary"] == ["split", "search"], "in one order, however they are given"


def test_runs_without_it_have_the_fingerprint_and_the_settings_that_they_had():
    cfg = composed("lr_search=grid")
    before = {key: value for key, value in cfg.items() if key != "vary"}
    assert fingerprint(cfg) == fingerprint(before)
    assert "vary" not in settings(cfg)


def test_a_fingerprint_has_what_varies_in_the_place_of_its_seeds():
    """So the runs of a group have the same settings but for the seed, and another seed is another run."""
    one, two = (composed("lr_search=grid", "vary=[split,search]", f"seed={seed}") for seed in (1, 2))
    assert fingerprint(one) != fingerprint(two)
    leaves = settings(one)
    assert leaves["vary"] == ["split", "search"]
    assert not {"data.split_seed", "lr_search.seed"} & leaves.keys()
    assert {key for key in leaves if leaves[key] != settings(two)[key]} == {"seed", "model.seed", "data.seed"}
    fixed = composed("lr_search=grid", "data.split_seed=1", "lr_search.seed=1")
    assert fingerprint(fixed) not in (fingerprint(one), fingerprint(composed("lr_search=grid")))


def test_a_search_keeps_the_split_of_its_run_and_is_shared_by_runs_of_that_split():
    """Also in its trials, whose seeds are others: the images must be those that the run is trained on."""

    def short(*overrides):
        return search_config(compose([*WHERE, "lr_search=grid", *overrides]), 1)

    varied = short("vary=[split]", "seed=3")
    assert (varied.settings["seed"], varied.settings["data"]["split_seed"]) == (0, 3)
    assert varied.changed({"seed": 123}).settings["data"]["split_seed"] == 3
    assert fingerprint(varied.settings) == fingerprint(short("data.split_seed=3").settings)
    assert fingerprint(varied.settings) != fingerprint(short("vary=[split]", "seed=4").settings)
    both = short("vary=[split,search]", "seed=3").settings
    assert (both["seed"], both["data"]["split_seed"]) == (3, 3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["vary=split"], r"vary must be a list of split and search, got 'split'; set 'vary=\[split\]'"),
        (["vary=[folds]"], r"vary must be a list of split and search, got \['folds'\]; set 'vary=\[split\]'"),
        (
            ["vary=[split]", "data.split_seed=3"],
            r"data\.split_seed follows seed with vary=\[split\], got data\.split_seed=3 too; leave out one of them",
        ),
        (
            ["vary=[split]", "data.val_split=first"],
            r"vary=\[split\] needs a split that is drawn, got data\.val_split=first; leave it out of vary",
        ),
        (
            ["vary=[split]", "data.num_folds=5", "data.fold=0"],
            r"vary=\[split\] and folds exclude each other, got data\.num_folds=5; leave it out of vary",
        ),
        (
            ["vary=[search]"],
            r"vary=\[search\] needs a learning-rate search with a seed, got none; leave it out of vary",
        ),
        (
            ["vary=[split]", "data._target_=foreign_data.Stripes"],
            r"vary=\[split\] needs data with split_seed, got foreign_data\.Stripes; leave it out of vary",
        ),
    ],
)
def test_what_cannot_vary_is_an_error(overrides, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        composed(*overrides)
