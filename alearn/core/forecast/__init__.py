"""Where a learning curve is going: what the next labels will gain, and how many it takes to a target.

Invariant: pure; every number comes with its interval, and what lies out of reach is said to be so.
"""

from __future__ import annotations

from alearn.core.forecast.certainty import Growth, holdout_to_pass, level_to_pass, worth
from alearn.core.forecast.continuation import Forecast, forecast
from alearn.core.forecast.outlook import Outlook, Range

__all__ = ["Forecast", "Growth", "Outlook", "Range", "forecast", "holdout_to_pass", "level_to_pass", "worth"]
