"""A network's way to fewer channels, step by step: cut, fit again, imitate the unpruned one.

Invariant: what a step gives is on disk when it is done, under a key that names all that it depends on; a way that was
killed goes on from there and ends at the same weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor

from alearn.core.keys import fingerprint
from alearn.models.networks import weights_digest
from alearn.models.networks.widths import reshaped, widths_of
from alearn.models.pruning.channels import outputs_of, thin
from alearn.models.pruning.imitation import Lesson, fit_head, imitate
from alearn.models.pruning.refitting import refit
from alearn.models.training import checkpoints
from alearn.models.training.fitting import Plan
from alearn.models.training.tail import Tail

RANKED = 64
"""Items on which the contribution of channels is measured."""
REFITTED = 1000
"""Items on which layers are fitted again, at most."""
PIXELS = REFITTED * 160 * 160
"""Pixels of those items together: larger ones show more places each, and their activations must fit into memory."""

Say = Callable[[str], None]


@dataclass(eq=False)
class Course:
    """The way of a copy of one teacher, a whole tail, which stays as it is; `student` is what became of the copy.

    `lesson` is what the teacher says of the items that may be learned from. `first` is the number of the stage from
    which on descent goes, along `plan`. `folder` keeps the state; `name` tells this way from others there.
    """

    teacher: Tail
    lesson: Lesson
    first: int
    plan: Plan
    seed: int
    folder: Path
    name: str
    say: Say
    student: Tail = field(init=False)
    left: dict[str, list[int]] | None = field(init=False, default=None)
    ratios: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.student = _calibrated(self.teacher)

    def step(self, ratio: float, *, last: bool) -> Tail:
        """Go on to where the share `ratio` of the teacher's channels is gone; returns the student.

        Only behind the `last` step there is descent: what comes before is cut again.

        Raises:
            ModelError: the network cannot be thinned.
        """
        self.ratios.append(ratio)
        key, path = self._key(last), self.folder / f"{self.name}-{len(self.ratios)}.safetensors"
        saved = checkpoints.read(path, key)
        if saved is None:
            self._thinned(ratio)
            if last:
                self._imitating()
            checkpoints.write(
                path, key, self.student.state_dict(), {"left": self.left, "widths": widths_of(self.student)}
            )
            return self.student
        tensors, facts = saved
        self.left, self.student = facts["left"], _calibrated(self.teacher)
        reshaped(self.student, facts["widths"])
        self.student.load_state_dict(tensors)
        return self.student

    def _thinned(self, ratio: float) -> None:
        pixels = self._some()
        student, widths = self.student, outputs_of(self.teacher)
        self.say(f"{self.name}: {ratio:.0%} of the channels cut, the layers fitted again")
        self.left = thin(student, [pixels[:RANKED]], ratio, keep=[student.head], left=self.left, widths=widths)
        refit(student, self.teacher, self.left, pixels, seed=self.seed, where=self.lesson.where)
        fit_head(student, self.lesson)

    def _imitating(self) -> None:
        imitate(
            self.student,
            self.lesson,
            self.first,
            plan=self.plan,
            seed=self.seed,
            checkpoint=self.folder / f"{self.name}-descent.safetensors",
            report=lambda epoch, loss, _: self.say(f"{self.name}: imitation, epoch {epoch}, loss {loss:.3f}"),
        )

    def _some(self) -> Tensor:
        """The items that layers are fitted on."""
        side = self.lesson.some(1, self.seed).shape[1]
        return self.lesson.some(min(REFITTED, max(1, PIXELS // side**2)), self.seed)

    def _key(self, last: bool) -> str:
        """Of all that the student depends on after the last of `ratios`."""
        digest = hashlib.sha256(self.lesson.logits.tobytes())
        digest.update(self._some().numpy().tobytes())
        taught = [weights_digest(self.teacher), digest.hexdigest()]
        return fingerprint([*taught, self.first, asdict(self.plan), self.seed, self.ratios, last])


def _calibrated(teacher: Tail) -> Tail:
    """A copy whose temperature is 1: what is imitated is calibrated already."""
    found = deepcopy(teacher)
    found.temperature.fill_(1.0)
    return found
