"""SciPy is imported where it is used: what trains does not wait for it."""

import ast
from pathlib import Path

import trainlab


def test_no_module_imports_scipy_when_it_is_imported():
    for path in Path(trainlab.__file__).parent.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.partition(".")[0] == "scipy"], path
