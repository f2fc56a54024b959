"""The options of a configuration for `--help`, from its files: one line per option, the default marked."""

import re
from pathlib import Path

import yaml


def describe_groups(conf: Path, root: str) -> str:
    """All groups that the defaults list of ``root`` has, each with its options and their first comments."""
    entries = yaml.safe_load((conf / f"{root}.yaml").read_text())["defaults"]
    defaults = {group: option for entry in entries if isinstance(entry, dict) for group, option in entry.items()}
    groups = [group for group in defaults if not group.startswith("override ")]
    text = "\n".join(_describe_group(conf / group, defaults[group]) for group in groups)
    return text.replace("$", "$$")  # Hydra substitutes in it


def _describe_group(folder: Path, default: str | None) -> str:
    paths = {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*.yaml"))}
    options = sorted(paths, key=lambda option: (option != default, "/" in option))
    names = [f"{option} (default)" if option == default else option for option in options]
    width = max(map(len, names))
    lines = [
        f"  {name:{width}}  {_first_sentence(paths[option].read_text())}"
        for name, option in zip(names, options, strict=True)
    ]
    return "\n".join([folder.name if default else f"{folder.name} (default: none)", *lines, ""])


def _first_sentence(text: str) -> str:
    """Of an option's opening comment; without one the class or function that it names."""
    comment = " ".join(re.findall(r"\A(?:# @package.*\n)?((?:# .*\n)*)", text)[0].replace("# ", " ").split())
    if comment:
        return re.split(r"\.(?: |$)", comment)[0]
    return yaml.safe_load(text).get("_target_", "")
