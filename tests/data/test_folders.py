"""A folder of files, here or in an object store, becomes items in the order of their names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from alearn.config import ItemSpec
from alearn.core.keys import content_key
from alearn.data import Item, Unreadable, count_hint, read_items
from alearn.errors import DataError

Write = Callable[[str, bytes | str], Path]


def read(path: Path | str, kind: str = "image", **spec: object) -> list[Item | Unreadable]:
    return list(read_items(ItemSpec(path=str(path), **spec), kind, Path("/nonexistent")))  # type: ignore[arg-type]


def test_images_become_items_in_the_order_of_their_names(
    tmp_path: Path, write: Write, encoded: Callable[..., bytes]
) -> None:
    """Subfolders are gone through in order; the key is the hash of the file's bytes and the group is the key."""
    contents = {name: encoded("PNG", seed=at) for at, name in enumerate(["b/2.png", "a.png", "b/10.png", "c/x/1.JPG"])}
    for name, data in contents.items():
        write(name, data)
    items = read(tmp_path / "source")
    assert [os.path.relpath(one.uri, tmp_path / "source") for one in items] == sorted(contents)
    for item in items:
        key = content_key(contents[os.path.relpath(item.uri, tmp_path / "source")])
        assert (item.key, item.group, item.truth, item.text) == (key, key, None, None)
        assert os.path.isabs(item.uri)
    assert count_hint(ItemSpec(path=str(tmp_path / "source"))) == 4


def test_the_same_image_twice_has_one_key(tmp_path: Path, write: Write, encoded: Callable[..., bytes]) -> None:
    """Copies are the same item."""
    write("a.png", encoded())
    write("b.png", encoded())
    assert len({item.key for item in read(tmp_path / "source")}) == 1


def test_subfolders_can_be_left_out(tmp_path: Path, write: Write, encoded: Callable[..., bytes]) -> None:
    """`recursive: false` takes only what is directly in the folder."""
    write("a.png", encoded())
    write("b/c.png", encoded(seed=1))
    assert len(read(tmp_path / "source", recursive=False)) == 1


def test_the_folder_name_can_be_the_known_answer(tmp_path: Path, write: Write, encoded: Callable[..., bytes]) -> None:
    """`truth: folder`; a file directly in the source's folder has no known answer."""
    write("cat/1.png", encoded(seed=1))
    write("dog/deep/2.png", encoded(seed=2))
    write("3.png", encoded(seed=3))
    assert [item.truth for item in read(tmp_path / "source", truth="folder")] == [None, "cat", "deep"]


def test_bad_files_are_reported_and_the_others_go_on(
    tmp_path: Path, write: Write, encoded: Callable[..., bytes]
) -> None:
    """Each bad file comes out with its path and its reason, in its place."""
    whole = encoded("JPEG", (64, 64))
    write("1 good.jpg", whole)
    write("2 empty.jpg", b"")
    write("3 truncated.jpg", whole[:-200])
    write("4 words.png", "these are words")
    write("5 large.bmp", encoded("BMP", (300, 300)))
    write("6 many.png", encoded("PNG", (250, 250), mode="1"))
    write("7 phone.heic", b"whatever")
    write("8 no suffix", whole + b"\0")
    (tmp_path / "source" / "9 gone.png").symlink_to(tmp_path / "nowhere.png")
    found = read(tmp_path / "source", max_mb=0.1, max_pixels=60_000)
    reasons = {os.path.basename(one.where)[0]: one.reason for one in found if isinstance(one, Unreadable)}
    expected = ["empty", "truncated", "not an image", "max_mb", "max_pixels", "convert", "not exist"]
    assert sorted(reasons) == list("2345679")
    assert all(words in reasons[number] for number, words in zip("2345679", expected, strict=True)), reasons
    assert sum(isinstance(one, Item) for one in found) == 2


def test_a_link_to_itself_is_reported(tmp_path: Path, write: Write, encoded: Callable[..., bytes]) -> None:
    """It neither stops the walk nor goes round for ever."""
    write("a.png", encoded())
    (tmp_path / "source" / "b.png").symlink_to("b.png")
    good, bad = read(tmp_path / "source")
    assert isinstance(good, Item)
    assert isinstance(bad, Unreadable)


def test_other_files_are_passed_over(tmp_path: Path, write: Write, encoded: Callable[..., bytes]) -> None:
    """Notes, tables, hidden files and folders beside the images are none of the loop's business."""
    write("a.png", encoded())
    for name in ("labels.csv", "README.md", "Thumbs.db", ".DS_Store", "._a.png", ".cache/b.png", "a.txt"):
        write(name, "x")
    assert len(read(tmp_path / "source")) == 1


def test_an_unreadable_file_and_folder_are_reported(
    tmp_path: Path, write: Write, encoded: Callable[..., bytes]
) -> None:
    """No permission is a reason like others, and so is a pipe in place of a file."""
    write("a.png", encoded())
    os.mkfifo(tmp_path / "source" / "pipe.png")
    bad = [one for one in read(tmp_path / "source") if isinstance(one, Unreadable)]
    assert [one.reason for one in bad] == ["is not a file"]
    if os.geteuid() != 0:
        (tmp_path / "source" / "a.png").chmod(0)
        assert any("Permission denied" in one.reason for one in read(tmp_path / "source"))


def test_a_name_that_is_not_unicode_is_reported(tmp_path: Path, write: Write, encoded: Callable[..., bytes]) -> None:
    """No database can hold it; the report can."""
    write("a.png", encoded())
    with open(os.path.join(os.fsencode(tmp_path / "source"), b"caf\xe9.png"), "wb") as file:
        file.write(encoded(seed=1))
    (bad,) = [one for one in read(tmp_path / "source") if isinstance(one, Unreadable)]
    assert "rename" in bad.reason
    bad.where.encode()


def test_unicode_names_survive(tmp_path: Path, write: Write, encoded: Callable[..., bytes]) -> None:
    """Spaces, quotes and emoji in names are nothing special."""
    path = write('ä "b" 🐈/ü,<1>.png', encoded())
    (item,) = read(tmp_path / "source", truth="folder")
    assert (item.uri, item.truth) == (str(path), 'ä "b" 🐈')


def test_text_files_become_items(tmp_path: Path, write: Write) -> None:
    """A byte order mark and the last line's end are no part of the text; the key is the text's hash."""
    write("ham/1.txt", "héllo\nworld\n")
    write("ham/2.txt", b"\xef\xbb\xbfhi\r\n")
    write("spam/3.txt", " \n")
    write("spam/4.txt", b"caf\xe9")
    write("spam/5.txt", b"a\0b")
    write("spam/6.txt", b"")
    found = read(tmp_path / "source", "text", truth="folder")
    items = [one for one in found if isinstance(one, Item)]
    assert [(item.text, item.truth, item.uri) for item in items] == [("héllo\nworld", "ham", None), ("hi", "ham", None)]
    assert all(item.key == content_key(item.text.encode()) for item in items)
    reasons = [one.reason for one in found if isinstance(one, Unreadable)]
    for reason, words in zip(reasons, ["no text", "UTF-8: byte 0xe9", "NUL", "empty"], strict=True):
        assert words in reason


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_missing_folder_and_an_empty_one_are_errors_that_say_what_to_do(
    tmp_path: Path, kind: str, write: Write
) -> None:
    """What must be there, what is there, and the next step."""
    with pytest.raises(DataError, match=r"`items.path` must be .* does not exist\. Correct it"):
        read(tmp_path / "source", kind)
    (tmp_path / "source").mkdir()
    with pytest.raises(DataError, match=r"`items.path` must hold .* It is empty"):
        read(tmp_path / "source", kind)
    write("notes.md", "x")
    with pytest.raises(DataError, match=r"Found only 1 \.md"):
        read(tmp_path / "source", kind)
    with pytest.raises(DataError, match="file of another kind"):
        read(tmp_path / "source" / "notes.md", kind)


def test_a_column_for_a_folder_is_an_error(tmp_path: Path, write: Write, encoded: Callable[..., bytes]) -> None:
    """Rather than a setting that does nothing."""
    write("a.png", encoded())
    with pytest.raises(DataError, match=r"group_column.*need a table"):
        read(tmp_path / "source", group_column="patient")


def test_a_folder_in_an_object_store_is_read_like_a_local_one(encoded: Callable[..., bytes]) -> None:
    """The same order, truths and reports; the URI is a URL that can be read again."""
    from alearn.data import read_bytes

    store = fsspec.filesystem("memory")
    store.pipe(
        {
            "/bucket/b/2.png": encoded(seed=1),
            "/bucket/a/1.png": encoded(),
            "/bucket/c.png": b"words",
            "/bucket/n.md": b"x",
        }
    )
    try:
        one, two, bad = read("memory://bucket", truth="folder")
        assert (one.uri, one.truth) == ("memory:///bucket/a/1.png", "a") or one.uri == "memory://bucket/a/1.png"
        assert content_key(read_bytes(two.uri)) == two.key
        assert "not an image" in bad.reason
        assert count_hint(ItemSpec(path="memory://bucket")) is None
        with pytest.raises(DataError, match="Nothing is at memory://nowhere"):
            read("memory://nowhere")
    finally:
        store.rm("/bucket", recursive=True)


def test_a_missing_extra_says_which_command_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """s3:// without its package."""
    import sys

    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(DataError, match=r"pip install 'alearn\[s3\]'"):
        read("s3://bucket/cells")


def test_an_unknown_scheme_is_an_error() -> None:
    """A spelling mistake in a URL."""
    with pytest.raises(DataError, match=r"`items\.path` may be a URL"):
        read("s4://bucket/cells")
