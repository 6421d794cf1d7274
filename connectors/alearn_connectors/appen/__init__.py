"""Appen (ADAP) as an annotation platform: contributors who are paid by the page.

Both generations of its API are behind the same door: `v1` with jobs, `v3` with projects. Items become rows that carry
their key in the column `alearn_id`; a share of the items with a known answer become test questions; judgments with
their contributor's trust come back as annotations, those of contributors whom Appen removed are left out.

A row cannot be moved once it was sent: rows are judged in about the order in which they came, so that the order of a
queue holds for the rows that are new in it. Suggestions are not shown.

Rows are launched only with the option `cap_cents`, and never beyond it. Written after Appen's documentation and tested
against `alearn.testing.Appen`, a stand-in; it has never been run against the live service.
"""

from __future__ import annotations

from alearn.platform import Platform, Setting
from alearn_connectors.appen.crowd import AppenPlatform
from alearn_connectors.appen.options import read_options

__all__ = ["AppenPlatform", "open"]


def open(setting: Setting) -> Platform:
    """Appen for this loop; raises ConfigError for wrong options."""
    return AppenPlatform(setting, read_options(setting))
