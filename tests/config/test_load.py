"""Compositions that share what has been read and merged are those of Hydra's own loader."""

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from trainlab.config.load import load_config
from trainlab.config.resolvers import PROJECT

CASES = [
    [],
    ["model=bn", "optim=sgd", "optim.lr=0.3", "+trainer.benchmark=true"],
    ["experiment=exercise/question_4_activations", "model.activation=tanh"],
    ["~callbacks.figures", "model=cnn", "lr_search=grid", "debug=fast"],
]


def test_a_composition_is_hydras_whatever_was_composed_before(monkeypatch):
    for before in CASES:
        cfg = load_config("train", before)
        with open_dict(cfg):
            cfg.model.depth, cfg.optim = 99, None  # what becomes of one has no part in another
    monkeypatch.setattr(version.VersionBase.instance(), "version_base", version.getbase())
    version.setbase("1.3")
    hydras = ConfigLoaderImpl(create_config_search_path(str(PROJECT / "conf")))
    for overrides in CASES:
        expected = hydras.load_configuration("train", [*overrides], RunMode.RUN, from_shell=False)
        found = load_config("train", overrides)
        assert OmegaConf.to_container(found) == OmegaConf.to_container(expected), overrides
        assert found._metadata.flags == expected._metadata.flags
