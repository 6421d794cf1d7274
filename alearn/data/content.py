"""From one file or one text to one item, or to the reason why it is none.

Invariant: what cannot be reached now is neither; `Unreachable` passes.
"""

from __future__ import annotations

import os

from alearn.config import ItemSpec
from alearn.core.keys import content_key
from alearn.data import storage
from alearn.data.decode import check_image
from alearn.data.items import Item, Unreadable, printable_name, unstorable
from alearn.errors import DataError, Unreachable


def image_item(uri: str, where: str, group: str | None, truth: str | None, spec: ItemSpec) -> Item | Unreadable:
    """The item of one image file."""
    reason = unstorable(uri)
    if reason is not None:
        return Unreadable(printable_name(where), f"has a name that cannot be stored: it {reason}; rename it")
    try:
        data = storage.read_bytes(uri, max_bytes=max_bytes(spec))
        check_image(data, max_pixels=spec.max_pixels)
    except Unreachable:
        raise
    except DataError as error:
        return Unreadable(where, str(error))
    key = content_key(data)
    return Item(key, uri, None, group or key, truth)


def text_file_item(uri: str, where: str, group: str | None, truth: str | None, spec: ItemSpec) -> Item | Unreadable:
    """The item of one .txt file; a byte order mark and the last line's end are no part of the text."""
    try:
        text = storage.read_bytes(uri, max_bytes=max_bytes(spec)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Unreadable(
            printable_name(where), f"is not UTF-8: byte 0x{error.object[error.start]:02x}; save it as UTF-8"
        )
    except Unreachable:
        raise
    except DataError as error:
        return Unreadable(printable_name(where), str(error))
    return text_item(text.removesuffix("\n").removesuffix("\r"), printable_name(where), group, truth)


def text_item(text: str, where: str, group: str | None, truth: str | None) -> Item | Unreadable:
    """The item of one text, kept as it is."""
    if not text or text.isspace():
        return Unreadable(where, "holds no text")
    if (reason := unstorable(text)) is not None:
        return Unreadable(where, reason)
    key = content_key(text.encode())
    return Item(key, None, text, group or key, truth)


def max_bytes(spec: ItemSpec) -> int:
    """The largest file, or row of a table, that is read."""
    return int(spec.max_mb * 1e6)


def parent_folder(file: str, root: str) -> str | None:
    """The name of the folder a file is in; None directly in the source's own folder, whose name says nothing."""
    parent = file.rpartition("/")[0] if storage.is_url(file) else os.path.dirname(file)
    return None if parent.rstrip("/") == root.rstrip("/") else os.path.basename(parent)
