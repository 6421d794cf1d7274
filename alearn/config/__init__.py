"""The YAML file of a loop, as values that cannot be wrong.

Invariant: a `Config` that exists is valid; every range and every default is written in a field of `sections` or `loop`,
and only there, and `alearn config schema` prints them for editors. Unknown keys are errors, so a typing mistake never
becomes a default. A password is in the values that the loop uses, and in nothing that is shown.
"""

from __future__ import annotations

from alearn.config.file import dump, load, parse
from alearn.config.loop import Config
from alearn.config.secrets import masked
from alearn.config.sections import ItemSpec, Section

__all__ = ["Config", "ItemSpec", "Section", "dump", "load", "masked", "parse"]
