"""Small pictures that go into a page as text.

Invariant: what cannot be read is left out, whatever the reason; a report never fails because of a picture.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

from PIL import Image

from alearn.data.decode import read_image
from alearn.errors import DataError
from alearn.loop.undertaking import Undertaking

SIDE = 240
"""Pixels of the longer side, twice what is shown: paper has more of them than a screen."""
TINY = 64
"""Smaller pictures are kept as they are, and shown with their pixels."""


def pictures(loop: Undertaking, keys: Iterable[str]) -> dict[str, str]:
    """{key: data URI} of the items that are pictures and can be read now."""
    found, most = dict[str, str](), loop.config.items.max_pixels
    for key, content in loop.store.items.contents(keys).items():
        if content.uri is None:
            continue
        try:
            found[key] = as_uri(read_image(content.uri, max_pixels=most, size=SIDE))
        except DataError:  # Unreachable is one
            continue
    return found


def as_uri(image: Image.Image) -> str:
    """A picture as a data URI, no larger than it is shown."""
    tiny = max(image.size) <= TINY
    small = image.copy()
    small.thumbnail((SIDE, SIDE))
    into = io.BytesIO()
    small.save(into, "PNG") if tiny else small.save(into, "JPEG", quality=80)
    kind = "png" if tiny else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(into.getvalue()).decode()}"
