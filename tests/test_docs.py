"""What the pages under docs/ tell people to write does run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from alearn.config import parse
from alearn.core.strategies import modal, resolve

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(path for path in DOCS.glob("*.md") if BLOCK.search(path.read_text()))


def blocks(path: Path, language: str) -> list[str]:
    """The blocks of a page in this language; each is preceded by as many empty lines as are above it in the page."""
    text = path.read_text()
    found = [match for match in BLOCK.finditer(text) if match[1] == language]
    return ["\n" * text.count("\n", 0, match.start(2)) + match[2] for match in found]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_python_of_a_page_runs(path: Path) -> None:
    """From the top to the bottom, one block after the other; a line of a traceback is the line of the page."""
    names: dict[str, object] = {"__name__": path.stem}
    for block in blocks(path, "python"):
        exec(compile(block, str(path), "exec"), names)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_yaml_of_a_page_is_a_part_of_a_config(path: Path) -> None:
    """Beside the sections that every config must have."""
    least = {"name": "birds", "items": {"path": "photos"}, "task": {"data": "image", "classes": ["crow", "owl"]}}
    for block in blocks(path, "yaml"):
        parse(least | yaml.safe_load(block), name=path.name, folder=Path())


def test_the_page_for_users_of_modal_names_every_function() -> None:
    """Each is offered, or refused with advice; and each `modal:` name on the page is one that there is."""
    text = (DOCS / "modal.md").read_text()
    lacking = {name for name in {*modal.FUNCTIONS, *modal.ABSENT} if name not in text}
    assert all(name.startswith("mc_dropout_") for name in lacking)
    for name in re.findall(r"modal:\w+", text):
        assert resolve(name).name == name
