"""Every error that alearn raises on purpose.

    AlearnError                 what a user can cause or mend; the CLI prints it and exits with code 2
    ├── ConfigError             the YAML file, or an option, is wrong
    ├── DataError               an item source or an item cannot be used
    │   └── Unreachable         item storage does not answer now; the loop stops, and goes on when started again
    ├── ModelError              a pretrained network or a model folder cannot be used
    ├── StrategyError           a query strategy cannot run on what it was given
    ├── StoreError              the database or the blob folder cannot be used
    │   └── LeaseLost           another controller owns the loop; what this one wanted to write was refused
    └── PlatformError           the annotation platform
        ├── Unavailable         it does not answer now; the controller tries again with backoff
        └── Refused             it answered no; the controller reports and stops what it must

Every message is one sentence shape: what, whose, allowed, got, next step.
"""

from __future__ import annotations


class AlearnError(Exception):
    """The root of what a user can cause; its text is written for that user."""


class ConfigError(AlearnError):
    """A configuration value is missing, unknown or out of range."""


class DataError(AlearnError):
    """An item source or an item cannot be read or used."""


class Unreachable(DataError):  # noqa: N818 - the state is the name
    """Item storage does not answer now; trying again later may succeed. Nothing is known of the item."""


class ModelError(AlearnError):
    """A pretrained network, its weights, or an exported model folder cannot be used."""


class StrategyError(AlearnError):
    """A query strategy is unknown or cannot run on what it was given."""


class StoreError(AlearnError):
    """The database or the blob folder cannot be used."""


class LeaseLost(StoreError):  # noqa: N818 - the event is the name
    """The loop is owned by another controller."""


class PlatformError(AlearnError):
    """The annotation platform did not do what was asked."""


class Unavailable(PlatformError):  # noqa: N818 - the state is the name
    """The platform does not answer now; trying again later may succeed."""


class Refused(PlatformError):  # noqa: N818 - the answer is the name
    """The platform answered no; trying again unchanged will not succeed."""
