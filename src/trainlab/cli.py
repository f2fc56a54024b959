"""Command lines: what runs them, and a user's mistakes in one or two lines instead of a traceback."""

import argparse
import difflib
import gc
import itertools
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from trainlab.config.overrides import WrongArguments, readable, unreadable
from trainlab.config.resolvers import PROJECT, register_resolvers, time_name
from trainlab.runs.files import absolute, describe_os_error

MADE: list[Path] = []  # folders that are new, since a run without a name has claimed one
_ASKED_BY_US = "TRAINLAB_EXPLAINS"
# Command lines with one of these only show something, or name the folder of the run.
_MAKE_NO_FOLDER = (
    "--cfg",
    "--help",
    "--hydra-help",
    "--info",
    "--shell-completion",
    "hydra.run.dir=",
    "hydra.sweep.dir=",
)


def new_folder(parent: str) -> str:
    """Make a folder for a run without a name. Returns its name: the time, and `_1` where that is another's already."""
    now = name = time_name()
    for number in itertools.count(1):
        try:
            folder = Path(absolute(parent, Path.cwd()), name)
            missing = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True)
            MADE.extend(missing)
            break
        except FileExistsError:
            name = f"{now}_{number}"
        except OSError:  # Hydra, which makes the same folder, says what is wrong with it
            break
    return name


def path_word(word: str) -> Path:
    """The path in a script's word. `~` is the home folder, behind a "=", too, where no shell sees it. For argparse."""
    return Path(os.path.expanduser(word))  # noqa: PTH111 (pathlib's raises where there is no such user)


def checkpoint_word(word: str) -> Path:
    """The path in a script's word ``ckpt_path=PATH``, which is written as for Hydra's scripts. For argparse.

    Raises:
        argparse.ArgumentTypeError: it is another word.
    """
    key, _, path = word.partition("=")
    if key != "ckpt_path" or not path:
        raise argparse.ArgumentTypeError(f"write ckpt_path=PATH, got {word!r}")
    return path_word(path)


def count_word(word: str) -> int:
    """The number in a script's word, at least 1. For argparse.

    Raises:
        argparse.ArgumentTypeError: it is another word.
    """
    if not word.isascii() or not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {word!r}")
    return int(word)


def parse_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The words of a script that is none of Hydra's, where a setting given twice is an error, too."""
    keys = [word.partition("=")[0] for word in sys.argv[1:] if word.startswith(("--", "ckpt_path="))]
    if twice := [key for key in keys if keys.count(key) > 1]:
        parser.error(f"{twice[0]} is given twice; leave out one of them")
    return parser.parse_intermixed_args()


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


def run_plain_script(main: Callable[[], Any]) -> None:
    """Run the main of a script that is none of Hydra's; end with status 130 on Ctrl-C, also while it imports."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)


def run_script(main: Callable[[], Any]) -> None:
    """Run a script's Hydra main; end with one or two lines and status 1 or 2 where it fails, 130 on Ctrl-C.

    `HYDRA_FULL_ERROR=1` brings tracebacks back.
    """
    register_resolvers()
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    if os.environ.get("HYDRA_FULL_ERROR") == "1" and os.environ.get(_ASKED_BY_US) != "1":
        _prepare_command_line()
        main()
        return
    # Hydra prints and exits by itself unless it is asked for the exception. Processes for other devices inherit both.
    os.environ["HYDRA_FULL_ERROR"] = os.environ[_ASKED_BY_US] = "1"
    try:
        _prepare_command_line()
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (Ended, Exception) as ended:
        status, message = explain(ended.error if isinstance(ended, Ended) else ended)
        if _is_first_process():
            print(message, file=sys.stderr)
        sys.exit(status)


def _prepare_command_line() -> None:
    """Put the words as Hydra is to read them; have a run without a name claim a folder."""
    sys.argv[1:] = readable(sys.argv[1:], once=_is_first_process())
    if _is_first_process() and not any(word.startswith(_MAKE_NO_FOLDER) for word in sys.argv[1:]):
        OmegaConf.register_new_resolver("new_name", new_folder, use_cache=True, replace=True)


def _is_first_process() -> bool:
    """False in processes for other devices of a run; Lightning gives those some settings a second time."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def explain(error: Exception, arguments: Sequence[str] | None = None) -> tuple[int, str]:
    """Exit status and message: 2 for a configuration that does not compose, 1 for everything else.

    An exception that no setting explains is raised again.

    Args:
        error: to explain.
        arguments: that the configuration is composed of; those of the command line unless given.
    """
    from hydra.errors import HydraException, InstantiationException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, SweepFailed):
        return error.status, f"error: {error}"
    if isinstance(error, WrongArguments):
        return 2, _message(str(error))
    if isinstance(error, InstantiationException):
        group = re.search(r"full_key: (\S+)", str(error))
        cause = error.__cause__
        reason = str(cause) if cause else str(error).splitlines()[0]
        hint = f" (in {group[1]})" if group and group[1] not in reason else ""
        return 1, _message(f"{reason}{hint}")
    if isinstance(error, HydraException | OmegaConfBaseException):
        return 2, _message(_config_error(error, sys.argv[1:] if arguments is None else arguments))
    if isinstance(error, OSError):
        return 1, _message(describe_os_error(error, "out" if Path(sys.argv[0]).stem == "eval" else "output_dir"))
    if isinstance(error, ValueError) or type(error).__name__ in ("Diverged", "MisconfigurationException"):
        return 1, _message(str(error))
    raise error


def _message(reason: str) -> str:
    """Two lines at most."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return "error: " + "\n".join(lines[:2])


def _config_error(error: Exception, arguments: Sequence[str]) -> str:
    """What is wrong with a config, with the names nearest to the wrong one."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue

    if isinstance(error, OverrideParseException):
        return unreadable(error)
    if isinstance(error, MissingMandatoryValue):
        key = error.full_key or str(error).rpartition(" ")[2]
        return f"{key} must be given; set {key}=..."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_such_option(str(error.missing_cfg_file), [o for o in error.options or [] if o])
    text = str(error.__cause__ or error)
    if there := re.search(
        r"Could not append to config. An item is already at '([^']+)'|Multiple values for (\S+?)\.", text
    ):
        return f"{there[1] or there[2]} is there already; leave out the + before it"
    if text.startswith("Ambiguous value"):
        return f"{text.splitlines()[0]}; add -m to sweep over it, or quote it: \"key='a,b'\", 'key=[a,b]'"
    wrong = re.search(r"Could not (?:override|delete from config.) '([^']+)'", f"{error} {text}")
    if wrong:
        if wrong[1].startswith("hydra."):
            return f"there is no setting {wrong[1]!r}; --cfg hydra shows those of Hydra"
        keys = _all_keys(arguments)
        beside = [key for key in keys if key.count(".") == wrong[1].count(".")]
        return f"there is no setting {wrong[1]!r}; {_nearest(wrong[1], beside or keys)}"
    reason = str(error).splitlines()[0].removeprefix("ValueError raised while resolving interpolation: ")
    setting = error.full_key if isinstance(error, InterpolationKeyError) else None
    return f"{setting}: {reason}" if setting and setting not in reason else reason


def _no_such_option(wrong: str, options: Sequence[str]) -> str:
    """Message for ``wrong``, a group and an option that it does not have; its folders may have one of that name."""
    group, _, option = wrong.rpartition("/") if wrong.startswith("hydra/") else wrong.partition("/")
    folder = PROJECT / "conf" / group
    in_folders = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*/*.yaml"))
    for other in in_folders:
        if other.endswith(f"/{option}"):
            return f"{group} has no option {option!r}; set {group}={other}"
    return f"{group} has no option {option!r}; {_nearest(option, in_folders if '/' in option else options)}"


def _nearest(wrong: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    if not close:
        last = wrong.rpartition(".")[2]
        close = [n for n in names if n.rpartition(".")[2] == last][:3]
    if close:
        return "did you mean " + " or ".join(close) + "?"
    shown = ", ".join(names[:20])
    return f"there are: {shown}" if len(names) <= 20 else "see --help for the groups and common settings"


def _all_keys(arguments: Sequence[str]) -> list[str]:
    """Dotted keys of the config that the group choices among the arguments give."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    root = Path(sys.argv[0]).stem
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        groups = compose(root, return_hydra_config=True).hydra.runtime.choices  # that this script has
        choices = [a for a in arguments if a.partition("=")[0].lstrip("+") in groups and "," not in a]
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
