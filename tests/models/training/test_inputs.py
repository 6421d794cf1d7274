"""Batches: the right rows in the right view, wherever they lie, and texts padded to the longest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from alearn.models.training.inputs import Hidden, Pictures, Stored, Texts


def test_pictures_are_seen_in_four_ways() -> None:
    """As they are, mirrored, upside down, and both; each row in its own view."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    pictures = Pictures(pixels, views=4)
    (plain,) = pictures.take(np.array([2, 0]))
    assert np.array_equal(plain, pixels[[2, 0]])
    (seen,) = pictures.take(np.array([1, 1, 1, 1]), np.arange(4))
    wanted = [pixels[1], pixels[1][:, ::-1], pixels[1][::-1], pixels[1][::-1, ::-1]]
    assert np.array_equal(seen, np.stack(wanted))


def test_stored_activations_are_read_from_the_disk_row_by_row(tmp_path: Path) -> None:
    """Half precision there, single here; each row from the array of its view."""
    arrays = [np.random.default_rng(view).normal(size=(5, 2, 3, 3)).astype(np.float16) for view in range(2)]
    for view, array in enumerate(arrays):
        np.save(tmp_path / f"{view}.npy", array)
    stored = Stored(*(np.load(tmp_path / f"{view}.npy", mmap_mode="r") for view in range(2)))
    (seen,) = stored.take(np.array([4, 1, 4]), np.array([1, 0, 0]))
    assert seen.dtype == torch.float32
    assert np.array_equal(seen, np.stack([arrays[1][4], arrays[0][1], arrays[0][4]]))
    assert (len(stored), stored.views) == (5, 2)


def test_texts_are_padded_to_the_longest_of_their_batch() -> None:
    """Token numbers and hidden states alike; the mask says what is real."""
    texts = Texts([np.arange(1, 1 + length) for length in (2, 5, 3)])
    ids, mask = texts.take(np.array([2, 0]))
    assert ids.tolist() == [[1, 2, 3], [1, 2, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    hidden = Hidden([np.full((length, 4), length, np.float16) for length in (2, 5, 3)])
    states, real = hidden.take(np.array([2, 0]))
    assert states[:, :, 0].tolist() == [[3, 3, 3], [2, 2, 0]]
    assert real.tolist() == mask.tolist()
