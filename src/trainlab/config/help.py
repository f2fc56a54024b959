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

    Raises:
        ValueError: a file is no valid YAML.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # each composition reads this file
    entries = yaml.load((folders[0] / f"{root}.yaml").read_text(), loader)["defaults"]
    defaults = {group: option for entry in entries if isinstance(entry, dict) for group, option in entry.items()}
    groups = [group for group in defaults if not group.startswith(("override ", "optional "))]
    text = "\n".join(_describe_group(group, folders, defaults[group]) for group in groups)
    return text.replace("$", "$$")  # Hydra substitutes in it


def describe_yaml_error(error: yaml.YAMLError) -> str:
    """What is wrong with a file, and where."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    return f"{mark.name} is no valid YAML: {error.problem}, in line {mark.line + 1}"


def _describe_group(group: str, folders: Sequence[Path], default: str | None) -> str:
    paths = {
        str(path.relative_to(folder / group).with_suffix("")): path
        for folder in folders
        for path in sorted((folder / group).rglob("*.yaml"))
    }
    options = sorted(paths, key=lambda option: (option != default, "/" in option))
    names = [f"{option} (default)" if option == default else option for option in options]
    width = max(map(len, names))
    lines = [f"  {name:{width}}  {_first_sentence(paths[option])}" for name, option in zip(names, options, strict=True)]
    return "\n".join([group if default else f"{group} (default: none)", *lines, ""])


def _first_sentence(path: Path) -> str:
    """Of an option's opening comment; without one the class or function that it names."""
    text = path.read_text()
    comment = " ".join(re.findall(r"\A(?:# @package.*\n)?((?:# .*\n)*)", text)[0].replace("# ", " ").split())
    if comment:
        return re.split(r"\.(?: |$)", comment)[0]
    with path.open() as file:  # the file's name is in the error
        try:
            options = yaml.safe_load(file)
        except yaml.YAMLError as error:
            raise ValueError(describe_yaml_error(error)) from None
    return options.get("_target_", "") if isinstance(options, dict) else ""
