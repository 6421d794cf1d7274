"""Data sets that come inside installed packages."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from alearn.config import ItemSpec
from alearn.data import Item, count_hint, read_items
from alearn.errors import DataError


def test_digits_are_rendered_once(tmp_path: Path) -> None:
    """1797 images of 64 x 64, ten classes; a second reading writes nothing and gives the same."""
    spec = ItemSpec(package="digits")
    items = list(read_items(spec, "image", tmp_path))
    assert len(items) == count_hint(spec) == 1797
    assert {item.truth for item in items} == set("0123456789")
    with Image.open(items[0].uri) as image:
        assert (image.size, image.format) == ((64, 64), "PNG")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "digits").iterdir()}
    assert list(read_items(spec, "image", tmp_path)) == items
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "digits").iterdir()} == written


def test_a_digit_has_the_same_key_on_every_machine(tmp_path: Path) -> None:
    """Its bytes do not depend on the version of zlib or Pillow."""
    assert next(read_items(ItemSpec(package="digits"), "image", tmp_path)).key == "11efc1647bd06c78370bc7ace85394ee"


@pytest.mark.skipif(importlib.util.find_spec("elpv_dataset") is None, reason="elpv-dataset is not installed")
def test_elpv_is_read_from_its_package(tmp_path: Path) -> None:
    """2624 cells; `defective` where the probability of a defect is above one half."""
    found = list(read_items(ItemSpec(package="elpv"), "image", tmp_path))
    assert len(found) == count_hint(ItemSpec(package="elpv")) == 2624
    assert all(isinstance(one, Item) and one.group == one.key for one in found)
    assert Counter(one.truth for one in found) == {"ok": 1803, "defective": 821}
    assert "elpv_dataset" not in sys.modules


def test_a_missing_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'alearn\[offline\]'"):
        list(read_items(ItemSpec(package="elpv"), "image", tmp_path))


def test_a_data_set_of_images_holds_no_texts(tmp_path: Path) -> None:
    """The task's kind of data must fit."""
    with pytest.raises(DataError, match=r"task\.data"):
        read_items(ItemSpec(package="digits"), "text", tmp_path)
