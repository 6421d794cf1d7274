"""Items from a folder of files, here or in an object store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from alearn.config import ItemSpec
from alearn.core.schema import DataKind
from alearn.data import storage
from alearn.data.ahead import ahead
from alearn.data.content import image_item, parent_folder, text_file_item
from alearn.data.decode import suffixes
from alearn.data.items import Item, Unreadable, printable_name
from alearn.errors import DataError

UNOPENED = frozenset(
    {".heic", ".heif", ".svg", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".psd", ".tga", ".dcm"}
)
"""Suffixes of images that are not opened here; such a file is reported, other files are passed over."""


def folder_items(spec: ItemSpec, kind: DataKind, place: str) -> Iterator[Item | Unreadable]:
    """The items of a folder that exists; DataError when there is nothing in it to make one of."""
    wanted = suffixes() | {""} if kind == "image" else {".txt"}
    seen: Counter[str] = Counter()

    def candidates() -> Iterator[str | Unreadable]:
        for found in storage.walk(place, recursive=spec.recursive):
            ending = "" if isinstance(found, Unreadable) else storage.suffix(found)
            seen[ending] += 1
            if isinstance(found, Unreadable) or ending in wanted:
                yield found
            elif kind == "image" and ending in UNOPENED:
                yield Unreadable(
                    printable_name(found), f"is a {ending} file, which is not opened; convert it to .png or .jpg"
                )

    make = image_item if kind == "image" else text_file_item
    empty = True
    for one in ahead(lambda found: _file_item(found, spec, place, make), candidates()):
        empty = False
        yield one
    if empty:
        raise DataError(_empty_folder(place, kind, seen, spec.recursive))


def _file_item(
    found: str | Unreadable, spec: ItemSpec, root: str, make: Callable[..., Item | Unreadable]
) -> Item | Unreadable:
    if isinstance(found, Unreadable):
        return found
    return make(found, found, None, parent_folder(found, root) if spec.truth == "folder" else None, spec)


def _empty_folder(place: str, kind: DataKind, seen: Counter[str], recursive: bool) -> str:
    wanted = "images" if kind == "image" else ".txt files"
    others = ", ".join(f"{count} {name or 'without a suffix'}" for name, count in seen.most_common(5))
    below = "" if recursive else " directly in it (`items.recursive` is false)"
    found = f"Found only {others}" if others else "It is empty"
    return f"`items.path` must hold {wanted}{below}. {printable_name(place)} holds none: {found}. Correct `items.path`."
