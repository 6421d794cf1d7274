"""Reading the file, and writing it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from alearn.config.faults import sentence
from alearn.config.loop import Config
from alearn.config.variables import Filling, Place
from alearn.errors import ConfigError


def load(path: Path | str) -> Config:
    """Read and check the file of a loop.

    `${NAME}` and `${NAME:-default}` in strings are filled in from the environment.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds a wrong key, type or value; every fault is named.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"The config must be an existing file. Got {path}. `alearn init` writes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Correct the path or the file.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is not YAML: {_place(error)}. Correct it there.") from None
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path.name} must hold keys and values at its top. Got {type(raw).__name__}. See `alearn init`."
        )
    return parse(raw, name=path.name, folder=path.resolve().parent)


def parse(raw: Mapping[str, Any], *, name: str, folder: Path) -> Config:
    """Check what a file called `name` in `folder` holds; raises ConfigError as `load` does."""
    filling = Filling()
    values = filling.fill(raw)
    if filling.missing:
        raise ConfigError("\n".join(_unset(variable, name) for variable in dict.fromkeys(filling.missing)))
    try:
        return Config.of(values, folder=folder, texts=filling.texts)
    except ValidationError as error:
        faults = [sentence(dict(fault), name) for fault in error.errors()]
        raise ConfigError("\n".join(faults)) from None


def dump(config: Config, *, name: str, home: str) -> str:
    """The YAML of the same loop under another name and home, for a file in any folder.

    Every default is written out and the item source's path is absolute. Texts with variables stay as they were
    written, so that a password that is in the environment remains there only.
    """
    raw = config.model_dump(mode="json", exclude_none=True)
    raw["store"] = {} if config.store.url is None else {"url": config.store.url}
    raw["platform"]["options"] = dict(config.platform.options)
    for place, text in config.texts.items():
        _put(raw, place, text)
    if config.source is not config.items:
        raw["items"]["path"] = config.source.path
    return yaml.safe_dump({**raw, "name": name, "home": home}, sort_keys=False, allow_unicode=True, width=120)


def _put(raw: Any, place: Place, text: str) -> None:
    *way, last = place
    for step in way:
        raw = raw[step]
    raw[last] = text


def _unset(variable: str, name: str) -> str:
    return (
        f"{name} needs the environment variable {variable}. It is not set. Set it, or write ${{{variable}:-default}}."
    )


def _place(error: yaml.YAMLError) -> str:
    """Where the file stops being YAML and why, without the text that stands there."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    mark = error.problem_mark
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{error.problem or error.context}{where}"
