"""What holds for the tree as a whole."""

from __future__ import annotations

import importlib.metadata
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import alearn_connectors
from alearn import platform

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "alearn").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")])
HEAVY = ("torch", "sklearn", "sqlalchemy", "onnxruntime", "numpy", "pydantic", "rich", "transformers")


def test_import_rules_hold() -> None:
    """Imports go downward only, each heavy library has one owner, and nothing is cyclic (pyproject.toml)."""
    done = subprocess.run([str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_connector_is_reached_by_its_name() -> None:
    """Not even by a string, which the linter cannot see; nor by the folder's accidental package name."""
    inside = [
        path for path in SOURCES if path.is_relative_to(ROOT / "alearn") and "alearn_connectors" in path.read_text()
    ]
    assert inside == []
    assert [path for path in SOURCES if re.search(r"\bconnectors\.alearn_connectors", path.read_text())] == []


def test_every_connector_is_an_entry_point() -> None:
    """The table in pyproject.toml, the installed metadata and the folder agree; `make install` installs anew."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][platform.GROUP]
    there = {f"alearn_connectors.{module.name}" for module in pkgutil.iter_modules(alearn_connectors.__path__)}
    assert set(declared.values()) == there
    assert {point.name for point in importlib.metadata.entry_points(group=platform.GROUP)} >= set(declared)
    for name in declared:
        assert callable(platform.connector(name).open)


def test_help_imports_nothing_heavy() -> None:
    """`alearn --help` answers at once because nothing heavy is imported before a command needs it."""
    code = f"import sys, alearn.cli.app; sys.exit(' '.join(name for name in {HEAVY} if name in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable(path: Path) -> None:
    """A module says why it exists, and is no longer than 500 lines."""
    text = path.read_text()
    assert len(text.splitlines()) <= 500
    assert not text or text.startswith('"""'), "a module's docstring says why it exists and its invariant"


def test_the_project_names_no_machine() -> None:
    """No path of somebody's machine and no secret is tracked."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"(/home/\w+/|/Users/\w+/|C:\\Users)")
    texts = [ROOT / name for name in tracked.stdout.split() if name.endswith((".py", ".md", ".yaml", ".toml"))]
    assert [
        str(path) for path in texts if path.exists() and path != Path(__file__) and pattern.search(path.read_text())
    ] == []
