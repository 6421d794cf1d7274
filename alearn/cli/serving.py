"""`alearn serve`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from alearn.cli import Interrupted
from alearn.config import load
from alearn.errors import ConfigError


def serve_loops(paths: Sequence[Path], *, host: str, port: int, address: str) -> None:
    """Serve the loops of these configs; a folder stands for the YAML files in it."""
    try:
        from alearn.server import serve
    except ImportError as error:
        raise ConfigError(
            f"`alearn serve` needs the extra `serve`. {error.name} is not installed. Run pip install 'alearn[serve]'."
        ) from error
    files = [file for path in paths for file in _files(path)]
    configs = [load(file) for file in files]
    sys.stderr.write(f"Serving {', '.join(one.name for one in configs)} on http://{host}:{port}; Ctrl-C stops\n")
    try:
        serve(configs, host=host, port=port, address=address)
    except Interrupted:  # how a service is stopped: it has ended well
        sys.stderr.write("alearn: stopped. Nothing is lost. The same command goes on.\n")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    if not found:
        raise ConfigError(f"{path} must hold the YAML files of loops. Got none. `alearn init` writes one.")
    return found
