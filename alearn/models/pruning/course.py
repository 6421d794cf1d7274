"""A network's way to fewer channels: cut, fit again, let the last stages imitate the unpruned one; step by step.

Invariant: what a step gives is on disk when it is done, under a key that names all that it depends on; a way that was
killed goes on from there and ends at the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from alearn.core.keys import fingerprint
from alearn.models.networks import weights_digest
from alearn.models.networks.widths import reshaped, widths_of
from alearn.models.pruning.channels import outputs_of, thin
from alearn.models.pruning.imitation import Imitation, Lesson
from alearn.models.pruning.refitting import refit
from alearn.models.pruning.running import outputs
from alearn.models.training import checkpoints
from alearn.models.training.fitting import Plan, fit
from alearn.models.training.inputs import Inputs, Rows, Stored
from alearn.models.training.tail import Tail

RANKED = 64
"""Items on which the contribution of channels is measured."""
REFITTED = 512
"""Items on which layers are fitted again; measured: 512 give clearly more than 256, and take a minute at 160 px."""

Report = Callable[[str], None]


@dataclass(eq=False)
class Course:
    """The way of one teacher's copy. `first` is the number of the stage from which on the student is trained.

    `student` is what has become of it, `left` which channels it has; both are None before the first step.
    """

    teacher: Tail
    lesson: Lesson
    first: int
    plan: Plan
    seed: int
    folder: Path
    report: Report
    student: Tail | None = None
    left: dict[str, list[int]] | None = None
    done: str = ""

    def step(self, ratio: float) -> Tail:
        """Go on to where `ratio` of the channels are gone; returns the student, its head as the teacher's.

        Raises:
            ModelError: the network cannot be thinned.
        """
        key = self._key(ratio)
        self.done = key
        path = self.folder / f"step-{key[:16]}.safetensors"
        found = checkpoints.read(path, key)
        if found is not None:
            self.left = found[1]["left"]
            self.student = reshaped(deepcopy(self.teacher), found[1]["widths"])  # type: ignore[assignment]
            assert self.student is not None
            self.student.load_state_dict(found[0])
            return self.student.eval()
        student = self._thinned(ratio)
        self._trained(student)
        checkpoints.write(path, key, student.state_dict(), {"left": self.left, "widths": widths_of(student)})
        self.student = student
        return student

    def _thinned(self, ratio: float) -> Tail:
        student = deepcopy(self.student or self.teacher)
        pixels = self._some(REFITTED)
        self.left = thin(
            student, [pixels[:RANKED]], ratio, keep=[student.head], left=self.left, widths=outputs_of(self.teacher)
        )
        self.report("channels cut; fitting the layers again")
        refit(student, self.teacher, self.left, pixels, seed=self.seed)
        return student

    def _trained(self, student: Tail) -> None:
        """Let the stages from `first` on imitate the teacher, from what the stages before them give."""
        if not self.plan.most:
            return
        part, inputs, rows = student, self._inputs(student), self.lesson.rows
        if self.first:
            part = deepcopy(student)
            part.entry, part.suffix.stages = None, nn.ModuleList(list(student.suffix.stages)[self.first :])
        ...

    def _some(self, count: int) -> Tensor:
        """Some of the items that are learned from, their first view."""
        rng = np.random.default_rng(self.seed)
        rows = rng.permutation(self.lesson.rows[: len(self.lesson.rows)])[:count]
        return self.lesson.gallery.take(np.sort(rows))[0]
