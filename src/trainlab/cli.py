"""Running a script: a user's mistakes in one or two lines instead of a traceback."""

import atexit
import gc
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from trainlab import ranks
from trainlab.config.command_line import readable
from trainlab.config.compose import new_folder
from trainlab.config.errors import NO_OPTION, describe_config_error, describe_instantiation_error
from trainlab.config.overrides import WrongArguments
from trainlab.config.resolvers import register_resolvers
from trainlab.console import say_error, status_line, wrapped
from trainlab.passwords import without_passwords
from trainlab.programs import config_folder, import_from
from trainlab.runs.files import describe_os_error

# How often a thread of GNU OpenMP looks for work before it sleeps, three thousandths of the default: about ten
# microseconds, longer than most pauses between two operations. A thread that waits takes the core from other processes.
_SPINS = "1000"
_ASKED_BY_US = "TRAINLAB_EXPLAINS"
# Command lines with one of these only show something, or name the folder of the run.
_ONLY_SHOW = ("--cfg", "-c", "--help", "-h", "--hydra-help", "--info", "-i", "--shell-completion", "--version")
_MAKE_NO_FOLDER = (*_ONLY_SHOW, "sweep.dry_run=true", "hydra.run.dir=", "hydra.sweep.dir=")
# Exceptions with a message for the user, by name: to import that of Lightning takes seconds.
_AFTER_START = ("Diverged", "LeaseLost")
_WITH_MESSAGE = (*_AFTER_START, "MisconfigurationException")


class SweepFailed(Exception):
    """Jobs of a sweep failed, or are invalid; the message names all of them, in as many lines as that takes.

    Attributes:
        status: exit status.
        mistakes: what is wrong with invalid jobs, by number; then none was started.
        is_said: whether the message has been printed already.
    """

    def __init__(
        self, message: str, status: int = 1, mistakes: Mapping[int, str] | None = None, is_said: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.mistakes, self.is_said = status, mistakes or {}, is_said


class Ended(BaseException):
    """A mistake on its way past Hydra, which would print a line of its own about it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def bypass_hydra_errors() -> Iterator[None]:
    """Let exceptions of a single job bypass Hydra; those of a sweep's jobs are Hydra's to collect."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    try:
        yield
    except Exception as error:
        if HydraConfig.get().mode is RunMode.RUN and os.environ.get(_ASKED_BY_US) == "1":
            raise Ended(error) from None
        raise


@contextmanager
def gc_paused() -> Iterator[None]:
    """Collect no garbage while importing: of the millions of objects that libraries make, nearly all stay.

    Saves about 0.7 s of 5. Full collections that follow, here and in forked processes, leave these objects out, which
    saves 0.15 s each.
    """
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
            atexit.unregister(gc.unfreeze)
            atexit.register(gc.unfreeze)  # libraries report objects that are left at the end
        gc.enable()


def load_libraries() -> None:
    """Import PyTorch and Lightning, which takes most of the time of a start; a line on a terminal names them."""
    with gc_paused():
        for name, module in {"PyTorch": "torch", "Lightning": "lightning"}.items():
            with status_line.counting(f"loading {name}"):
                importlib.import_module(module)


def run_script(main: Callable[[], Any], trains: bool = False) -> None:
    """Run a script's Hydra main; end with one or two lines and status 1 or 2 where it fails, 130 on Ctrl-C.

    `HYDRA_FULL_ERROR=1` brings tracebacks back.

    Args:
        main: the script's.
        trains: whether it trains: then a line on a terminal says what it does until it clears it, and several
            processes may share it, of which the first one runs ``main``.
    """
    if "OMP_WAIT_POLICY" not in os.environ:  # read as PyTorch is imported
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    register_resolvers()
    warnings.formatwarning = _format_warning
    shared = trains and not any(word.startswith(_ONLY_SHOW) for word in sys.argv[1:])
    if os.environ.get("HYDRA_FULL_ERROR") == "1" and os.environ.get(_ASKED_BY_US) != "1":
        _run(main, shared)
        return
    # Without this Hydra prints its errors and exits. Processes for other devices inherit both.
    os.environ["HYDRA_FULL_ERROR"] = os.environ[_ASKED_BY_US] = "1"
    try:
        _run(main, shared)
    except KeyboardInterrupt:
        status_line.clear()
        ranks.leave(130)
        sys.exit(130)
    except (Ended, Exception) as ended:
        status_line.clear()
        error = ended.error if isinstance(ended, Ended) else ended
        if not ranks.is_main_process() and ranks.leave(1, error):
            sys.exit(1)  # the main process reports it
        status, message = explain(error)
        if message:
            say_error(without_passwords(message))
        ranks.leave(status)
        sys.exit(status)


def _run(main: Callable[[], Any], shared: bool) -> None:
    """Run ``main``, or what the process for another device does of a training that is ``shared``."""
    if shared:
        ranks.join()
    if ranks.is_main_process():
        if shared:
            status_line.show("reading the configuration")
        _prepare_command_line()
        main()
    else:
        from trainlab.follow import follow

        try:
            follow()
        except SystemExit as ended:
            ranks.leave(int(ended.code or 0))
            raise
    ranks.leave(0)


def _format_warning(message: Warning | str, *_: object, **__: object) -> str:
    status_line.clear()
    return wrapped(f"warning: {message}", sys.stderr) + "\n"


def _prepare_command_line() -> None:
    """Put the words as Hydra is to read them; have a run without a name claim a folder; find the user's modules."""
    sys.argv[:] = [str(Path(sys.argv[0]).absolute()), *readable(sys.argv[1:])]
    if folder := config_folder():
        import_from(folder)
    if not any(word.startswith(_MAKE_NO_FOLDER) for word in sys.argv[1:]):
        OmegaConf.register_new_resolver("new_name", new_folder, use_cache=True, replace=True)


def explain(error: Exception, arguments: Sequence[str] | None = None) -> tuple[int, str]:
    """Exit status and message: 2 for a mistake in the settings, 1 for everything else.

    An exception that no setting explains is raised again.

    Args:
        error: to explain.
        arguments: that the configuration is composed of; those of the command line unless given.
    """
    from hydra.errors import HydraException, InstantiationException
    from omegaconf.errors import OmegaConfBaseException

    script = Path(sys.argv[0]).stem
    if isinstance(error, SweepFailed):
        return error.status, "" if error.is_said else f"error: {error}"
    if isinstance(error, WrongArguments):
        return 2, _message(str(error))
    if isinstance(error, InstantiationException):
        return 2, _message(describe_instantiation_error(error))
    is_no_option = isinstance(error, ValueError) and str(error).startswith(NO_OPTION)
    if is_no_option or isinstance(error, HydraException | OmegaConfBaseException | YAMLError):
        arguments = sys.argv[1:] if arguments is None else arguments
        return 2, _message(describe_config_error(error, arguments, script, config_folder()))
    in_training = getattr(error, "in_training", False)
    if isinstance(error, OSError):
        status = 2 if isinstance(error, FileNotFoundError) and not in_training else 1  # which a setting names
        return status, _message(describe_os_error(error, "out" if script == "eval" else "output_dir"))
    if isinstance(error, ValueError) or type(error).__name__ in _WITH_MESSAGE:
        return 1 if in_training or type(error).__name__ in _AFTER_START else 2, _message(str(error))
    raise error


def _message(reason: str) -> str:
    """Two lines at most."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return "error: " + "\n".join(lines[:2])
