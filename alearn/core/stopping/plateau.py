"""Whether more labels would still be worth asking for: the forecast gain of the next ones.

Invariant: a curve that cannot be forecast yet is no plateau; doubt speaks for going on.
"""

from __future__ import annotations

from alearn.core.forecast import Forecast
from alearn.core.stopping.decision import Decision


def plateau(forecast: Forecast | None, ahead: int, least: float) -> Decision:
    """Stop when `ahead` more labels would gain less than `least`, in units of the metric, and that is likely.

    Likely: the upper end of the forecast's 80 % interval of the gain lies below `least`, so that nine forecasts of ten
    do. None: too few rounds to tell.
    """
    if forecast is None:
        return Decision(False, "go", "too few rounds to forecast what more labels would gain")
    gain = forecast.gain(ahead)
    told = f"{ahead} more labels would gain about {gain.median:.3f} ({gain.low:.3f} to {gain.high:.3f})"
    if gain.high < least:
        return Decision(True, "plateau", f"{told}, less than {least:g}")
    return Decision(False, "go", told)
