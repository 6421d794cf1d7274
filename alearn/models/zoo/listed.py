"""What is said of a network that can be named."""

from __future__ import annotations

from dataclasses import dataclass

from alearn.core.schema import DataKind


@dataclass(frozen=True)
class Listed:
    """A row of the catalogue.

    `parameters` (0: not known before it is loaded) and `weights_mb`, what is downloaded, count the classifier of a
    hub's network, too. `checksum` is the SHA-256 of the weights or its beginning; None: not published. `size` is the
    side of the images in pixels unless a config says otherwise. `offline`: the weights are on this machine now.
    """

    name: str
    data: DataKind
    parameters: int
    weights_mb: float
    licence: str
    source: str
    checksum: str | None
    size: int | None
    offline: bool
