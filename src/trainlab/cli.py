"""Command lines: folders named by overrides, and a user's mistakes in one or two lines instead of a traceback."""

import argparse
import difflib
import gc
import hashlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from trainlab.results import telling

PROJECT = Path(__file__).resolve().parents[2]
MAX_FOLDER_BYTES = 120
_ASKED_BY_US = "TRAINLAB_EXPLAINS"


def folder_name(overrides: Sequence[str]) -> str:
    """The folder of a sweep's run: its overrides; with a hash where they are too long or have other characters."""
    kept = telling(overrides)
    full = ",".join(kept) or "default"
    name = re.sub(r"[^\w=,.+~@-]", "_", full)
    if name == full and len(name.encode()) <= MAX_FOLDER_BYTES:
        return name
    digest = hashlib.blake2b(full.encode(), digest_size=4).hexdigest()
    return name.encode()[: MAX_FOLDER_BYTES - len(digest) - 1].decode(errors="ignore") + "-" + digest


def quoted(argument: str) -> str:
    """``key=value`` with quotes, where Hydra needs them, around a value that has "=" in it, like a run's folder."""
    key, _, value = argument.partition("=")
    is_call = re.fullmatch(r"\w+\(.*\)", value)  # range(0,10,step=5), tag(a=1,2)
    has_quotes = bool(set(value) & set("'\""))
    return argument if "=" not in value or is_call or has_quotes or key.startswith("-") else f"{key}='{value}'"


def same_pace(lr: float, momentum: float) -> float:
    """A learning rate for SGD with a momentum: equal gradients g add up to steps of lr * g / (1 - momentum)."""
    return float(f"{lr * (1 - momentum):.6g}")  # 0.01 and not 0.00999...: it names folders and groups


def values_of(overrides: Sequence[str]) -> dict[str, list[str]]:
    """What a sweep takes for each key, as Hydra reads its overrides: one value where it is not swept over.

    Raises:
        ValueError: one cannot be read, or its values cannot be counted.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides([*map(quoted, overrides)])
    except HydraException as error:
        raise ValueError(_config_error(error)) from None
    found = {}
    for override in parsed:
        if not override.is_sweep_override():
            found[override.key_or_group] = [str(override.value())]
        elif override.is_choice_sweep() or override.is_range_sweep():
            found[override.key_or_group] = [*override.sweep_string_iterator()]
        else:
            raise ValueError(f"the values of {override.input_line} cannot be counted; give them one by one")
    return found


def register_resolvers() -> None:
    """What interpolations of a config can ask for besides other keys.

    `${project:path}`: a path in the project; `${folder:overrides}`: the folder of a sweep's run;
    `${same_pace:lr,momentum}`: the learning rate that moves as far with a momentum as ``lr`` does without.
    """
    OmegaConf.register_new_resolver("project", lambda path: str(PROJECT / path), replace=True)
    OmegaConf.register_new_resolver("folder", folder_name, replace=True)
    OmegaConf.register_new_resolver("same_pace", same_pace, replace=True)


def checkpoint_word(word: str) -> Path:
    """The path in a script's word ``ckpt_path=PATH``, which is written as for Hydra's scripts. For argparse.

    Raises:
        argparse.ArgumentTypeError: it is another word.
    """
    key, _, path = word.partition("=")
    if key != "ckpt_path" or not path:
        raise argparse.ArgumentTypeError(f"write ckpt_path=PATH, got {word!r}")
    return Path(path)


def count_word(word: str) -> int:
    """The number in a script's word, at least 1. For argparse.

    Raises:
        argparse.ArgumentTypeError: it is another word.
    """
    if not word.isascii() or not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {word!r}")
    return int(word)


class SweepFailed(Exception):
    """Jobs of a sweep failed, or cannot be; the message tells all of them, in as many lines as that takes.

    Attributes:
        status: exit status.
        mistakes: what is wrong with jobs that cannot be, by number; then none was started.
    """

    def __init__(self, message: str, status: int = 1, mistakes: Mapping[int, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.mistakes = status, mistakes or {}


class Ended(BaseException):
    """A mistake on its way past Hydra, which would print a line of its own about it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def past_hydra() -> Iterator[None]:
    """Take exceptions of a single job past Hydra; those of a sweep's jobs are Hydra's to collect."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    try:
        yield
    except Exception as error:
        if HydraConfig.get().mode is RunMode.RUN and os.environ.get(_ASKED_BY_US) == "1":
            raise Ended(error) from None
        raise


@contextmanager
def quick_imports() -> Iterator[None]:
    """Do not look for garbage while importing: of the millions of objects that libraries make, nearly all stay.

    Saves about 0.7 s of 5.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run_script(main: Callable[[], Any]) -> None:
    """Run a script's Hydra main; end with one or two lines and status 1 or 2 where it fails, 130 on Ctrl-C.

    `HYDRA_FULL_ERROR=1` brings tracebacks back.
    """
    register_resolvers()
    sys.argv[1:] = map(quoted, sys.argv[1:])
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    multirun = [flag for flag in ("-m", "--multirun") if flag in sys.argv]
    sys.argv[1:] = multirun + [argument for argument in sys.argv[1:] if argument not in multirun]
    if os.environ.get("HYDRA_FULL_ERROR") == "1" and os.environ.get(_ASKED_BY_US) != "1":
        main()
        return
    # Hydra prints and exits by itself unless it is asked for the exception. Processes for other devices inherit both.
    os.environ["HYDRA_FULL_ERROR"] = os.environ[_ASKED_BY_US] = "1"
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (Ended, Exception) as ended:
        status, message = explain(ended.error if isinstance(ended, Ended) else ended)
        if int(os.environ.get("LOCAL_RANK", 0)) == 0:
            print(message, file=sys.stderr)
        sys.exit(status)


def explain(error: Exception) -> tuple[int, str]:
    """Exit status and message: 2 for a configuration that does not compose, 1 for everything else.

    An exception that no setting explains is raised again.
    """
    from hydra.errors import HydraException, InstantiationException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, SweepFailed):
        return error.status, f"error: {error}"
    if isinstance(error, InstantiationException):
        group = re.search(r"full_key: (\S+)", str(error))
        cause = error.__cause__
        reason = str(cause) if cause else str(error).splitlines()[0]
        hint = f" (in {group[1]})" if group and group[1] not in reason else ""
        return 1, _message(f"{reason}{hint}")
    if isinstance(error, HydraException | OmegaConfBaseException):
        return 2, _message(_config_error(error))
    if isinstance(error, OSError) and error.errno:
        where = f"{error.filename}: " if error.filename else ""
        settings = "out= (data_root=" if Path(sys.argv[0]).stem == "eval" else "output_dir= (data.root="
        ways_out = f"make room there or set {settings} for data) to a place that can be written"
        return 1, _message(f"{where}{error.strerror}; {ways_out}")
    if isinstance(error, OSError | ValueError) or type(error).__name__ in ("Diverged", "MisconfigurationException"):
        return 1, _message(str(error))
    raise error


def _message(reason: str) -> str:
    """Two lines at most."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return "error: " + "\n".join(lines[:2])


def _config_error(error: Exception) -> str:
    """What is wrong with a config, with the names nearest to the wrong one."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import MissingMandatoryValue

    if isinstance(error, OverrideParseException):
        reason = str(error).splitlines()[0]
        return f"cannot read the argument {error.override!r} ({reason}); write key=value, in quotes: 'key=[1, 2]'"
    if isinstance(error, MissingMandatoryValue):
        key = error.full_key or str(error).rpartition(" ")[2]
        return f"{key} must be given; set {key}=..."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        options = [o for o in error.options or [] if o]
        return f"{group} has no option {option!r}; {_nearest(option, options)}"
    text = str(error.__cause__ or error)
    if text.startswith("Ambiguous value"):
        return f"{text.splitlines()[0]}; add -m to sweep over it, or quote it: \"key='a,b'\", 'key=[a,b]'"
    wrong = re.search(r"Could not override '([^']+)'", f"{error} {text}")
    if wrong:
        if wrong[1].startswith("hydra."):
            return f"there is no setting {wrong[1]!r}; --cfg hydra shows those of Hydra"
        keys = _all_keys()
        beside = [key for key in keys if key.count(".") == wrong[1].count(".")]
        return f"there is no setting {wrong[1]!r}; {_nearest(wrong[1], beside or keys)}"
    return str(error).splitlines()[0]


def _nearest(wrong: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    if not close:
        last = wrong.rpartition(".")[2]
        close = [n for n in names if n.rpartition(".")[2] == last][:3]
    if close:
        return "did you mean " + " or ".join(close) + "?"
    shown = ", ".join(names[:20])
    return f"there are: {shown}" if len(names) <= 20 else "see --help for the groups and common settings"


def _all_keys() -> list[str]:
    """Dotted keys of the config that the command line's group choices give."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    root = Path(sys.argv[0]).stem
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        groups = compose(root, return_hydra_config=True).hydra.runtime.choices  # that this script has
        choices = [a for a in sys.argv[1:] if a.partition("=")[0].lstrip("+") in groups and "," not in a]
        cfg = compose(root, overrides=choices)

    keys: list[str] = []

    def collect(node: Any, prefix: str) -> None:
        for key, value in node.items():
            if key.startswith("_"):
                continue
            keys.append(f"{prefix}{key}")
            if isinstance(value, dict):
                collect(value, f"{prefix}{key}.")

    collect(OmegaConf.to_container(cfg, resolve=False), "")
    return keys
