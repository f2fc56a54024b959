"""The options of a configuration for `--help`, from its files: one line per option, the default marked."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml


def describe_groups(folders: Sequence[Path], root: str) -> str:
    """All groups that the defaults list of ``root`` has, each with its options and their first comments.

    Args:
        folders: of the configuration; the first has ``root``.
        root: name of a file without `.yaml`.
    """
    entries = yaml.safe_load((folders[0] / f"{root}.yaml").read_text())["defaults"]
    defaults = {group: option for entry in entries if isinstance(entry, dict) for group, option in entry.items()}
    groups = [group for group in defaults if not group.startswith(("override ", "optional "))]
    text = "\n".join(_describe_group(group, folders, defaults[group]) for group in groups)
    return text.replace("$", "$$")  # Hydra substitutes in it


def _describe_group(group: str, folders: Sequence[Path], default: str | None) -> str:
    paths = {
        str(path.relative_to(folder / group).with_suffix("")): path
        for folder in folders
        for path in sorted((folder / group).rglob("*.yaml"))
    }
    options = sorted(paths, key=lambda option: (option != default, "/" in option))
    names = [f"{option} (default)" if option == default else option for option in options]
    width = max(map(len, names))
    lines = [
        f"  {name:{width}}  {_first_sentence(paths[option].read_text())}"
        for name, option in zip(names, options, strict=True)
    ]
    return "\n".join([group if default else f"{group} (default: none)", *lines, ""])


def _first_sentence(text: str) -> str:
    """Of an option's opening comment; without one the class or function that it names."""
    comment = " ".join(re.findall(r"\A(?:# @package.*\n)?((?:# .*\n)*)", text)[0].replace("# ", " ").split())
    if comment:
        return re.split(r"\.(?: |$)", comment)[0]
    return yaml.safe_load(text).get("_target_", "")
