"""From bytes to pixels, as annotators see them: upright, in RGB, first frame, transparency on white.

Invariant: whatever the bytes are, the outcome is an image or a `DataError` whose text says what is wrong with them.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image, UnidentifiedImageError

from alearn.data.storage import read_bytes
from alearn.errors import DataError, Unreachable

MAX_PIXELS = 100_000_000
"""The default of `items.max_pixels`; at most this many are decoded, so a small file cannot fill the memory."""

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF", "MPO")
"""What is opened; the rest of what Pillow knows is left out: EPS runs Ghostscript, TGA takes any bytes for an image."""

# What Pillow's readers raise on damaged bytes, found by feeding them such.
FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    AttributeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


def read_image(uri: str, *, max_pixels: int = MAX_PIXELS, size: int | None = None, grey: bool = False) -> Image.Image:
    """The image at a path or URL, upright, and in RGB; with `grey`, a grey one in mode L, which is quicker.

    With `size`, a JPEG may come out smaller than it is, but never with a side shorter than twice `size`: decoding at
    1/2, 1/4 or 1/8 scale is several times faster, and nothing is lost when it is then shrunk to `size`.

    Raises:
        DataError: it cannot be read or is no sound image; the text is a sentence that begins with the URI.
        Unreachable: its drive, server or network does not answer now.
    """
    try:
        return decode(read_bytes(uri), max_pixels=max_pixels, size=size, grey=grey)
    except Unreachable:
        raise
    except DataError as error:
        raise DataError(f"{uri} {error}") from error


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, size: int | None = None, grey: bool = False) -> Image.Image:
    """The image in these bytes; `size` and `grey` as in `read_image`.

    16-bit grey is scaled from [0, 65535], as browsers show it; floating-point grey is stretched between its extremes.

    Raises:
        DataError: no image, truncated, or above `max_pixels`; the text continues a sentence that begins with a name.
    """
    with _opened(data, max_pixels) as image:
        try:
            if size is not None:
                image.draft(None, (2 * size, 2 * size))
            image.load()
            found = _plain(_upright(image))
            return found if grey else found.convert("RGB")
        except FAULTS as error:
            raise DataError(_damage(error)) from error


def check_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> None:
    """Find out cheaply whether these bytes are a whole image.

    PNG is checked by its checksums and JPEG by its end marker, without decoding; other formats are decoded.

    Raises:
        DataError: no image, truncated, or above `max_pixels`; the text continues a sentence that begins with a name.
    """
    with _opened(data, max_pixels) as image:
        try:
            if image.format == "PNG":
                image.verify()
            elif image.format not in {"JPEG", "MPO"} or not _jpeg_ends(data):
                image.load()
        except FAULTS as error:
            raise DataError(_damage(error)) from error


@cache
def suffixes() -> frozenset[str]:
    """The file name suffixes of the formats that are opened, in lower case, with their dot."""
    Image.init()
    return frozenset(name for name, kind in Image.registered_extensions().items() if kind in FORMATS)


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.OPEN)


def _opened(data: bytes, max_pixels: int) -> Image.Image:
    """The image with its header read and its size checked."""
    # Pillow's own guard is one number for the whole process: it is raised to what the config allows, never lowered.
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        image = Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError:
        raise DataError("is not an image of a known format, or its beginning is damaged") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"has more pixels than `items.max_pixels` allows, {max_pixels:,}") from None
    except FAULTS as error:
        raise DataError(_damage(error)) from error
    if image.width * image.height > max_pixels:
        raise DataError(
            f"has {image.width} × {image.height} pixels, more than `items.max_pixels` allows, {max_pixels:,}"
        )
    return image


def _damage(error: BaseException) -> str:
    return f"is truncated or damaged: {' '.join(str(error).split()) or type(error).__name__}"


def _jpeg_ends(data: bytes) -> bool:
    """Whether a JPEG's end marker comes after its first scan; the thumbnail in its header has an end marker, too."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            return data.find(b"\xff\xd9", at) >= 0
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its camera says; damaged camera data is ignored."""
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except FAULTS:
        return image
    return image if turn is None else image.transpose(turn)


def _plain(image: Image.Image) -> Image.Image:
    """The image in mode RGB, or L where it is grey."""
    if image.mode.startswith("I;16") or image.mode == "I":
        return _from_grey16(image)
    if image.mode == "F":
        return _stretched(np.asarray(image, dtype=np.float64))
    if "transparency" in image.info or image.mode in {"RGBA", "LA", "PA", "La", "RGBa"}:
        return _on_white(image)
    return image.convert("L" if image.mode in {"L", "1"} else "RGB")


def _from_grey16(image: Image.Image) -> Image.Image:
    grey = np.asarray(image).astype(np.int64)
    if grey.min() < 0 or grey.max() > 65535:
        return _stretched(grey.astype(np.float64))
    return Image.fromarray((grey // 257).astype(np.uint8))


def _stretched(grey: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Image.Image:
    grey = np.nan_to_num(grey, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(grey.min()), float(grey.max())
    scaled = (grey - low) * (255 / (high - low)) if high > low else np.zeros_like(grey)
    return Image.fromarray(scaled.astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    """As a browser shows it on a white page."""
    layer = image.convert("RGBA")
    page = Image.new("RGBA", layer.size, "white")
    page.alpha_composite(layer)
    return page.convert("RGB")
