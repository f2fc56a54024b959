"""Configuration of Sphinx: `make docs` builds the pages of this folder into docs/_build/html."""

import json
from typing import Any

project = "trainlab"
author = "the authors of trainlab"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3  # links to headings, page.md#heading
default_role = "code"  # single backticks in docstrings

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "trainlab"
html_show_copyright = False


def setup(app: Any) -> None:
    """Show notebooks as pages."""
    app.connect("source-read", notebook_to_markdown)


def notebook_to_markdown(app: Any, name: str, source: list[str]) -> None:
    """Replace the source of a notebook by its text, its code and the text that its cells have printed."""
    if app.env.doc2path(name).suffix != ".ipynb":
        return
    parts = []
    for cell in json.loads(source[0])["cells"]:
        text = "".join(cell["source"])
        parts.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else text)
        for output in cell.get("outputs", []):
            text = "".join(output["text"] if "text" in output else output["data"]["text/plain"])
            parts.append(f"```text\n{text.rstrip()}\n```")
    source[0] = "\n\n".join(parts)
