"""Overrides: checked and quoted before Hydra reads them, and the jobs and folder names that follow from them."""

import hashlib
import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from trainlab.config.renamed import describe_renamed
from trainlab.runs.fingerprint import training_overrides
from trainlab.runs.numbers import short_number

MAX_FOLDER_BYTES = 120
# Settings that are paths: what is typed as a number there is a folder's name.
PATHS = (
    *("output_dir", "run_dir", "ckpt_path", "data.root", "data.path", "data.cache_dir", "lr_search.cache_dir"),
    "compile_cache_dir",
    *("data_root", "cache_dir", "out"),  # of eval.py
)
# What Hydra reads without quotes. Names of folders and paths have more in them: "=" and "," of a sweep, "~", "ö".
_PLAIN = re.compile(r"[A-Za-z0-9_\-/+.$%*@?|:,()\[\]{}\\ ]*")
_CALL_OR_CONTAINER = re.compile(r"\w+\(.*\)|[\[{].*")  # range(0,10,step=5), tag(a=1,2), [a, b], {a: b}
_BRACKETS = re.compile(r"[\[(]([^()\[\]{}'\"]*)[\])]?|([^()\[\]{}'\"]*)\]")  # around values, one may be missing
_OF_MODULE = "module."
_OF_RUNS_TOO = ("sweep.dry_run=", "sweep.objective=", "sweep.trial=")  # of `sweep`
_DIGITS = 10  # of a range's numbers, which adding up steps has left more of


class WrongArguments(ValueError):
    """The words of a command line contradict each other, or cannot be read."""


def folder_name(overrides: Sequence[str]) -> str:
    """The folder of a sweep's run: its overrides; with a hash where they are too long or have other characters.

    An option that lies in a folder of its group is named without that folder: `experiment=part_8c_bn` for
    `experiment=exercise/part_8c_bn`. Equal numbers are written alike: `optim.lr=1e-4` for `optim.lr=0.0001`.
    """
    full = ",".join(map(in_folder_name, training_overrides(overrides))) or "default"
    name = re.sub(r"[^\w=,.+~@-]", "_", full)
    if name == full and len(name.encode()) <= MAX_FOLDER_BYTES:
        return name
    digest = hashlib.blake2b(full.encode(), digest_size=4).hexdigest()
    return name.encode()[: MAX_FOLDER_BYTES - len(digest) - 1].decode(errors="ignore") + "-" + digest


def in_folder_name(override: str) -> str:
    """``override`` as it is in the name of a folder."""
    key, equals, value = written_alike(override).partition("=")
    is_setting = "." in key or key.lstrip("+") in PATHS  # and not the option of a group
    return f"{key}{equals}{value if is_setting else value.rpartition('/')[2]}"


def written_alike(override: str) -> str:
    """``override``; equal numbers of settings are equal text."""
    key, equals, value = override.partition("=")
    return f"{key}{equals}{short_number(value)}" if "." in key and key.lstrip("+") not in PATHS else override


def check_overrides(overrides: Sequence[str]) -> None:
    """Raise WrongArguments where one has an old name, or takes the place of another one."""
    given = (override.lstrip("+~").partition("=") for override in overrides)
    if message := describe_renamed({key: value for key, _, value in given}):
        raise WrongArguments(message)
    check_given_once(overrides)


def check_given_once(overrides: Sequence[str]) -> None:
    """Raise WrongArguments where an override takes the place of another one, which would be lost without a word."""
    if isinstance(overrides, str):
        raise WrongArguments(f"overrides must be a list of strings, got {overrides!r}; write [{overrides!r}]")
    given: dict[str, str] = {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key in given:
            raise WrongArguments(f"{key} is given twice: {given[key]} and {override}; leave out one of them")
        drops = override.startswith("~") or ("." in key and not value.startswith("{"))  # a mapping is merged
        for earlier, other in given.items():
            if drops and earlier.startswith(f"{key}."):
                raise WrongArguments(f"{override} drops {other}, given before it; leave out one of them")
            if key.startswith(f"{earlier}.") and (other.startswith("~") or other.endswith("=null")):
                raise WrongArguments(f"{other} leaves nothing to set by {override}; leave out one of them")
        given[key] = override


def is_of_sweep_alone(override: str) -> bool:
    """Whether ``override`` is of a setting that sweeps read and a run does not."""
    name = override.lstrip("+~")
    return name.startswith(("sweep.", "sweep/")) and not name.startswith(_OF_RUNS_TOO)


def quoted(override: str, sweeps: bool = False) -> str:
    """``key=value`` with quotes, where Hydra needs them, around a value that is text.

    Settings of `module` get a ``++``: which there are, only the user's class says.

    Args:
        override: as typed.
        sweeps: whether a comma is between values.

    Raises:
        WrongArguments: with "=" and "," in it the value may be one path or several.
    """
    if override.lstrip("+").startswith(_OF_MODULE):
        override = f"++{override.lstrip('+')}"
    key, _, value = override.partition("=")
    if set(value) & set("'\"\\") or _CALL_OR_CONTAINER.fullmatch(value) or not value:
        return override
    if "=" in value and "," in value and sweeps:
        one, several = f"{key}='{value}'", ",".join(f"'{part}'" for part in value.split(","))
        raise WrongArguments(f'a value with "=" and "," needs quotes: "{one}" is one, "{key}={several}" are several')
    if "=" in value:
        return f"{key}='{value}'"
    return f"{key}=" + ",".join(map(partial(_quoted_text, key.lstrip("+")), value.split(",")))


def _quoted_text(key: str, value: str) -> str:
    is_text = key == "name" or (key in PATHS and _is_number(value))
    return value if _PLAIN.fullmatch(value) and not is_text else f"'{value}'"


def _is_number(value: str) -> bool:
    """Whether Hydra reads a number or a truth value."""
    try:
        float(value)
    except ValueError:
        return value.lower() in ("true", "false")
    return True


def parse_overrides(overrides: Sequence[str], config_loader: Any = None) -> list[Any]:
    """Overrides as Hydra reads them, but that a sorted range has the numbers of the range.

    Raises:
        WrongArguments: one cannot be read.
    """
    from hydra.errors import OverrideParseException

    try:
        return _parser(config_loader).parse_overrides([*overrides])
    except OverrideParseException as error:
        raise WrongArguments(unreadable(error)) from None


def unreadable(error: Any) -> str:
    """What is wrong with the argument of Hydra's OverrideParseException, and how it can be written."""
    key, equals, value = error.override.partition("=")
    if not equals or not key:
        return f"cannot read the argument {error.override!r}; write key=value"
    if not key.isascii():
        return f"there is no setting {key!r}; names of settings have no such letters"
    if re.search(r"^,|,,|,$", value):
        return f"cannot read the argument {error.override!r}; a value is missing beside a comma"
    # Hydra's own words are of use only for its functions; others are those of its parser.
    called = re.search(r"while evaluating '(.*?)': (.*)", str(error))
    wrong = f"; {called[1]}: {called[2]}" if called else _unpaired(value)
    if listed := _BRACKETS.fullmatch(value):
        inside = listed[1] or listed[2] or ""
        ways = f"'{key}=[{inside}]' for a list, or -m {key}={inside} to sweep over the values"
        return f"cannot read the argument {error.override!r}{wrong}; write {ways}"
    word = f"{key}={in_quotes(value)}"
    quote = '"' if "'" in word and not set(word) & set('$`"\\!') else "'"
    shell = f"{quote}{word}{quote}" if quote not in word else shlex.quote(word)
    return f"cannot read the argument {error.override!r}{wrong}; in quotes it is text: {shell}"


def _unpaired(value: str) -> str:
    """Which bracket or quote of a value has no other; "" if all have."""
    for opening, closing in ("[]", "()", "{}"):
        if (more := value.count(opening) - value.count(closing)) != 0:
            return f", a {closing if more > 0 else opening} is missing"
    unpaired = [quote for quote in "'\"" if value.count(quote) % 2]
    return f", a second {unpaired[0]} is missing" if unpaired else ""


def in_quotes(text: str) -> str:
    """As Hydra reads it for ``text``: a backslash counts as such unless a quote comes after it and those before it."""
    quote = '"' if "'" in text and '"' not in text else "'"
    ends = re.sub(rf"(\\+)({quote}|$)", r"\1\1\2", text)
    return quote + ends.replace(quote, f"\\{quote}") + quote


def combinations(overrides: Sequence[Any]) -> list[list[str]]:
    """The overrides of each job of a sweep, by parsed ``overrides`` of which none is an interval.

    Of two with one key, the settings of a sweeper and the command line, the second holds.

    Raises:
        ValueError: an override has no value.
    """
    lists = {}
    for override in overrides:
        values = swept_values(override) if override.is_sweep_override() else [override.get_value_element_as_str()]
        key = override.get_key_element()
        lists[key.lstrip("+~")] = [f"{key}={value}" for value in values]
    return [list(one) for one in itertools.product(*lists.values())]


def swept_values(override: Any) -> list[str]:
    """The values of a parsed override that is a choice or a range, as they are written in overrides.

    Raises:
        ValueError: there are none.
    """
    from hydra.core.override_parser.types import Glob

    loader, options = override.config_loader, []
    if isinstance(override.value(), Glob) and loader:
        options = _options(loader, override.key_or_group)
        values = [option for option in options if _matches(override.value(), option)]
    elif override.is_range_sweep():
        values = [str(_rounded(number)) for number in override.sweep_iterator()]
    else:
        values = list(override.sweep_string_iterator())
    if not values:
        there_are = f"; there are: {', '.join(options)}" if options else ""
        raise WrongArguments(f"{override.input_line} has no value to sweep over{there_are}")
    return values


def _options(config_loader: Any, group: str) -> list[str]:
    """Options of a group, and those in its folders as `folder/option`. Hydra's own glob() sees only the former."""
    from hydra.core.object_type import ObjectType

    folders = config_loader.get_group_options(group, ObjectType.GROUP)
    inside = [f"{folder}/{option}" for folder in folders for option in _options(config_loader, f"{group}/{folder}")]
    return [*config_loader.get_group_options(group), *inside]


def _matches(glob: Any, option: str) -> bool:
    """Whether `glob(include, exclude)` means an option: as in a shell, `*` stays within one folder."""
    include, exclude = (
        [pattern for pattern in patterns if pattern.count("/") == option.count("/")]
        for patterns in (glob.include, glob.exclude)
    )
    return bool(replace(glob, include=include, exclude=exclude).filter([option]))


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}") if isinstance(number, float) else number


def _parser(config_loader: Any = None) -> Any:
    """Hydra's, with a `sort` that leaves a range its numbers: Hydra's own makes 3, 1, -1 of 0, 2, 4."""
    from hydra._internal.grammar.grammar_functions import sort
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import RangeSweep

    def sort_values(*args: Any, sweep: Any = None, list: Any = None, reverse: bool = False) -> Any:
        (only,) = args if len(args) == 1 else (sweep,)
        if not isinstance(only, RangeSweep):
            return sort(*args, sweep=sweep, list=list, reverse=reverse)
        numbers = sorted(only.range(), reverse=reverse)
        step = abs(only.step) * (-1 if reverse else 1)
        ends = (numbers[0], numbers[-1] + (step if isinstance(step, int) else step / 2)) if numbers else (0, 0)
        return replace(only, start=ends[0], stop=ends[1], step=step)

    parser = OverridesParser.create(config_loader)
    parser.functions.functions["sort"] = sort_values
    return parser
