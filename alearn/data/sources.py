"""Where items come from: a folder, a table, a URL, or a data set in a package.

Invariant: one bad file or row never stops a source; a source that is wrong as a whole is one `DataError`; storage that
does not answer now makes nothing unreadable, it is `Unreachable`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from alearn.config import ItemSpec
from alearn.core.schema import DataKind
from alearn.data import storage
from alearn.data.ahead import ahead
from alearn.data.content import image_item
from alearn.data.folders import folder_items
from alearn.data.items import Item, Unreadable, printable_name
from alearn.data.packages import ROWS, package_files
from alearn.data.rows import table_items
from alearn.data.tables import READERS, rows_hint
from alearn.errors import DataError


def read_items(spec: ItemSpec, kind: DataKind, folder: Path) -> Iterator[Item | Unreadable]:
    """Every item of a source, in a fixed order: by file name, or by row.

    An image is read whole, hashed and checked; a text is hashed. `folder` is where a source that holds images in
    another form than files (digits, images inside Parquet) writes them. Files whose suffix is no image's (text: not
    .txt) and what begins with a dot are passed over.

    Raises:
        DataError: the source is missing, empty, of no known kind, or lacks a column; or its extra is not installed.
        Unreachable: the drive, server or network of the source, or of an item, does not answer now.
            Some of either is raised only when the iterator is used.
    """
    if spec.package is not None:
        return _package(spec, kind, folder)
    place = _place(spec)
    if storage.suffix(place) in READERS and not (not storage.is_url(place) and os.path.isdir(place)):
        return table_items(spec, kind, place, folder)
    if not storage.is_folder(place):
        raise DataError(_no_source(place))
    if spec.group_column or spec.truth_column:
        raise DataError(
            f"`items.group_column` and `items.truth_column` need a table. `items.path` is the folder {place}. "
            "Remove them; `truth: folder` takes the known answers from folder names."
        )
    return folder_items(spec, kind, place)


def count_hint(spec: ItemSpec) -> int | None:
    """About how many items there are, for a progress bar; None where finding out is not cheap."""
    if spec.package is not None:
        return ROWS[spec.package]
    place = _place(spec)
    if storage.is_url(place):
        return None
    if os.path.isdir(place):
        return sum(1 for _ in storage.walk(place, recursive=spec.recursive))
    return rows_hint(place) if storage.suffix(place) in READERS and os.path.exists(place) else None


def _place(spec: ItemSpec) -> str:
    assert spec.path is not None, "ItemSpec has exactly one of path and package"
    return spec.path if storage.is_url(spec.path) else storage.local_path(spec.path)


def _no_source(place: str) -> str:
    if storage.is_url(place) or not os.path.exists(place):
        got = f"{place} does not exist" if not storage.is_url(place) else f"Nothing is at {place}"
    else:
        got = f"{place} is a file of another kind"
    kinds = ", ".join(READERS)
    return f"`items.path` must be a folder or a file of {kinds}. {printable_name(got)}. Correct it."


def _package(spec: ItemSpec, kind: DataKind, folder: Path) -> Iterator[Item | Unreadable]:
    assert spec.package is not None
    if kind != "image":
        raise DataError(f"`items.package: {spec.package}` holds images. `task.data` is {kind}. Set `task.data: image`.")
    return ahead(lambda file: image_item(file[0], file[0], None, file[1], spec), package_files(spec.package, folder))
