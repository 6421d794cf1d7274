"""What stays of a picture or a text when it is saved again, resized, made a little brighter or typed anew.

Two signatures are compared by their cosine. What a pretrained network says of an item is no such thing: it is trained
to find different items of a class alike, and pictures of two solar cells, or two pairs of trousers, are often closer
there than a picture and its JPEG (docs/health.md).

Invariant: the same content gives the same signature on every machine.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Signature = NDArray[np.float32]

SIDE = 16
"""Pictures are compared at this size, in pixels."""
PICTURE, TEXT = 3 * SIDE * SIDE, 512
"""The lengths of signatures."""
ALIKE = {"image": 0.999, "text": 0.985}
"""The least cosine of copies.

Pictures: no two of 2,624 solar cells or 1,797 digits reach it; of 60,000 garments 28 families do, all looked at, and
each of one picture as far as one can see. Texts: 0.985 is 97 % common pieces. `python benchmarks/copies.py sets`.
"""
PIECE = 4
"""Letters of the pieces that texts are compared by."""
FLAT = 1.0
"""Grey levels of deviation below which a picture shows nothing."""


def picture_signature(pixels: NDArray[Any]) -> Signature:
    """A picture of 16 x 16 RGB pixels (16, 16, 3) in [0, 255], without its mean, at length 1: (768,).

    Zeros where it is of one colour. Brightness and contrast leave it as it is, but where they clip.
    """
    values = np.asarray(pixels, dtype=np.float32).ravel()
    values = values - values.mean()
    if values.std() < FLAT:
        return np.zeros_like(values)
    found: Signature = values / np.float32(np.linalg.norm(values))
    return found


def text_signature(text: str) -> Signature:
    """Which pieces of 4 letters a text has, hashed, at length 1: (512,); zeros where it has no letter or digit.

    Neither case, punctuation nor white space counts, nor how often a piece is there. Where two are nearly the same,
    the cosine is that of their sets of pieces within a tenth of its distance from 1.
    Source: Weinberger et al., Feature Hashing for Large Scale Multitask Learning, 2009.
    """
    plain, found = _plain(text), np.zeros(TEXT, dtype=np.float32)
    if not plain:
        return found
    padded = f" {plain} "
    pieces = {padded[at : at + PIECE] for at in range(max(len(padded) - PIECE + 1, 1))}
    hashes = np.array(sorted(zlib.crc32(piece.encode()) for piece in pieces), dtype=np.int64)
    np.add.at(found, hashes % TEXT, np.where((hashes >> 16) & 1, 1.0, -1.0).astype(np.float32))
    length = float(np.linalg.norm(found))
    return found / np.float32(length) if length else found


def text_kind(text: str) -> int:
    """A number that two texts share only if numbers, currencies, emoji and emoticons are the same, in the same order.

    And if both ask, or neither. A signature does not see these, and one of them can turn what a text says.
    """
    signs = (one for one in text if one == "%" or unicodedata.category(one) in {"Sc", "So"})
    told = [*_NUMBER.findall(text), "".join(signs), *_EMOTICON.findall(text), "?" if "?" in text else ""]
    return zlib.crc32(" ".join(told).encode())


_NUMBER = re.compile(r"(?:(?<!\S)[-−])?\d+")
_EMOTICON = re.compile(r"[:;=8][-'^o]?[()\[\]DPpO/\\|]|<3")


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
