"""Tables of texts and of images become items row by row; a bad row never ends a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.config import ItemSpec
from alearn.core.keys import content_key
from alearn.data import Item, Unreadable, count_hint, read_bytes, read_items
from alearn.errors import DataError

Write = Callable[[str, bytes | str], Path]


def read(
    path: Path | str, kind: str = "text", folder: Path = Path("/nonexistent"), **spec: object
) -> list[Item | Unreadable]:
    return list(read_items(ItemSpec(path=str(path), **spec), kind, folder))  # type: ignore[arg-type]


def jsonl(*rows: object) -> str:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def write_parquet(path: Path, columns: dict[str, list[object]]) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(pa.table(columns), path)
    return path


ROWS = [("hello", "a", "g1"), ('say "hi", twice', "b", "g1"), ("two\nlines 🐈", "", "")]


@pytest.fixture(params=["csv", "csv;", "tsv", "jsonl", "parquet"])
def table(request: pytest.FixtureRequest, tmp_path: Path, write: Write) -> Path:
    """The same three rows in every format."""
    columns = {name: [row[at] for row in ROWS] for at, name in enumerate(["text", "label", "who"])}
    if request.param == "parquet":
        return write_parquet(tmp_path / "t.parquet", columns)
    if request.param == "jsonl":
        return write("t.jsonl", jsonl(*(dict(zip(columns, row, strict=True)) for row in ROWS)))
    mark = {"csv": ",", "csv;": ";", "tsv": "\t"}[request.param]
    lines = [mark.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [tuple(columns), *ROWS]]
    return write(f"t.{request.param[:3]}", "\r\n".join(lines))


def test_every_format_gives_the_same_items(table: Path) -> None:
    """Texts come out as they are; an empty group is the key, an empty truth is none."""
    items = read(table, group_column="who", truth_column="label")
    assert [item.text for item in items] == [row[0] for row in ROWS]
    assert [item.truth for item in items] == ["a", "b", None]
    assert [item.group for item in items] == ["g1", "g1", items[2].key]
    assert all(item.key == content_key(item.text.encode()) and item.uri is None for item in items)
    assert count_hint(ItemSpec(path=str(table))) in {3, 4, 5}


@pytest.mark.parametrize("wrong", ["text_column", "group_column", "truth_column"])
def test_a_missing_column_names_the_file_the_column_and_those_that_exist(table: Path, wrong: str) -> None:
    """For the table as a whole, before anything is read."""
    with pytest.raises(DataError, match=rf"{table.name} must have a column 'nope'.*text, label, who"):
        read(table, **{wrong: "nope"})


def test_bad_lines_of_jsonl_are_reported_with_their_number(write: Write) -> None:
    """The others go on."""
    path = write("t.jsonl", b"\xef\xbb\xbf" + b"\n".join([
        b'{"text": "one"}', b"{oops", b"", b'["text"]', b'{"text": "caf\xe9"}', b'{"text": null}', b'{"text": 5}',
        b'{"other": 1}', b'{"text": "  "}', b'{"text": "\\ud83d"}', b'{"text": "a\\u0000b"}', b"[" * 100_000,
        b'{"text": "' + b"x" * 200_000 + b'"}', b'{"text": "last"}',
    ]))  # fmt: skip
    found = read(path, max_mb=0.15)
    assert [one.text for one in found if isinstance(one, Item)] == ["one", "last"]
    reasons = {int(one.where.rpartition(":")[2]): one.reason for one in found if isinstance(one, Unreadable)}
    expected = {
        2: "not JSON", 4: "not a JSON object", 5: "not UTF-8: byte 0xe9", 6: "no text", 7: "not int", 8: "no text",
        9: "no text", 10: "half a surrogate", 11: "NUL", 12: "not JSON", 13: "longer than",
    }  # fmt: skip
    assert reasons.keys() == expected.keys()
    assert all(words in reasons[line] for line, words in expected.items()), reasons
    assert all(one.where.startswith(str(path)) for one in found if isinstance(one, Unreadable))


def test_bad_lines_of_csv_are_reported_with_their_number(write: Write) -> None:
    """Shifted columns, bad bytes and empty texts; blank lines are nothing."""
    path = write(
        "t.csv", b'text,label\r\nok,a\r\na, b,c\r\n\r\ncaf\xe9,a\r\n"",a\r\nshort\r\n"two\r\nlines",a\r\nend,b\r\n'
    )
    found = read(path, truth_column="label")
    assert [one.text for one in found if isinstance(one, Item)] == ["ok", "two\r\nlines", "end"]
    reasons = {int(one.where.rpartition(":")[2]): one.reason for one in found if isinstance(one, Unreadable)}
    assert {
        line: words in reasons[line] for line, words in {3: "3 fields", 5: "0xe9", 6: "no text", 7: "1 fields"}.items()
    }
    assert sorted(reasons) == [3, 5, 6, 7]


def test_a_text_longer_than_the_csv_modules_limit_is_read(write: Write) -> None:
    """128 KB is the standard library's limit, not ours."""
    assert len(read(write("t.csv", "text\n" + "x" * 300_000))[0].text) == 300_000


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_an_empty_table_and_a_missing_one_are_errors(name: str, write: Write, tmp_path: Path) -> None:
    """In one sentence, with the next step."""
    with pytest.raises(DataError, match=r"must be an existing file"):
        read(tmp_path / name)
    with pytest.raises(DataError, match=r"holds none|Parquet"):
        read(write(name, b""))


def test_numbers_are_taken_as_words(tmp_path: Path) -> None:
    """Labels that are integers, and integers in a column with gaps, which are read as floats."""
    path = write_parquet(tmp_path / "t.parquet", {"text": list("abcd"), "label": [3.0, None, float("nan"), 0.5]})
    assert [item.truth for item in read(path, truth_column="label")] == ["3", None, None, "0.5"]


def test_a_damaged_parquet_file_is_an_error_of_the_source(tmp_path: Path) -> None:
    """There are no rows to go on with."""
    path = write_parquet(tmp_path / "t.parquet", {"text": ["x" * 1000] * 100})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="Parquet"):
        read(path)


def test_parquet_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    import sys

    path = write_parquet(tmp_path / "t.parquet", {"text": ["x"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'alearn\[parquet\]'"):
        read(path)


def test_image_paths_are_meant_from_the_tables_folder(
    write: Write, encoded: Callable[..., bytes], tmp_path: Path
) -> None:
    """Relative and absolute paths, file URLs, and rows that name nothing usable."""
    write("pictures/cat/1.png", encoded())
    absolute = write("2.png", encoded(seed=1))
    rows = [{"image": "pictures/cat/1.png"}, {"image": str(absolute)}, {"image": f"file://{absolute}"}]
    bad = [{"image": "none.png"}, {"image": ""}, {"image": 7}, {"image": None}, {"image": "a\0b.png"}]
    found = read(write("t.jsonl", jsonl(*rows, *bad)), "image")
    assert [one.uri for one in found[:3]] == [str(tmp_path / "source/pictures/cat/1.png"), str(absolute), str(absolute)]
    assert [one.where.rpartition(":")[2] for one in found[3:]] == ["4", "5", "6", "7", "8"]
    assert all(isinstance(one, Unreadable) for one in found[3:])
    assert "does not exist" in found[3].reason
    (first, *_) = read(tmp_path / "source/t.jsonl", "image", truth="folder")
    assert first.truth == "cat"


def test_images_inside_a_parquet_file_are_written_out(tmp_path: Path, encoded: Callable[..., bytes]) -> None:
    """As Hugging Face's data sets hold them; twice gives the same files."""
    data = [encoded(seed=0), encoded(seed=1), b"words"]
    path = write_parquet(tmp_path / "t.parquet", {"image": [{"bytes": one, "path": None} for one in data]})
    found = read(path, "image", tmp_path / "items")
    assert [content_key(read_bytes(item.uri)) for item in found[:2]] == [content_key(one) for one in data[:2]]
    assert "not an image" in found[2].reason
    assert read(path, "image", tmp_path / "items") == found


def test_reading_is_lazy(write: Write) -> None:
    """The first item of a long table comes before the rest is read."""
    path = write("t.jsonl", jsonl(*({"text": f"text {number}"} for number in range(50_000))))
    stream = read_items(ItemSpec(path=str(path)), "text", path.parent)
    assert next(stream).text == "text 0"
    path.write_bytes(b"")
    assert sum(1 for _ in stream) < 49_999


ROW = st.dictionaries(st.sampled_from(["text", "label"]), st.text() | st.none() | st.integers())
LINE = st.binary(max_size=40) | ROW.map(lambda row: json.dumps(row).encode())


@settings(max_examples=100, deadline=None)
@given(st.lists(LINE))
def test_any_lines_give_items_and_reasons(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    """Whatever is in a JSONL or CSV file: items that can be stored, and reasons that can be shown."""
    for name, head in (("t.jsonl", b'{"text": "first"}'), ("t.csv", b"text\nfirst")):
        path = tmp_path_factory.mktemp("any") / name
        path.write_bytes(b"\n".join([head, *lines]))
        for one in read(path):
            assert one.text.encode() if isinstance(one, Item) else f"{one.where} {one.reason}".encode()
