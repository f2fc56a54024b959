"""From the words of a command line, or of a call, to the configuration of a run."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from trainlab.config.data_settings import leave_out_other_data
from trainlab.config.errors import describe_config_error, describe_unknown
from trainlab.config.load import load_config
from trainlab.config.module_settings import leave_out_network
from trainlab.config.overrides import (
    WrongArguments,
    check_given_once,
    check_overrides,
    combinations,
    parse_overrides,
    quoted,
)
from trainlab.config.resolvers import absolute_folder, resolvers_registered, time_name
from trainlab.config.run_config import RunConfig, make_paths_absolute, resolve
from trainlab.config.vary import follow_seed
from trainlab.programs import config_folder, import_from
from trainlab.runs.files import absolute, make_new_folder
from trainlab.runs.fingerprint import as_typed as without_plus
from trainlab.runs.latest import latest_checkpoint

# What a run reads, and ~ must not remove.
_NEEDED = (
    *("name", "output_dir", "run_dir", "seed", "ckpt_path", "lr_search"),
    *("compile", "compile_min_steps", "compile_cache_dir"),
    *("tags", "train", "test"),
    *("model", "optim", "scheduler", "data", "task", "trainer", "callbacks", "logger", "sweep"),
    *("trainer.accelerator", "trainer.devices", "trainer.precision", "trainer.max_epochs", "trainer.max_time"),
    *("trainer.accumulate_grad_batches", "trainer.gradient_clip_val", "trainer.gradient_clip_algorithm"),
    *("sweep.objective", "sweep.trial", "sweep.dry_run"),
)


def compose(overrides: Sequence[str] = (), config_dir: str | Path | None = None) -> RunConfig:
    """The configuration of a run, as `trainlab train` composes it from the same overrides.

    A run without a name gets a new folder, which is made here.

    Args:
        overrides: such as "model=bn" and "optim.lr=1e-3".
        config_dir: a folder with options of your own, as `--config-dir` of the command line. Python files in it and
            packages beside it can be named by `_target_`.

    Raises:
        ValueError: the overrides cannot be read, contradict each other or name what there is not.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    check_overrides(overrides)
    for override in overrides:
        if override.lstrip("+~").startswith(("hydra.", "hydra/")):
            raise WrongArguments(f"{override} would have no effect, Hydra does not run this; leave it out")
    if config_dir:
        if not Path(config_dir).is_dir():
            raise WrongArguments(f"config_dir must be a folder, got {str(config_dir)!r}; set config_dir")
        import_from(config_dir)
    with resolvers_registered():
        try:
            cfg = load_config("train", [*map(quoted, overrides)], config_dir)
            choices = cfg.hydra.runtime.choices
            with open_dict(cfg):
                del cfg["hydra"]
            references = cast(dict[str, Any], OmegaConf.to_container(cfg))
            if str(references["name"]).startswith("${new_name:"):
                cfg.name = new_folder(absolute_folder(cfg.output_dir))
            if str(references["run_dir"]).startswith("${hydra:"):
                cfg.run_dir = str(Path(absolute_folder(cfg.output_dir), str(cfg.name)))
            return _resolved(cfg, overrides, choices, Path.cwd(), config_dir=config_dir)
        except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
            raise WrongArguments(describe_config_error(error, overrides, "train", config_dir)) from None


def expand_sweep(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each run of a sweep: all combinations of the values that they give.

    Combinations that are the same run, such as ``optim.lr=1e-4,0.0001``, are one. A run of the sweep is
    ``trainlab.train(trainlab.compose(run))``; ``trainlab train -m`` runs all of them, several at a time.

    Args:
        overrides: as on the command line after ``-m``; of intervals and ``glob()`` the values are not known.

    Raises:
        ValueError: an override cannot be read or is given twice, or its values are not known.
    """
    from hydra.core.override_parser.types import Glob

    check_given_once(overrides)
    parsed = parse_overrides([*map(quoted, overrides)])
    for override in parsed:
        if override.is_interval_sweep() or isinstance(override.value(), Glob):
            raise WrongArguments(f"the values of {override.input_line} are not known; give them one by one")
    runs: dict[tuple[str, ...], list[str]] = {}
    with resolvers_registered():
        for run in combinations(parsed):
            runs.setdefault(_values(run), run)
    return list(runs.values())


def resolve_job(cfg: DictConfig, hydra: Any) -> RunConfig:
    """The configuration of one of Hydra's jobs.

    Args:
        cfg: what Hydra gives to the application.
        hydra: Hydra's own part, `HydraConfig.get()`; what ``cfg`` refers to of it is resolved here.
    """
    from hydra.types import RunMode

    if cfg.ckpt_path == "latest" and hydra.mode is RunMode.MULTIRUN:
        raise ValueError("ckpt_path=latest would name another checkpoint for each run of a sweep; set the path of one")
    job = hydra.runtime
    return _resolved(cfg, as_typed(hydra.overrides.task), job.choices, job.cwd, job.output_dir, config_folder())


def as_typed(overrides: ListConfig) -> list[str]:
    """Overrides as they were given, without resolving the references in them."""
    return without_plus(cast(list[str], OmegaConf.to_container(overrides)))


def new_folder(parent: str) -> str:
    """Make a folder for a run without a name. Returns its name: the time, and `_1` where that is another's already."""
    now = name = time_name()
    for number in itertools.count(1):
        try:
            make_new_folder(Path(absolute(parent, Path.cwd()), name))
            break
        except FileExistsError:
            name = f"{now}_{number}"
        except OSError:  # the run makes the same folder, and its error says what is wrong
            break
    return name


def _resolved(
    cfg: DictConfig,
    overrides: Sequence[str],
    choices: Any,
    start: str | Path,
    job_dir: str | None = None,
    config_dir: str | Path | None = None,
) -> RunConfig:
    """Fix what depends on when and where the command is given, and resolve the rest.

    Raises:
        ValueError: a setting is removed that a run reads or is none that there is, a folder is set to none, or a name
            would have no effect.
    """
    for key in _NEEDED:
        section, _, name = key.rpartition(".")
        if name not in ((cfg[section] or {}) if section else cfg):
            raise ValueError(f"{key} must be given; leave out ~{key}")
    given = [override.partition("=")[0] for override in overrides]
    is_fixed = not OmegaConf.is_interpolation(cfg, "run_dir")  # as in the `config.yaml` of a run
    if job_dir and not is_fixed and "run_dir" not in given:
        cfg.run_dir = job_dir
    if not isinstance(cfg.run_dir, str) or not cfg.run_dir:
        raise ValueError("run_dir follows from output_dir and name; set these, and leave out run_dir")
    if message := describe_unknown(cfg, choices, config_dir):
        raise WrongArguments(message)
    make_paths_absolute(cfg, start)
    cfg.name = cfg.name
    if cfg.ckpt_path == "latest":
        last = latest_checkpoint(Path(cfg.output_dir))
        best = last.with_name("best.ckpt")
        cfg.ckpt_path = str(best if cfg.train is False and best.exists() else last)
    ignored = [key for key in ("name", "output_dir") if key in given]
    if ignored and is_fixed and "run_dir" not in given and Path(cfg.run_dir) != Path(cfg.output_dir, cfg.name):
        raise ValueError(
            f"{ignored[0]} would have no effect, the configuration has run_dir={cfg.run_dir}; "
            f"set run_dir, too, or leave out {ignored[0]}"
        )
    leave_out_network(cfg, overrides)
    leave_out_other_data(cfg, overrides)
    follow_seed(cfg, overrides)
    return resolve(cfg, overrides, choices, config_dir)


def _values(run: Sequence[str]) -> tuple[str, ...]:
    """The values of a run, which may refer to each other by their keys; equal numbers are equal text."""
    values = dict(override.lstrip("+~").partition("=")[::2] for override in run)
    cfg = OmegaConf.from_dotlist([f"{key}={value}" for key, value in values.items() if "." in key])
    found = [OmegaConf.select(cfg, key) if "${" in value else value for key, value in values.items()]
    return tuple(_text(value) for value in found)


def _text(value: Any) -> str:
    try:
        return str(float(value))
    except (TypeError, ValueError):
        return str(value)
