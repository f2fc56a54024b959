"""Words of the scripts that read them with argparse."""

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainlab.programs import command_line, import_from


def command_parser(name: str, description: str) -> argparse.ArgumentParser:
    """The parser of a command. ``description`` names it `trainlab NAME`; shown is how this process was started."""
    shown = command_line(name)
    return argparse.ArgumentParser(
        prog=shown,
        description=description.replace(f"trainlab {name}", shown),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def path_word(word: str) -> Path:
    """The path in a script's word. `~` is the home folder, behind a "=", too, where no shell sees it. For argparse."""
    return Path(os.path.expanduser(word))  # noqa: PTH111 (pathlib's raises where there is no such user)


def checkpoint_word(word: str) -> Path:
    """The path in a script's word ``ckpt_path=PATH``, written as for Hydra's scripts, in quotes, too. For argparse.

    Raises:
        argparse.ArgumentTypeError: it is another word.
    """
    key, _, path = word.partition("=")
    if key != "ckpt_path" or not path:
        raise argparse.ArgumentTypeError(f"write ckpt_path=PATH, got {word!r}")
    return path_word(_unquoted(path))


def _unquoted(text: str) -> str:
    """The text in quotes as Hydra reads it: backslashes count as such unless a quote comes after them."""
    quote = text[0]
    if quote not in "'\"" or len(text) < 2 or text[-1] != quote:
        return text
    return re.sub(rf"(\\+)({quote}|$)", lambda found: found[1][: len(found[1]) // 2] + found[2], text[1:-1])


def count_word(word: str) -> int:
    """The number in a script's word, at least 1. For argparse.

    Raises:
        argparse.ArgumentTypeError: it is another word.
    """
    if not word.isascii() or not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {word!r}")
    return int(word)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``--trust`` of scripts that build what a checkpoint names."""
    parser.add_argument(
        "--trust",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="package besides trainlab whose classes the checkpoint may name; may be repeated",
    )


def parse_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The words of a script that is none of Hydra's, where a setting given twice is an error, too."""
    parser.add_argument(
        "--config-dir", metavar="DIR", help="your config folder, if your network is a file in it or beside it"
    )
    words = [word for word in sys.argv[1:] if word.startswith(("--", "ckpt_path=")) and not word.startswith("--trust")]
    keys = [word.partition("=")[0] for word in words]
    if twice := [key for key in keys if keys.count(key) > 1]:
        parser.error(f"{twice[0]} is given twice; leave out one of them")
    arguments = parser.parse_intermixed_args()
    if arguments.config_dir:
        import_from(arguments.config_dir)
    return arguments


def run_plain_script(main: Callable[[], Any]) -> None:
    """Run the main of a script that is none of Hydra's; end with status 130 on Ctrl-C, also while it imports."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
