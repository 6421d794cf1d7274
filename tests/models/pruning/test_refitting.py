"""Fitting a thinned network again: on a GPU as on the CPU, and on the CPU where a GPU has not the memory for it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alearn.models.engines import cuda
from alearn.models.pruning.channels import Left, thin
from alearn.models.pruning.refitting import refit
from alearn.models.pruning.running import outputs
from alearn.models.pruning.teacher import whole
from alearn.models.training import device
from alearn.models.training.tail import Tail, arrays

from .conftest import Stripes

needs_gpu = pytest.mark.skipif(not cuda.precisions(), reason="no NVIDIA GPU")


@dataclass(frozen=True)
class Cut:
    """A teacher, its student after a cut, and what was left."""

    teacher: Tail
    student: Tail
    left: Left
    pixels: Tensor

    def refitted(self, where: torch.device, teacher: Tail | None = None) -> Tail:
        found = deepcopy(self.student)
        refit(found, teacher or self.teacher, self.left, self.pixels, seed=0, where=where)
        return found


@pytest.fixture(scope="module")
def cut(stripes: Stripes) -> Cut:
    pytest.importorskip("torch_pruning", reason="needs alearn[prune]")
    teacher, pixels = whole(stripes.head, stripes.network), torch.from_numpy(stripes.pixels)
    student = deepcopy(teacher)
    left = thin(student, [pixels[:32]], 0.5, keep=[student.head])
    return Cut(teacher, student, left, pixels[:200])


class Crowded(nn.Sequential):
    """A stage that only the CPU has room for."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        found: Tensor = super().forward(x)
        return found


def test_what_has_no_room_on_a_device_is_fitted_on_the_cpu(cut: Cut) -> None:
    """To the bit what the CPU alone gives, though the device had begun; `meta` stands for a device without room."""
    crowded = deepcopy(cut.teacher)
    crowded.suffix.stages[-1] = Crowded(*crowded.suffix.stages[-1])
    found, wanted = cut.refitted(torch.device("meta"), crowded), cut.refitted(device.CPU)
    assert device.home(found) == device.CPU
    assert all(np.array_equal(one, arrays(wanted)[name]) for name, one in arrays(found).items())
    assert any(not np.array_equal(one, arrays(cut.student)[name]) for name, one in arrays(found).items())


@needs_gpu
def test_a_gpu_fits_as_the_cpu_does(cut: Cut, stripes: Stripes) -> None:
    """Within rounding; student and teacher are on the CPU afterwards, and the same again gives the same."""
    fast, again, slow = (cut.refitted(where) for where in (device.device(), device.device(), device.CPU))
    assert {device.home(one) for one in (fast, cut.teacher)} == {device.CPU}
    assert all(np.array_equal(one, arrays(again)[name]) for name, one in arrays(fast).items())
    rows = np.arange(200)
    found, wanted = (outputs(one, stripes.labeled, rows) for one in (fast, slow))
    assert np.abs(found - wanted).max() < 1e-2 * np.abs(wanted).max()


@needs_gpu
def test_a_gpu_gives_what_the_exported_graph_gives(stripes: Stripes) -> None:
    """Within rounding, float32; the module stays on the CPU."""
    teacher, rows = whole(stripes.head, stripes.network), np.arange(240)
    slow, fast = (outputs(teacher, stripes.labeled, rows, where) for where in (device.CPU, device.device()))
    assert fast.dtype == slow.dtype == np.float32
    assert np.abs(fast - slow).max() < 1e-4 * np.abs(slow).max()
    assert device.home(teacher) == device.CPU
