"""What is said of a wrong file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from alearn.config.loop import Config
from alearn.config.secrets import masked, masked_text
from alearn.config.sections import Section


def sentence(fault: Mapping[str, Any], name: str) -> str:
    """One of pydantic's faults in the words of this project, without what must not be shown."""
    return masked_text(_sentence(fault, name))


def _sentence(fault: Mapping[str, Any], name: str) -> str:
    at = ".".join(str(part) for part in fault["loc"]) or "the file"
    message = str(fault["msg"]).removeprefix("Value error, ").rstrip(".")
    if fault["type"] == "extra_forbidden":
        return f"`{at}` in {name} is not a key that alearn knows{_near(fault['loc'])}. Remove or correct it."
    if fault["type"] == "missing":
        return f"`{at}` in {name} is missing and has no default. Add it."
    if fault["type"] == "value_error":
        return "\n".join(
            f"{name}: {line}." if line[0] == "`" else f"`{at}` in {name} {line}." for line in message.split("\n")
        )
    got = repr(masked(fault["input"]))
    return f"`{at}` in {name}: {message[:1].lower()}{message[1:]}. Got {got}. {_default(fault['loc'])}"


def _section(parts: tuple[Any, ...]) -> type[BaseModel] | None:
    """The model in which the last of the parts is, or should be, a field."""
    model: type[BaseModel] = Config
    for part in parts[:-1]:
        field = model.model_fields.get(str(part))
        inner = (
            [kind for kind in (field.annotation, *getattr(field.annotation, "__args__", ())) if field] if field else []
        )
        sections = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, Section)]
        if not sections:
            return None
        model = sections[0]
    return model


def _near(parts: tuple[Any, ...]) -> str:
    """The known keys beside an unknown one."""
    model = _section(parts)
    return f"; known here are {', '.join(model.model_fields)}" if model else ""


def _default(parts: tuple[Any, ...]) -> str:
    """What to do about a wrong value."""
    model = _section(parts)
    field = model.model_fields.get(str(parts[-1])) if model and parts else None
    if field is None or field.is_required():
        return "Correct it."
    if field.default is None:
        return "Correct it, or remove the line."
    return f"Correct it, or remove the line for the default, {field.default}."
