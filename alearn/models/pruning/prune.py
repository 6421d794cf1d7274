"""Prune a model of images: fewer blocks, then fewer channels at every step, undone where it costs too much.

Blocks at the end are dropped where a linear head in front of them is as good. Each step after that is judged on a part
of the labels that nothing of it was trained on: the model is trained again without them, thinned, and compared with
itself, unpruned and uncut. Only when a step has passed is the model itself taken there, with all labels. Invariant: the
same arguments give the same weights, whether the run was killed or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.models.folds import Groups, deal, numbered, pieces
from alearn.models.head import Head, fit_head
from alearn.models.networks import Network
from alearn.models.networks.widths import widths_of
from alearn.models.pruning.budget import Budget, ratio_for
from alearn.models.pruning.cost import Cost, costs
from alearn.models.pruning.course import Course, Say
from alearn.models.pruning.gate import Comparison, Gate, Verdict
from alearn.models.pruning.imitation import lesson
from alearn.models.pruning.running import outputs
from alearn.models.pruning.taps import embedded, probe
from alearn.models.pruning.teacher import whole, without
from alearn.models.training.device import device
from alearn.models.training.fitting import Plan
from alearn.models.training.inputs import Inputs, Rows
from alearn.models.training.starts import default_start
from alearn.models.training.tail import Tail, arrays
from alearn.models.training.validation import softmax
from alearn.models.tuned import Tuned

POOL = 2000
"""Unlabeled items that are learned from, at most; there may be fewer."""
BATCH = 32
"""Items at once when speeds are measured."""


@dataclass(frozen=True)
class Recipe:
    """How to prune: the cut in `steps` of equal size; descent along `plan` after the last.

    The labels are dealt out over `parts`; `folds` of these are set aside in turn to judge. More folds are surer, and
    each takes as long as the pruning itself.
    """

    steps: int = 2
    plan: Plan = field(default_factory=lambda: Plan(epochs=2, rate=1e-4))
    parts: int = 4
    folds: int = 1


@dataclass(frozen=True)
class Step:
    """A share of channels that was cut, or the `tap` behind which blocks were dropped, and what the gate said of it."""

    ratio: float
    found: Comparison
    verdict: Verdict
    tap: str | None = None

    @property
    def said(self) -> str:
        """What was done, or refused, and why."""
        done = "cut" if self.verdict.accepted else "refused"
        what = f"{self.ratio:.0%} of the channels were {done}" if self.tap is None else f"Cut behind {self.tap}"
        return f"{what}: {self.verdict.reason}"


@dataclass(frozen=True, eq=False)
class Pruned:
    """What came of it: `tuned` after the last step that was accepted; None where none was, and the model stays.

    Where blocks were dropped, that is the first step, and `tuned.tap` is where the network ends now. `verdict` is the
    last word, for a person: accepted where the budget was reached. `after` is the cost of `tuned`, without one that of
    what was refused. `steps` say what the metric was on labels set aside.
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
    taps: Sequence[str] = (),
    groups: Groups = None,
    epochs: int | None = None,
    strength: float | None = None,
    metric: str,
    positive: int | None = None,
    tolerance: float,
    budget: Budget,
    recipe: Recipe | None = None,
    engine: str = "auto",
    seed: int,
    folder: Path,
    say: Say | None = None,
) -> Pruned:
    """Prune a model of the network `name` of the zoo, loaded for images of `size`.

    `labeled` are the pictures of the labels `y` (n,), class numbers, `x` (n, D) the network's embeddings of them, and
    `unlabeled` pictures of the pool. `taps` are earlier ones that a linear head's network may be cut behind; a tuned
    one is not. Labels of one of the `groups` are set aside together. A tuned model was trained for `epochs`, none: all
    of its plan. `strength` is that of linear heads, as in `fit_head`. A step is accepted where a metric of METRICS
    loses at most `tolerance`, all before it included. `engine` is the loop's `model.engine`, which says what device
    trains. The state is kept in `folder`, which its owner removes when the result is safe.

    Raises:
        ModelError: texts; no such tap; a model that is pruned already; torch-pruning is missing; the network has layers
            that cannot be thinned, cannot be exported, or cannot meet the budget; or there are too few labels to set
            some aside.
    """
    tied = None if groups is None else numbered(groups, len(y))
    run = _Run(
        _Subject(model, network, x), labeled, unlabeled, y, tied, epochs, strength,
        Gate(metric, positive, tolerance, seed), recipe or Recipe(), device(engine), seed, folder,
        say or (lambda _: None),
    )  # fmt: skip
    run.refuse_what_cannot_be_done()
    return run.pruned(taps, budget, name, size)


def _verdict(steps: Sequence[Step]) -> Verdict:
    """The last word on all steps: accepted where none was refused."""
    last = steps[-1]
    told = [one for one in steps if one.tap is not None]
    told += [one for one in steps if one.tap is None and one.verdict.accepted][-1:]
    said = [one.said for one in told]
    if not last.verdict.accepted:
        said = [*(said or ["Not pruned:"]), last.said]
    return Verdict(last.verdict.accepted, " ".join(said))


@dataclass(frozen=True, eq=False)
class _Subject:
    """A model, its network, and what that gives of the labels: embeddings `x` (n, D)."""

    model: Head | Tuned
    network: Network
    x: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Run:
    """What all parts of a pruning have in common."""

    subject: _Subject
    labeled: Inputs
    unlabeled: Inputs | None
    y: NDArray[np.intp]
    groups: NDArray[np.intp] | None
    epochs: int | None
    strength: float | None
    gate: Gate
    recipe: Recipe
    where: torch.device
    seed: int
    folder: Path
    say: Say

    def refuse_what_cannot_be_done(self) -> None:
        if self.subject.network.data != "image":
            raise ModelError(
                "Channels can be taken out of networks for images. This one is for texts. "
                "Choose an earlier tap instead: `alearn select` shows how good each is."
            )
        if isinstance(self.subject.model, Tuned) and self.subject.model.widths:
            raise ModelError("What is pruned must not be so already. This model is. Prune the one that it was made of.")
        counts = pieces(self.y, self.groups)
        if len(counts) < 2 or counts[1] < 2 * self.recipe.parts:
            raise ModelError(
                f"Pruning needs {2 * self.recipe.parts} labels of each of two classes, to set some aside. "
                f"The second most frequent class has {counts[1] if len(counts) > 1 else 0}. Label more first."
            )

    def pruned(self, taps: Sequence[str], budget: Budget, name: str, size: int | None) -> Pruned:
        """As short as one of the taps allows, and as thin as the budget wants; or as far as the gate lets it go."""
        short, dropped = self.shortened(taps) if taps and isinstance(self.subject.model, Head) else (self, [])
        original, teacher = (whole(one.subject.model, one.subject.network) for one in (self, short))
        example = {"pixels": self.labeled.take(np.arange(BATCH) % len(self.y))[0]}
        ratio = ratio_for(budget, teacher, example, "head", of=original if dropped else None)
        ratios = [ratio * step / self.recipe.steps for step in range(1, self.recipe.steps)] + [ratio]
        tried, steps = short.judged(ratios, self.subject) if ratio else (teacher, [])
        passed = [one.ratio for one in steps if one.verdict.accepted]
        if passed:
            course = short.course(teacher, np.arange(len(self.y)), "all")
            tried = [course.step(one, last=one == ratio) for one in passed][-1]
        elif dropped:
            tried = teacher
        before, after = costs([original, tried], example)
        tap, widths = dropped[0].tap if dropped else None, widths_of(tried) if passed else {}
        tuned = Tuned("whole", name, size, None, float(tried.temperature), widths, arrays(tried), tap)
        every = [*dropped, *steps]
        return Pruned(tuned if passed or dropped else None, before, after, every, _verdict(every))

    def shortened(self, taps: Sequence[str]) -> tuple[_Run, list[Step]]:
        """The run of a linear head behind the earliest of these taps that is good enough, and the step that this is.

        None is: this run, and no step.
        """
        network, y, classes = self.subject.network, self.y, self.subject.model.classes
        behind = embedded(network, taps, self.labeled, self.where)
        every = {**behind, network.chain.last: self.subject.x}
        found = probe(every, y, classes, self.gate, groups=self.groups, strength=self.strength, seed=self.seed)
        step = Step(0.0, found.found, found.verdict, found.tap)
        if not found.verdict.accepted:
            self.say(f"No blocks are dropped. {step.said}")
            return self, []
        self.say(step.said)
        head = fit_head(behind[found.tap], y, classes, seed=self.seed, strength=self.strength)
        return replace(self, subject=_Subject(head, network.upto(found.tap), behind[found.tap])), [step]

    def judged(self, ratios: Sequence[float], original: _Subject) -> tuple[Tail, list[Step]]:
        """What the gate says of each step, up to the first that it refuses; and the last student of the first fold.

        The students are compared with what the `original` would be without the labels that are set aside.
        """
        fold = deal(self.y, self.groups, self.recipe.parts, np.random.default_rng(self.seed))
        held = [np.flatnonzero(fold == number) for number in range(self.recipe.folds)]
        ways = [self._without(rows, number) for number, rows in enumerate(held)]
        were = [
            way.teacher if original is self.subject else self._teacher(original, rows, number)
            for number, (way, rows) in enumerate(zip(ways, held, strict=True))
        ]
        rows, steps = np.concatenate(held), list[Step]()
        before = self._proba(were, held)
        for ratio in ratios:
            students = [way.step(ratio, last=ratio == ratios[-1]) for way in ways]
            groups = None if self.groups is None else self.groups[rows]
            found = self.gate.judge(self.y[rows], before, self._proba(students, held), groups)
            steps.append(Step(ratio, *found))
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
        model, network = self.subject.model, self.subject.network
        start = model.start if isinstance(model, Tuned) else None
        start = start or default_start(network)
        first = 0 if start is None else network.chain.place(start) + 1
        given = lesson(teacher, parts, self.where)
        return Course(teacher, given, first, self.recipe.plan, self.seed, self.folder, name, self.say)

    def _without(self, held: Rows, number: int) -> Course:
        """The way of a model that has not seen some rows."""
        rows = np.setdiff1d(np.arange(len(self.y)), held)
        return self.course(self._teacher(self.subject, held, number), rows, f"fold-{number}")

    def _teacher(self, subject: _Subject, held: Rows, number: int) -> Tail:
        """What a model would be, had it not seen some rows."""
        return without(
            subject.model,
            subject.network,
            self.labeled,
            subject.x,
            self.y,
            rows=np.setdiff1d(np.arange(len(self.y)), held),
            epochs=self.epochs,
            strength=self.strength,
            seed=self.seed,
            where=self.where,
            checkpoint=self.folder / f"teacher-{number}.safetensors",
            report=lambda epoch, loss, _: self.say(f"fold {number + 1}: unpruned, epoch {epoch}, loss {loss:.3f}"),
        )

    def _proba(self, tails: Sequence[Tail], held: Sequence[Rows]) -> NDArray[np.float32]:
        """What each says of its rows, one below the other."""
        return np.concatenate(
            [softmax(outputs(one, self.labeled, rows, self.where)) for one, rows in zip(tails, held, strict=True)]
        )
