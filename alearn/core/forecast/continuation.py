"""The continuation of a learning curve, as many curves that it may take.

All forms of `forms` are fitted to the rounds there are, later rounds counting more, and drawn from by how well they fit
(the Bayesian average over forms, level, rise and noise). Beyond the last round every curve also drifts away from its
form at random, because no form is true: by a share of the noise for each doubling of the labels.

Invariant: a curve never leaves [0, 1], never falls but for its drift, and the same rng gives the same forecast.

Source: the conjugate linear model under each form (Gelman et al., Bayesian Data Analysis, chapter 14); Domhan et al.,
Speeding up Automatic Hyperparameter Optimization by Extrapolation of Learning Curves, 2015. RECENT, DRIFT and BELIEF
are tuned by benchmarks/forecast.py on seeds that its report leaves out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.curves import Curve
from alearn.core.forecast.certainty import Growth
from alearn.core.forecast.forms import Form, forms
from alearn.core.forecast.outlook import Outlook, Range, range_of

Floats = NDArray[np.float64]

FEWEST = 5
"""Rounds below which a curve has no direction."""
RECENT = 1.5
"""A round with half the labels counts 2 ** -RECENT as much as the last one."""
DRIFT = 2.0
"""Standard deviation of the drift over one doubling of the labels, in units of the noise of a round."""
LEAST_NOISE = 1e-3
"""No round is more exact than this, in units of the metric."""
DRAWS = 1000
GRID = 200
"""Numbers of labels between now and the end of the pool at which a level may be reached."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """What the curve may do from its `last` labels and the value `now` on that the fitted curves give it.

    Draw s is `level[s] - rise[s] * form` of form `which[s]`, scaled to go from 1 at the first round to 0 at the last;
    `drift` (S,) are standard normal, `noise` (S,) is a round's. All (S,). `shift` (S,) is what all rounds together may
    be wrong by: the hold-out's own luck.
    """

    last: float
    now: float
    grid: tuple[Form, ...]
    scale: Floats
    which: NDArray[np.intp]
    level: Floats
    rise: Floats
    drift: Floats
    noise: Floats
    shift: Floats

    def value(self, labels: float) -> Range:
        """The metric that a round with so many labels would measure, noise and all; `labels` not below the last."""
        return range_of(self._measured(np.array([labels]))[:, 0])

    def gain(self, more: int) -> Range:
        """What `more` labels than now would add to the metric, noise left aside; near 0 on a plateau."""
        there = self._curves(np.array([self.last, self.last + more]))
        return range_of(there[:, 1] - there[:, 0])

    def outlook(self, level: float, pool: int, growth: Growth | None = None) -> Outlook:
        """How many more labels it takes until a round measures `level`, of a pool that holds `pool` more.

        With the `growth` of the hold-out: until a round measures so much that `level` is certain; the labels that the
        hold-out gets meanwhile come on top.
        """
        more = np.unique(np.concatenate([[0.0], np.geomspace(1, max(pool, 1), GRID), [float(max(pool, 0))]]))
        more = more[more <= pool]
        needed = np.full(len(more), level) if growth is None else growth.level(level, self.last + more)
        there = self._measured(self.last + more) >= needed
        found = np.where(there.any(axis=1), more[there.argmax(axis=1)], math.inf)
        far = Outlook(self.now, level, range_of(found), float(np.isfinite(found).mean()), pool)
        return far if growth is None else self._certain(far, growth)

    def _certain(self, far: Outlook, growth: Growth) -> Outlook:
        """With what has to be measured, and the hold-out's labels, when it is certain or the pool is empty."""
        median = far.labels.median
        last = self.last + (median if math.isfinite(median) else far.pool)
        measured = float(growth.level(far.level, last))
        if median <= 0:
            return replace(far, measured=measured, holdout=growth.missing(self.now, far.level, last))
        return replace(far, measured=measured, holdout=int(growth.labels(last)) - growth.interval.n)

    def _measured(self, labels: Floats) -> Floats:
        """What a round would measure on each draw: the curve and a round's noise, which is not its drift, (S, L)."""
        within: Floats = np.clip(self._curves(labels) + (self.noise * np.roll(self.drift, 1))[:, None], 0, 1)
        return within

    def _curves(self, labels: Floats) -> Floats:
        """Each draw at each number of labels, (S, L)."""
        forms_ = np.array([one.falling(labels) for one in self.grid])
        end, span = self.scale
        curves: Floats = (
            self.level[:, None] - self.rise[:, None] * ((forms_ - end[:, None]) / span[:, None])[self.which]
        )
        doublings = np.log2(np.maximum(labels / self.last, 1))
        drifted = curves + DRIFT * (self.noise * self.drift)[:, None] * doublings + self.shift[:, None]
        within: Floats = np.clip(drifted, 0, 1)
        return within


def forecast(curve: Curve, *, rng: np.random.Generator, error: ArrayLike | None = None) -> Forecast | None:
    """Fit (labels, value) points of a metric in [0, 1] that is better when higher; None below five rounds to go by.

    `error` (rounds,) are standard errors of the values. The rounds share a hold-out, so they do not only weigh them:
    the last one is also what the whole curve may be off by. None: the hold-out's luck is left out, and the forecast is
    of what this hold-out will measure. Points that are NaN, or have no labels, are left out.
    """
    points = np.array([(labels, value) for labels, value in curve], dtype=np.float64).reshape(-1, 2)
    off = np.zeros(len(points)) if error is None else np.asarray(error, dtype=np.float64)
    kept = np.isfinite(points).all(axis=1) & (points[:, 0] > 0) & np.isfinite(off)
    labels, values, off = points[kept, 0], points[kept, 1], off[kept]
    if len(np.unique(labels)) < FEWEST:
        return None
    grid = tuple(forms(float(labels[-1])))
    shapes = np.array([one.falling(labels) for one in grid])
    end, span = shapes[:, -1], shapes[:, 0] - shapes[:, -1]
    usable = span > 1e-9 * np.abs(shapes[:, 0])
    grid = tuple(one for one, use in zip(grid, usable, strict=True) if use)
    shapes, end, span = shapes[usable], end[usable], span[usable]
    fitted = _fit((shapes - end[:, None]) / span[:, None], values, _weights(labels, off))
    ends = (np.array([one.end for one in grid]) - end) / span
    which, level, rise, noise = _drawn(fitted, np.array([one.weight for one in grid]), ends, rng)
    drift, luck = rng.standard_normal((2, len(which)))
    now = float(np.clip(np.median(level), 0, 1))
    scale = np.array([end, span])
    return Forecast(float(labels[-1]), now, grid, scale, which, level, rise, drift, noise, luck * off[-1])


def _weights(labels: Floats, off: Floats) -> Floats:
    """How much each round counts, with mean 1: later ones more, and those that were measured on fewer items less."""
    weights = (labels / labels[-1]) ** RECENT
    if np.any(off > 0):
        weights = weights / np.maximum(off / max(off[-1], LEAST_NOISE), 1) ** 2
    found: Floats = weights / weights.mean()
    return found


@dataclass(frozen=True, eq=False)
class _Fit:
    """Weighted least squares of values on each form, (F,): `misfit` is the sum of squares that is left.

    `ones`, `sums` and `squares` are the moments of the form, `spread` the determinant that they make.
    """

    level: Floats
    rise: Floats
    misfit: Floats
    spread: Floats
    ones: float
    sums: Floats
    squares: Floats
    rounds: int


def _fit(shapes: Floats, values: Floats, weights: Floats) -> _Fit:
    """level - rise * shape to values (n,) for each shape, (F, n)."""
    ones, sums, squares = float(weights.sum()), shapes @ weights, shapes**2 @ weights
    value, product = float(weights @ values), shapes @ (weights * values)
    spread = ones * squares - sums**2
    rise = (sums * value - ones * product) / spread
    level = (value + rise * sums) / ones
    left = values - (level[:, None] - rise[:, None] * shapes)
    misfit = left**2 @ weights + len(values) * LEAST_NOISE**2
    return _Fit(level, rise, misfit, spread, ones, sums, squares, len(values))


def _drawn(
    fit: _Fit, belief: Floats, ends: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Floats, Floats, Floats]:
    """(form, level, rise, noise) of curves that rise and end below 1, (S,) each.

    `ends` (F,) are the forms' ends in units of their rise, minus infinity where they have none: such a curve is cut
    off at 1. Where hardly any curve is as it should be the flat one through the last level is what is left.
    """
    free = fit.rounds - 2
    likely = np.log(belief) - np.log(fit.spread) / 2 - free / 2 * np.log(fit.misfit)
    chance = np.exp(likely - likely.max())
    which = rng.choice(len(belief), 4 * DRAWS, p=chance / chance.sum())
    noise = np.sqrt(fit.misfit[which] / rng.chisquare(free, len(which)))
    first, second = rng.standard_normal((2, len(which)))
    rise = fit.rise[which] + noise * np.sqrt(fit.ones / fit.spread[which]) * first
    tied = fit.sums[which] / fit.ones * (rise - fit.rise[which])
    level = fit.level[which] + tied + noise / math.sqrt(fit.ones) * second
    end = np.where(np.isfinite(ends[which]), level - rise * np.where(np.isfinite(ends), ends, 0)[which], level)
    fine = np.flatnonzero((rise >= 0) & (level <= 1) & (end <= 1))
    if len(fine) < DRAWS // 10:
        level, rise, fine = np.minimum(level - tied, 1), np.zeros_like(rise), np.arange(len(which))
    kept = np.resize(fine, DRAWS)
    return which[kept], level[kept], rise[kept], noise[kept]
