"""Prune a model of images: fewer channels at every step, judged on labels set aside, undone where it costs too much.

Each step is judged on a part of the labels that nothing of it was trained on: the model is trained again without them,
thinned, and compared with itself unpruned. Only when a step has passed is the model itself taken there, with all
labels. Invariant: the same arguments give the same weights, whether the run was killed or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.models.head import Head
from alearn.models.networks import Network
from alearn.models.networks.widths import widths_of
from alearn.models.pruning.budget import Budget, ratio_for
from alearn.models.pruning.cost import Cost, costs
from alearn.models.pruning.course import Course, Say
from alearn.models.pruning.gate import Comparison, Verdict, accept, compare
from alearn.models.pruning.imitation import lesson
from alearn.models.pruning.running import outputs
from alearn.models.pruning.teacher import whole, without
from alearn.models.training.fitting import Plan
from alearn.models.training.inputs import Inputs, Rows
from alearn.models.training.starts import default_start
from alearn.models.training.tail import Tail, arrays
from alearn.models.training.validation import lesson as dealt
from alearn.models.training.validation import softmax
from alearn.models.tuned import Tuned

POOL = 2000
"""Unlabeled items that are learned from, at most."""
BATCH = 32
"""Items at once when speeds are measured."""


@dataclass(frozen=True)
class Recipe:
    """How to prune: the cut in `steps` of equal size; imitation along `plan` in each.

    The labels are dealt out over `parts`; `folds` of these are set aside in turn to judge. More folds are surer, and
    each takes as long as the pruning itself.
    """

    steps: int = 2
    plan: Plan = field(default_factory=lambda: Plan(epochs=3, rate=3e-4))
    parts: int = 4
    folds: int = 1


@dataclass(frozen=True)
class Step:
    """A share of channels that was cut, and what the gate said of it."""

    ratio: float
    found: Comparison
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Pruned:
    """What came of it: `tuned` after the last step that was accepted; None where none was, and the model stays.

    `verdict` is the last word, for a person: accepted where the budget was reached. `after` is the cost of `tuned`,
    without one that of what was refused. `steps` say what the metric was on labels set aside.
    """

    tuned: Tuned | None
    before: Cost
    after: Cost
    steps: Sequence[Step]
    verdict: Verdict

    def table(self) -> list[tuple[str, str, str]]:
        """(what, before, after), for a person."""
        found = ([one for one in self.steps if one.verdict.accepted] or self.steps)[-1].found
        return [
            ("parameters", f"{self.before.parameters:,}", f"{self.after.parameters:,}"),
            ("MACs", f"{self.before.macs / 1e6:.0f} M", f"{self.after.macs / 1e6:.0f} M"),
            ("file", f"{self.before.megabytes:.1f} MB", f"{self.after.megabytes:.1f} MB"),
            ("items/s", f"{self.before.items_per_second:.0f}", f"{self.after.items_per_second:.0f}"),
            (found.metric, f"{found.before:.4f}", f"{found.after:.4f}"),
        ]


def prune(
    model: Head | Tuned,
    network: Network,
    labeled: Inputs,
    x: NDArray[np.float32],
    y: NDArray[np.intp],
    *,
    name: str,
    size: int | None,
    unlabeled: Inputs | None = None,
    metric: str,
    positive: int | None = None,
    tolerance: float,
    budget: Budget,
    recipe: Recipe | None = None,
    seed: int,
    folder: Path,
    say: Say | None = None,
) -> Pruned:
    """Prune a model of the network `name` of the zoo, loaded for images of `size`.

    `labeled` are the pictures of the labels `y` (n,), class numbers, `x` (n, D) the network's embeddings of them, and
    `unlabeled` pictures of the pool. A step is accepted where a metric of METRICS loses at most `tolerance`. The state
    is kept in `folder`, which its owner removes when the result is safe.

    Raises:
        ModelError: texts; a model that is pruned already; torch-pruning is missing; the network has layers that cannot
            be thinned, cannot be exported, or cannot meet the budget; or there are too few labels to set some aside.
    """
    run = _Run(model, network, labeled, unlabeled, x, y, recipe or Recipe(), seed, folder, say or (lambda _: None))
    run.refuse_what_cannot_be_done()
    teacher, example = whole(model, network), {"pixels": labeled.take(np.arange(BATCH) % len(y))[0]}
    ratio = ratio_for(budget, teacher, example, "head")
    ratios = [ratio * step / run.recipe.steps for step in range(1, run.recipe.steps + 1)]
    tried, steps = run.judged(ratios, metric, positive, tolerance)
    passed = [one.ratio for one in steps if one.verdict.accepted]
    final = run.course(teacher, np.arange(len(y)), "all") if passed else None
    students = [final.step(one) for one in passed] if final else [tried]
    before, after = costs([teacher, students[-1]], example)
    tensors, widths = arrays(students[-1]), widths_of(students[-1])
    tuned = Tuned("whole", name, size, None, 1.0, widths, tensors) if final else None
    return Pruned(tuned, before, after, steps, _verdict(steps))


def _verdict(steps: Sequence[Step]) -> Verdict:
    """The last word on all steps: accepted where none was refused."""
    last = steps[-1]
    passed = [one for one in steps if one.verdict.accepted]
    said = [f"{one.ratio:.0%} of the channels were cut: {one.verdict.reason}" for one in passed[-1:]]
    if not last.verdict.accepted:
        said = said or ["Not pruned:"]
        said.append(f"{last.ratio:.0%} of the channels were refused: {last.verdict.reason}")
    return Verdict(last.verdict.accepted, " ".join(said))


@dataclass(frozen=True, eq=False)
class _Run:
    """What all parts of a pruning have in common."""

    model: Head | Tuned
    network: Network
    labeled: Inputs
    unlabeled: Inputs | None
    x: NDArray[np.float32]
    y: NDArray[np.intp]
    recipe: Recipe
    seed: int
    folder: Path
    say: Say

    def refuse_what_cannot_be_done(self) -> None:
        if self.network.data != "image":
            raise ModelError(
                "Channels can be taken out of networks for images. This one is for texts. "
                "Choose an earlier tap instead: `alearn select` shows how good each is."
            )
        if isinstance(self.model, Tuned) and self.model.widths:
            raise ModelError("What is pruned must not be so already. This model is. Prune the one that it was made of.")
        counts = np.sort(np.bincount(self.y))[::-1]
        if len(counts) < 2 or counts[1] < 2 * self.recipe.parts:
            raise ModelError(
                f"Pruning needs {2 * self.recipe.parts} labels of each of two classes, to set some aside. "
                f"The second most frequent class has {counts[1] if len(counts) > 1 else 0}. Label more first."
            )

    def judged(
        self, ratios: Sequence[float], metric: str, positive: int | None, tolerance: float
    ) -> tuple[Tail, list[Step]]:
        """What the gate says of each step, up to the first that it refuses; and the last student of the first fold."""
        classes = self.model.weights.shape[1] if isinstance(self.model, Head) else self.model.classes
        fold = dealt(self.x, self.y, classes, folds=self.recipe.parts, seed=self.seed).fold
        held = [np.flatnonzero(fold == number) for number in range(self.recipe.folds)]
        ways = [self._without(rows, number) for number, rows in enumerate(held)]
        before = np.concatenate([self._proba(way.teacher, rows) for way, rows in zip(ways, held, strict=True)])
        y, steps = self.y[np.concatenate(held)], list[Step]()
        for ratio in ratios:
            students = [way.step(ratio) for way in ways]
            after = np.concatenate([self._proba(one, rows) for one, rows in zip(students, held, strict=True)])
            found = compare(y, before, after, metric, positive=positive, seed=self.seed)
            steps.append(Step(ratio, found, accept(found, tolerance)))
            self.say(f"{ratio:.0%}: {steps[-1].verdict.reason}")
            if not steps[-1].verdict.accepted:
                break
        return students[0], steps

    def course(self, teacher: Tail, rows: Rows, name: str) -> Course:
        """The way of a teacher of these labels, which learns from their pictures and from the pool's."""
        parts = [(self.labeled, rows)]
        if self.unlabeled is not None:
            some = np.random.default_rng(self.seed).permutation(len(self.unlabeled))[:POOL]
            parts.append((self.unlabeled, np.sort(some)))
        start = self.model.start if isinstance(self.model, Tuned) else None
        start = start or default_start(self.network)
        first = 0 if start is None else self.network.chain.place(start) + 1
        given = lesson(teacher, parts)
        return Course(teacher, given, first, self.recipe.plan, self.seed, self.folder, name, self.say)

    def _without(self, held: Rows, number: int) -> Course:
        """The way of a model that has not seen some rows."""
        rows, name = np.setdiff1d(np.arange(len(self.y)), held), f"fold {number + 1}"
        teacher = without(
            self.model,
            self.network,
            self.labeled,
            self.x,
            self.y,
            rows=rows,
            seed=self.seed,
            checkpoint=self.folder / f"teacher-{number}.safetensors",
            report=lambda epoch, loss, _: self.say(f"{name}: unpruned, epoch {epoch}, loss {loss:.3f}"),
        )
        return self.course(teacher, rows, f"fold-{number}")

    def _proba(self, tail: Tail, rows: Rows) -> NDArray[np.float32]:
        return softmax(outputs(tail, self.labeled, rows))
