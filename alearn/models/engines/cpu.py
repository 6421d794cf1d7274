"""This machine's processor: its name and what it can do, where the system says so."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})
"""Flags of processors that compute in bfloat16; the last is ARM's."""

SOURCE = Path("/proc/cpuinfo")
"""Where Linux says it; elsewhere there is none."""


def name() -> str:
    """The processor's model, as people know it."""
    return _said(SOURCE).get("model name") or platform.processor() or platform.machine()


def flags() -> frozenset[str]:
    """Its instruction sets, as Linux names them; empty where they are not known."""
    said = _said(SOURCE)
    return frozenset((said.get("flags") or said.get("Features") or "").split())


def identity() -> str:
    """What tells processors apart that are not equally fast: virtual machines give several the same name."""
    said = _said(SOURCE)
    return " ".join([name(), said.get("cpu family", ""), said.get("model", ""), *sorted(flags())])


@cache
def _said(source: Path) -> dict[str, str]:
    try:
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {field.strip(): said.strip() for field, _, said in pairs}
