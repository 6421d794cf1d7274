"""The ladder: linear head, last blocks, whole network; a rung is climbed only where it pays.

Invariant: what is reached follows from the arguments alone, and a climb that was killed goes on and ends at the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alearn.core.metrics import Proba
from alearn.errors import ModelError
from alearn.models.folds import Groups
from alearn.models.head import Head, item_weights
from alearn.models.networks import Network
from alearn.models.training import device
from alearn.models.training.fitting import Plan, fit
from alearn.models.training.inputs import Inputs
from alearn.models.training.starts import behind, default_start, starts
from alearn.models.training.tail import arrays
from alearn.models.training.validation import Attempt, Lesson, Progress, Unseen, cross_validated, lesson, told
from alearn.models.training.verdict import Comparison, Verdict, compare, too_few
from alearn.models.tuned import Rung, Tuned

TRIED: Mapping[str, tuple[Rung, ...]] = {"linear": (), "blocks": ("blocks",), "whole": ("blocks", "whole")}
"""The rungs above the linear head, from the cheapest to the dearest, by the top that is asked for; the blocks may be
tried in several steps, `starts`."""

PLANS: dict[Rung, Plan] = {"blocks": Plan(epochs=10, rate=5e-4), "whole": Plan(epochs=6, rate=3e-4)}
"""How the rungs are trained.

For the last blocks behind block13 of EfficientNet-Lite0, on one split of 1,500 solar cells at 160 px, four views, this
gives an average precision of .877; mixing items .869, dropout before the head .875, smoothed labels .865, thirty times
the weight decay .875.
"""


@dataclass(frozen=True, eq=False)
class Climb:
    """Where a climb ended: the rung, its model, and what was found out about each rung above the linear head."""

    rung: str
    model: Head | Tuned
    verdicts: tuple[Verdict, ...]

    @property
    def reached(self) -> Verdict | None:
        """The verdict on what was reached; None: the linear head."""
        return next((one for one in reversed(self.verdicts) if one.climbed), None)


@dataclass(frozen=True, eq=False)
class Ground:
    """The network that is trained: its name in the zoo, the size of its images, how to load it, and its items.

    `prepared` makes the items as `serving.feed` takes them; `stored` makes their activations behind a tap where these
    are kept, None: they are computed. Both are called only when they are needed; row i is the label i. `engine` is the
    loop's `model.engine`, which says where training happens (`device.device`).
    """

    name: str
    size: int | None
    network: Callable[[], Network]
    prepared: Callable[[], Inputs]
    stored: Callable[[str], Inputs] | None = None
    engine: str = "auto"


def climb(
    head: Head,
    x: NDArray[np.float32],
    y: NDArray[np.intp],
    ground: Ground,
    *,
    top: str,
    metric: str,
    positive: int | None = None,
    groups: Groups = None,
    folds: int = 3,
    strength: float | None = None,
    seed: int,
    checkpoint: Path,
    report: Progress | None = None,
) -> Climb:
    """Climb from a linear head, trained on embeddings `x` (n, D) and class numbers `y` (n,), to `top` at most.

    `top` is a key of TRIED. A rung is climbed when a metric of METRICS is better than on the rung below by more than
    its standard error, by k-fold cross-validation on the same labels, whole `groups` at a time; the first that does not
    pay, or fails, is the last that is tried. `strength` is that of linear heads, as in `fit_head`. The state is kept in
    the folder `checkpoint`, which its owner removes when the result is safe.
    """
    given = lesson(x, y, head.weights.shape[1], groups=groups, folds=folds, seed=seed, strength=strength)
    tried = TRIED[top]
    if not tried or (few := too_few(y, folds, groups)):
        return Climb("linear", head, tuple(Verdict(rung, False, f"Not tried: {few}") for rung in tried))
    against = partial(compare, metric, y, fold=given.fold, groups=groups, positive=positive, seed=seed)
    steps = _Steps(ground, ground.network(), given, against, checkpoint, report)
    reached, below, verdicts = Climb("linear", head, ()), given.linear(), []
    for rung, start in steps.all(tried):
        step = steps.take(rung, start, below)
        verdicts.append(step.verdict)
        if step.model is not None:
            reached, below = Climb(rung, step.model, ()), step.proba
        elif step.tried:
            break
    return replace(reached, verdicts=tuple(verdicts))


@dataclass(frozen=True, eq=False)
class _Step:
    """What came of trying a rung: without a model it was not climbed; `proba` are of unseen labels, (n, C)."""

    verdict: Verdict
    model: Tuned | None
    proba: Proba
    tried: bool = True


@dataclass(frozen=True, eq=False)
class _Steps:
    """What all rungs have in common."""

    ground: Ground
    network: Network
    given: Lesson
    against: Callable[[Proba, Proba], Comparison]
    folder: Path
    report: Progress | None

    def all(self, rungs: Sequence[Rung]) -> Iterator[tuple[Rung, str | None]]:
        """Each rung with the taps that it may begin behind."""
        for rung in rungs:
            taps = starts(self.network) if rung == "blocks" else ()
            yield from ((rung, start) for start in taps or (None,))

    def take(self, rung: Rung, start: str | None, below: Proba) -> _Step:
        """Try a rung; one that fails leaves what is below as it is."""
        if rung == "blocks" and start is None:
            why = f"Not tried: {self.ground.name} cannot be cut at a tap, so that it has no last blocks."
            return _Step(Verdict(rung, False, why), None, below, tried=False)
        started = time.perf_counter()
        try:
            attempt = attempt_at(rung, start, self.ground, self.network)
            given = attempt.standing_on(self.given)
            unseen = cross_validated(attempt, given, self.folder, self.report)
            found = self.against(below, unseen.proba)
            model = self._trained(attempt, given, unseen) if found.pays else None
        except ModelError as error:
            return _Step(Verdict(rung, False, f"Failed: {error}", start=start), None, below)
        seconds = time.perf_counter() - started
        verdict = Verdict(rung, found.pays, found.reason, found, attempt.start, unseen.epochs, seconds)
        return _Step(verdict, model, unseen.proba)

    def _trained(self, attempt: Attempt, given: Lesson, unseen: Unseen) -> Tuned:
        return _of_all(
            attempt,
            given,
            self.ground,
            epochs=unseen.epochs,
            temperature=unseen.temperature,
            folder=self.folder,
            report=self.report,
        )


def attempt_at(rung: Rung, start: str | None, ground: Ground, network: Network) -> Attempt:
    """What is trained on a rung, behind `start`; None: from the input."""
    where = device.device(ground.engine)
    if start is None:
        return Attempt(rung, network, None, ground.prepared(), PLANS[rung], where)
    inputs = ground.stored(start) if ground.stored else behind(network, ground.prepared(), start, where=where)
    return Attempt(rung, network, start, inputs, PLANS[rung], where)


def stay(
    x: NDArray[np.float32],
    y: NDArray[np.intp],
    classes: int,
    ground: Ground,
    *,
    rung: Rung,
    start: str | None = None,
    epochs: int,
    temperature: float,
    seed: int,
    strength: float | None = None,
    checkpoint: Path,
    report: Progress | None = None,
) -> Tuned:
    """Train on a rung that an earlier climb reached, on more labels, with the epochs and the temperature found then.

    `start` is the tap that its verdict names; none: the whole network, or the cheapest last blocks.

    Raises:
        ModelError: the network cannot be cut any more, or the loss is no number.
    """
    network = ground.network()
    if rung == "blocks" and start is None and (start := default_start(network)) is None:
        raise ModelError(f"{ground.name} must have a tap for its last blocks. It has none now. Train a new version.")
    attempt = attempt_at(rung, start, ground, network)
    given = attempt.standing_on(lesson(x, y, classes, folds=3, seed=seed, strength=strength))
    return _of_all(attempt, given, ground, epochs=epochs, temperature=temperature, folder=checkpoint, report=report)


def _of_all(
    attempt: Attempt,
    given: Lesson,
    ground: Ground,
    *,
    epochs: int,
    temperature: float,
    folder: Path,
    report: Progress | None,
) -> Tuned:
    """The tail of all labels, trained for so many epochs."""
    every = np.arange(len(given.y))
    module, plan = attempt.tail(given.head(every)), replace(attempt.plan, stop=epochs)
    fit(
        module,
        attempt.inputs,
        given.y,
        rows=every,
        weights=item_weights(given.y, given.classes),
        plan=plan,
        seed=given.seed,
        where=attempt.where,
        checkpoint=folder / f"{attempt.name}.safetensors",
        report=told(report, f"Training {attempt.name}, all labels", plan),
    )
    return Tuned(attempt.rung, ground.name, ground.size, attempt.start, temperature, tensors=arrays(module))
