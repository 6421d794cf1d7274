"""The forms that learning curves take: how what is still missing shrinks with labels.

Each form falls with the labels n; a curve is `level - rise * form`, the same line for all of them, so that fitting one
is two sums over the points. What does not enter as a line (an exponent, a scale) is tried on a grid.

Invariant: forms are strictly falling in n > 0; `end` is where they go as n grows without end.

Source: Viering & Loog, The Shape of Learning Curves: a Review, 2023; Mohr et al., LCDB 1.0, 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Form:
    """One falling form: `family` names its kind, `weight` is how far it is believed before a point is seen."""

    family: str
    falling: Callable[[Floats], Floats]
    end: float
    weight: float


BELIEF = {"power": 1.0, "logarithmic": 0.5, "logistic": 0.3, "stretched": 0.3, "exponential": 0.05}
"""How far each family is believed before a point is seen.

Power laws are the usual case. An exponential ends early, and is what an unlucky start looks like.
"""


def power(n: Floats, exponent: float) -> Floats:
    """n ** -exponent."""
    found: Floats = n**-exponent
    return found


def logarithmic(n: Floats) -> Floats:
    """-log n, which has no end."""
    found: Floats = -np.log(n)
    return found


def logistic(n: Floats, half: float, steepness: float) -> Floats:
    """1 / (1 + (n / half) ** steepness): a logistic curve over log n."""
    found: Floats = 1 / (1 + (n / half) ** steepness)
    return found


def stretched(n: Floats, scale: float, exponent: float) -> Floats:
    """exp(-(n / scale) ** exponent), Weibull's; an exponential where the exponent is 1."""
    found: Floats = np.exp(-((n / scale) ** exponent))
    return found


def forms(last: float) -> list[Form]:
    """Every form on the grid, its scales around the `last` labels; the weights of a family sum to its belief."""
    found = list(_grid(last))
    sizes = {name: sum(1 for one, _, _ in found if one == name) for name in BELIEF}
    return [Form(name, falling, end, BELIEF[name] / sizes[name]) for name, falling, end in found]


def _grid(last: float) -> Iterator[tuple[str, Callable[[Floats], Floats], float]]:
    for exponent in np.geomspace(0.1, 2.5, 16):
        yield "power", partial(power, exponent=float(exponent)), 0.0
    yield "logarithmic", logarithmic, -math.inf
    for half in last * np.geomspace(0.03, 3, 10):
        for steepness in (0.5, 0.75, 1.0, 1.5, 2.0, 3.0):
            yield "logistic", partial(logistic, half=float(half), steepness=steepness), 0.0
    for scale in last * np.geomspace(0.01, 5, 12):
        for exponent in (0.3, 0.5, 0.7):
            yield "stretched", partial(stretched, scale=float(scale), exponent=exponent), 0.0
    for scale in last * np.geomspace(0.08, 5, 16):
        yield "exponential", partial(stretched, scale=float(scale), exponent=1.0), 0.0
