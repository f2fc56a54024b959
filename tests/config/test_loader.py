"""What the loader sets in a copy of composed options is what Hydra's own loader composes."""

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import Container, DictConfig

from conftest import cases
from trainlab.config.loader import CachingLoader
from trainlab.config.resolvers import PROJECT, resolvers_registered

FINE = {
    "nothing": [],
    "values": ["optim.lr=1e-3", "seed=2", "trainer.max_epochs=null", "trainer.deterministic=true"],
    "groups": ["model=bn", "optim=sgd", "optim.lr=0.3"],
    "a group twice": ["model=bn", "model=selu"],
    "a value twice": ["seed=2", "seed=3"],
    "options of an experiment": ["experiment=exercise/question_4_activations", "model.activation=tanh"],
    "an experiment and an option": ["experiment=exercise/part_8c_bn", "optim=sgd"],
    "other options": ["lr_search=grid", "debug=fast", "scheduler=one_cycle"],
    "+": ["+trainer.benchmark=true", "+callbacks.mine={_target_: mine.Mine}", "+optim.groups=[{pattern: a}]"],
    "++": ["++trainer.max_epochs=3", "++trainer.benchmark=true"],
    "~ of values": ["~callbacks.figures", "~trainer.max_epochs=100"],
    "~ of a group": ["~scheduler", "~logger"],
    "packages": ["+optim@second=sgd", "second.lr=3"],
    "mappings": ["++optim={lr: 1, new: 2}", "callbacks.figures={num_images: 3}"],
    "lists": ["tags=[a,b]", "freeze=['a.*',\"b\"]", "optim.groups=[{pattern: '*.bias', weight_decay: 0}]"],
    "quotes": ["name='a b,c=d'", 'output_dir="it\'s"', "tags=['1',2]", r"ckpt_path='a\'b'", "run_dir=''"],
    "references": ["data.seed=${optim.lr}", "name=run_${seed}", "optim.lr=${oc.env:HOME}", "seed=${hydra:job.num}"],
    "text like a number": ["name='1e-3'", "tags=['null',null,'true',true]"],
    "of Hydra": ["hydra.job_logging.root.handlers=[file]", "seed=3", "hydra.sweep.subdir=x", "hydra.job.name=y"],
    "options of Hydra": ["hydra/job_logging=none", "seed=3"],
    "how folders are named": ["hydra.job.config.override_dirname.exclude_keys=[seed]", "seed=3", "optim.lr=2"],
    "variables": ["hydra.job.env_copy=[HOME]", "seed=3"],
    "lists of overrides": ["hydra.overrides.task=[x]", "seed=3"],
    "all of Hydra's": ["hydra={job: {name: x}}", "seed=3"],
}
WRONG = {
    "no such setting": ["optim.lrr=1"],
    "no such option": ["model=nope"],
    "a setting, then an option": ["optim.lrr=1", "model=nope"],
    "there already": ["+seed=1"],
    "nothing to delete": ["~nothing"],
    "another value to delete": ["~seed=5"],
    "a package of a group": ["optim@optim=sgd"],
    "a new setting in a mapping": ["optim={lr: 1, new: 2}"],
    "no such group": ["optim@nowhere=sgd"],
    "++ of a group": ["++model=bn"],
    "another option to delete": ["~model=bn"],
    "a sweep": ["seed=1,2", "optim.lrr=1"],
    "not readable": ["seed=1", "seed=[1", "model=nope"],
    "inside a value": ["seed.x=1"],
    "a number as option": ["model=1"],
    "wrong type": ["hydra.job.num=x", "optim.lrr=1"],
    "values before Hydra's": ["optim.lrr=1", "hydra.job.num=x"],
    "a name that is none": ["seed@x=1"],
}


@pytest.fixture(autouse=True)
def version_base(monkeypatch):
    monkeypatch.setattr(version.VersionBase.instance(), "version_base", version.getbase())
    version.setbase("1.3")
    with resolvers_registered():
        setup_globals()
        yield


@pytest.fixture(scope="module")
def loaders():
    path = create_config_search_path(str(PROJECT / "conf"))
    return ConfigLoaderImpl(path), CachingLoader(path)


def nodes(node, place=""):
    """All nodes of a config: type, metadata and value, in order."""
    yield place, type(node), node._metadata, None if isinstance(node, Container) else node._value()
    content = node.__dict__.get("_content")
    for key, inner in content.items() if isinstance(content, dict) else enumerate(content or ()):
        if isinstance(node, Container) and not isinstance(content, str):
            assert inner._get_parent() is node
            yield from nodes(inner, f"{place}.{key}")


def composed(loader, overrides):
    try:
        return loader.load_configuration("train", [*overrides], RunMode.RUN)
    except Exception as error:
        return type(error), str(error), type(error.__cause__), str(error.__cause__)


@pytest.mark.parametrize(
    "case",
    cases(
        FINE,
        *("values", "groups", "options of an experiment", "+", "~ of values", "~ of a group", "packages", "mappings"),
        *("quotes", "references", "of Hydra", "how folders are named", "variables", "all of Hydra's"),
    ),
)
def test_a_composition_is_hydras(case, loaders):
    hydras, ours = loaders
    expected = [*nodes(composed(hydras, FINE[case]))]
    for _ in range(2):  # composed for the first time, and in a copy
        assert [*nodes(composed(ours, FINE[case]))] == expected


@pytest.mark.parametrize(
    "case", cases(WRONG, "no such setting", "a setting, then an option", "a sweep", "not readable")
)
def test_an_error_is_hydras(case, loaders):
    hydras, ours = loaders
    expected = composed(hydras, WRONG[case])
    assert not isinstance(expected, DictConfig)
    for _ in range(2):
        assert composed(ours, WRONG[case]) == expected


def test_a_job_has_what_the_command_line_gives_to_hydra_and_what_is_resolved_already(loaders):
    hydras, ours = loaders
    given = ["hydra.job.chdir=false", "hydra/job_logging=none"]
    master = hydras.load_configuration("train", [*given, "name=${new_name:x}"], RunMode.MULTIRUN)
    assert master.name  # the time, which jobs are to have too
    for overrides in (["seed=1"], ["seed=2", "model=bn"]):
        expected = hydras.load_sweep_config(master, overrides)
        found = ours.load_sweep_config(master, overrides)
        assert [*nodes(found)] == [*nodes(expected)]
        assert found.hydra.overrides.hydra == given


def test_jobs_that_choose_the_same_options_are_composed_once(loaders, monkeypatch):
    made, compose = [], ConfigLoaderImpl._load_configuration_impl

    def noted(self, config_name, overrides, *args, **kwargs):
        made.append(overrides)
        return compose(self, config_name, overrides, *args, **kwargs)

    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", noted)
    ours = CachingLoader(loaders[0].config_search_path)
    found = [composed(ours, [f"model={m}", f"seed={n}", f"optim.lr={n}e-3"]) for m in ("bn", "selu") for n in range(20)]
    assert made == [["model=bn"], ["model=selu"]]
    assert [cfg.seed for cfg in found] == [*range(20)] * 2
    assert found[0].hydra.overrides.task == ["model=bn", "seed=0", "optim.lr=0e-3"]


def test_the_order_of_options_of_different_groups_decides_nothing_but_the_name(loaders):
    hydras, ours = loaders
    one, other = (composed(ours, words) for words in (["optim=sgd", "model=bn"], ["model=bn", "optim=sgd"]))
    assert [*nodes(other)] == [*nodes(composed(hydras, ["model=bn", "optim=sgd"]))]
    assert one.hydra.job.override_dirname == other.hydra.job.override_dirname == "model=bn,optim=sgd"
    assert one.hydra.overrides.task == ["optim=sgd", "model=bn"]
