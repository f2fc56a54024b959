"""The words of a command line, as Hydra is to get them."""

from collections.abc import Sequence

from trainlab.config.overrides import WrongArguments, check_overrides, parse_overrides, quoted

_CHOOSES_OPTIONS = ("experiment", "debug")  # groups whose options choose those of other groups


def readable(arguments: Sequence[str]) -> list[str]:
    """A command line of a person as Hydra is to get it: flags first, text in quotes.

    Raises:
        WrongArguments: a word is no argument, a key is given twice, a name is an old one, or a value can be read in two
            ways.
    """
    flags, overrides = _flags_first(arguments)
    _check_words(overrides)
    check_overrides(overrides)
    sweeps = "--multirun" in flags or "hydra.mode=MULTIRUN" in overrides
    words = [quoted(override, sweeps) for override in overrides]
    return flags + (_left_to_jobs(words) if sweeps else words)


def _check_words(words: Sequence[str]) -> None:
    """Raise WrongArguments where a word is no `key=value`, as where blanks stand in one."""
    for i, word in enumerate(words):
        if word.startswith("~") or (word.partition("=")[0] and "=" in word):
            continue
        before, following = (words[i - 1] if i else ""), words[i + 1 : i + 3]
        pieces = [piece for piece in (part.strip("=") for part in (word, *following)) if piece and "=" not in piece]
        meant = "key=value"
        if before.endswith(("=", ",")):
            meant = f"{before}{word} without blanks"
        elif len(pieces) == 2:
            meant = f"{pieces[0]}={pieces[1]}" + " without blanks" * ("=" in f"{word}{following[0]}")
        raise WrongArguments(f"cannot read the argument {word!r}; write {meant}")


def _no_such_flag(flag: str, words: Sequence[str]) -> str:
    """Message for a flag that Hydra does not have; of other programs settings are flags."""
    name, _, value = flag.lstrip("-").partition("=")
    value = value or next((word for word in words if "=" not in word and not word.startswith("--")), "")
    setting = f", such as {name}={value}" if value else ""
    return f"there is no flag {flag}; settings have no dashes{setting}; --help shows them, --hydra-help the flags"


def _flags_first(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Flags, by their long names, and overrides; Hydra understands no flag after an override."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    given, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        raise WrongArguments(_no_such_flag(unknown[0], [*unknown[1:], *given.overrides]))
    flags: list[str] = []
    for action in parser._actions:
        value = getattr(given, action.dest, None)
        if action.option_strings and value:
            flags += [max(action.option_strings, key=len), *(() if value is True else (value,))]
    return flags, list(given.overrides)


def _left_to_jobs(overrides: Sequence[str]) -> list[str]:
    """The overrides of a sweep, those written as choices of one value that hold for an option which jobs choose.

    Hydra would try them on the option of the configuration without the sweep.
    """
    parsed = parse_overrides(overrides)
    chosen = {one.key_or_group for one in parsed if one.is_sweep_override() and "." not in one.key_or_group}
    words = []
    for one, word in zip(parsed, overrides, strict=True):
        section, _, name = one.key_or_group.partition(".")
        is_one_value = bool(name) and not one.is_sweep_override() and not one.is_delete()
        # Hydra has no choice of null: that is tried on the option of the configuration without the sweep.
        is_one_value = is_one_value and one.value() is not None
        left = is_one_value and section not in ("sweep", "hydra") and chosen & {section, *_CHOOSES_OPTIONS}
        value = one.get_value_element_as_str() or "''" if left else ""
        words.append(f"{one.get_key_element()}=choice({value})" if left else word)
    return words
