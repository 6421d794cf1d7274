"""Whatever the bytes are: an upright RGB image, or a DataError that says what is wrong."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alearn.data import check_image, read_image
from alearn.data.decode import FORMATS, decode, suffixes
from alearn.errors import DataError


def save(image: Image.Image, kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **how)
    return file.getvalue()


GRADIENT = Image.fromarray(np.arange(24 * 32 * 3, dtype=np.uint16).reshape(24, 32, 3).astype(np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF"])
def test_every_format_is_opened_and_checked(kind: str) -> None:
    """Each format in FORMATS passes the check and decodes to RGB in its own size."""
    assert kind in FORMATS
    data = save(GRADIENT, kind)
    check_image(data)
    assert (decode(data).mode, decode(data).size) == ("RGB", (32, 24))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_found_out(kind: str, share: float, encoded: Callable[..., bytes]) -> None:
    """A file that lacks its end fails the cheap check, so that it is put aside when it is added."""
    data = encoded(kind, (120, 90))
    with pytest.raises(DataError, match=r"truncated|damaged"):
        check_image(data[: int(len(data) * share)])


def test_a_truncated_jpeg_with_a_thumbnail_is_found_out(encoded: Callable[..., bytes]) -> None:
    """The end marker of the thumbnail in the header is not taken for the end of the image."""
    thumbnail = encoded("JPEG", (16, 12))
    block = b"Exif\0\0" + thumbnail
    data = encoded("JPEG", (120, 90))
    whole = data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:]
    check_image(whole)
    with pytest.raises(DataError, match="truncated"):
        check_image(whole[:-800])


def test_a_jpeg_with_something_behind_its_end_is_whole(encoded: Callable[..., bytes]) -> None:
    """Phones append videos and padding."""
    check_image(encoded("JPEG", (40, 30)) + b"\0" * 5000)


@pytest.mark.parametrize(
    "data", [b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a"]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    """Other bytes, bare magic numbers, and formats that run programs."""
    with pytest.raises(DataError):
        check_image(data)
    with pytest.raises(DataError):
        decode(data)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000"]), st.data())
def test_damaged_bytes_give_an_image_or_a_data_error(kind: str, draw: st.DataObject) -> None:
    """No damage makes Pillow's own exceptions come through."""
    data = bytearray(save(GRADIENT, kind))
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    for look in (check_image, decode):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                look(bytes(data), max_pixels=1_000_000)
        except DataError:
            pass


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright(orientation: int) -> None:
    """The white corner comes out at the top left whatever way the camera was held."""
    upright = np.zeros((24, 32, 3), np.uint8)
    upright[:12, :16] = 255
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(save(Image.fromarray(np.ascontiguousarray(undo(upright))), "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(image), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_camera_data_is_ignored(encoded: Callable[..., bytes]) -> None:
    """An image whose EXIF is nonsense is still an image."""
    assert decode(encoded("JPEG", (40, 30), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff")).size == (40, 30)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    """Grey, palette, alpha, print colours and 16 bits: the model sees three channels; grey ones stay so if asked."""
    image = GRADIENT.convert("L").convert(mode) if mode in {"I;16", "I", "F", "LA", "PA"} else None
    kind = "TIFF" if mode in {"CMYK", "YCbCr", "LAB", "F", "I"} else "PNG"
    image = image or (GRADIENT.convert(mode) if mode != "LAB" else Image.new("LAB", (32, 24), (128, 128, 128)))
    if mode == "PA":
        kind, image = "PNG", image.convert("RGBA")
    assert decode(save(image, kind)).mode == "RGB"
    kept = decode(save(image, kind), grey=True)
    assert kept.mode == ("L" if mode in {"1", "L", "I;16", "I", "F"} else "RGB")
    assert kept.convert("RGB").tobytes() == decode(save(image, kind)).tobytes()


def test_cmyk_jpeg_keeps_its_colours() -> None:
    """A red CMYK JPEG comes out red, not inverted."""
    red = decode(save(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    assert np.abs(np.asarray(red)[8, 8].astype(int) - [255, 0, 0]).max() < 30


def test_16_bit_grey_is_scaled_by_its_full_range() -> None:
    """0 stays 0, 65535 becomes 255, and the middle the middle: as browsers show it."""
    grey = np.array([[0, 32896, 65535]], np.uint16)
    assert np.asarray(decode(save(Image.fromarray(grey), "PNG")))[0, :, 0].tolist() == [0, 128, 255]


def test_transparency_is_shown_on_white() -> None:
    """A transparent black pixel is white, as on a web page; also when a palette's entry is the transparent one."""
    assert decode(save(Image.new("RGBA", (2, 2), (0, 0, 0, 0)), "PNG")).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert decode(save(palette, "PNG", transparency=0)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 7), (641, 479)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_odd_sizes_keep_their_size(size: tuple[int, int], kind: str, encoded: Callable[..., bytes]) -> None:
    """One pixel, one row, one column, odd numbers."""
    data = encoded(kind, size)
    check_image(data)
    assert decode(data).size == size
    assert min(decode(data, size=224).size) == min(size)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    """An animated GIF is its first picture."""
    data = save(Image.new("RGB", (4, 4), "red"), "GIF", save_all=True, append_images=[Image.new("RGB", (4, 4), "blue")])
    assert decode(data).getpixel((0, 0)) == (255, 0, 0)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    """A file of a few kilobytes that would fill the memory is refused, whatever the limit."""
    bomb = save(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(bomb) < 100_000
    for limit in (1_000, 100_000_000):
        with pytest.raises(DataError, match="max_pixels"):
            check_image(bomb, max_pixels=limit)
        with pytest.raises(DataError, match="max_pixels"):
            decode(bomb, max_pixels=limit)


def test_a_larger_limit_is_honoured_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """`max_pixels` above Pillow's own guard is what counts."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = save(Image.new("L", (100, 100)), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(data, max_pixels=10_000).size == (100, 100)


@pytest.mark.parametrize(("side", "expected"), [(2000, 500), (450, 450), (449, 449)])
def test_a_target_size_lets_a_jpeg_be_decoded_smaller(side: int, expected: int, encoded: Callable[..., bytes]) -> None:
    """Never below twice the size asked for; other formats are not affected."""
    assert decode(encoded("JPEG", (side, side)), size=224).size == (expected, expected)
    assert decode(encoded("PNG", (side, side)), size=224).size == (side, side)


def test_read_image_names_the_file(tmp_path: Path) -> None:
    """The error of a file that is not there, empty, or no image begins with its name."""
    (tmp_path / "empty.png").touch()
    (tmp_path / "words.png").write_text("words")
    for name, reason in (("none.png", "does not exist"), ("empty.png", "is empty"), ("words.png", "is not an image")):
        with pytest.raises(DataError, match=f"{name} {reason}"):
            read_image(str(tmp_path / name))


def test_suffixes_are_those_of_the_formats() -> None:
    """Photos' usual suffixes are known, and no suffix of a format that is not opened."""
    assert {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"} <= suffixes()
    assert not {".eps", ".pdf", ".tga", ".mpg"} & suffixes()
