"""Asking a module: in the order of the rows, on the CPU in the end, and in fewer at once where memory is full."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models.engines import cuda
from alearn.models.training import device
from alearn.models.training.answers import answers
from alearn.models.training.inputs import Pictures, Stored

ITEMS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
PLACES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not cuda.precisions(), reason="no NVIDIA GPU"))]


class Double(nn.Module):
    """Twice what it is given, and its sum; at most `most` items at once."""

    def __init__(self, most: int = 10**6) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))
        self.most, self.sizes = most, list[int]()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise RuntimeError("CUDA out of memory.")
        return x * self.factor, x.sum(1)


def asked(module: nn.Module, rows: np.ndarray, **changes: Any) -> tuple[np.ndarray, ...]:
    parts = list(answers(module, Stored(ITEMS), rows, **changes))
    assert {one.device for part in parts for one in part} == {device.CPU}
    return tuple(torch.cat(of).numpy() for of in zip(*parts, strict=True))


@given(st.lists(st.integers(0, 49), min_size=1, max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_each_row_is_answered_in_its_place(rows: list[int], batch: int, most: int) -> None:
    """However many are asked about at once, and whatever there is memory for."""
    twice, total = asked(Double(most), np.array(rows), batch=batch)
    assert np.array_equal(twice, 2 * ITEMS[rows])
    assert total == pytest.approx(ITEMS[rows].sum(1), abs=1e-5)


@pytest.mark.parametrize("place", PLACES)
def test_a_full_memory_is_remembered(place: str, caplog: pytest.LogCaptureFixture) -> None:
    """What has room at last is what the next batches begin with, and the log says so."""
    where = device.device("auto" if place == "cuda" else "torch")
    module = Double(6)
    with caplog.at_level(logging.WARNING):
        twice, _ = asked(device.placed(module, where), np.arange(50), where=where, batch=16)
    assert np.array_equal(twice, 2 * ITEMS)
    if place == "cpu":
        assert module.sizes[:5] == [16, 8, 4, 4, 4]
        assert max(module.sizes[2:]) == 4
        assert "no memory for 16 items at once; it goes on with 8" in caplog.text


def test_an_item_that_does_not_fit_alone_is_said() -> None:
    """With what to do."""
    with pytest.raises(ModelError, match=r"memory to compute one item.*smaller `model\.size`"):
        asked(Double(0), np.arange(3))


def test_another_error_is_raised_as_it_is() -> None:
    """It is not taken for a full memory."""
    with pytest.raises(RuntimeError, match="dtype"):
        list(answers(nn.Linear(4, 1), Pictures(np.zeros((4, 2, 2, 3), np.uint8)), np.arange(4)))


@pytest.mark.parametrize("place", PLACES)
def test_views_are_taken(place: str) -> None:
    """Each item as it is wanted; the module stays where it was."""
    where = device.device("auto" if place == "cuda" else "torch")
    module = Double()
    (parts,) = answers(module, Stored(ITEMS, -ITEMS), np.arange(50), np.arange(50) % 2, where=where)
    assert torch.equal(parts[0][1::2], torch.from_numpy(-2 * ITEMS[1::2]))
    assert torch.equal(parts[0][::2], torch.from_numpy(2 * ITEMS[::2]))
    assert device.home(module) == device.CPU
