"""Which of the hubs' weights are on this machine now, told from the folders that their libraries download into.

Nothing of those libraries is imported for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def torch_files() -> dict[str, Path]:
    """The files of weights in torch.hub's folder, by name."""
    home = os.environ.get("TORCH_HOME") or _cache() / "torch"
    folder = Path(home).expanduser() / "hub/checkpoints"
    return {path.name: path for path in _listed(folder) if path.is_file()}


def hugging_face_repositories() -> dict[str, Path]:
    """The newest file of weights of each repository in the cache of huggingface_hub, by the repository's name."""
    home = Path(os.environ.get("HF_HOME") or _cache() / "huggingface").expanduser()
    folder = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    found = {}
    for repository in _listed(folder):
        kind, _, name = repository.name.partition("--")
        weights = [path for path in repository.glob("snapshots/*/*") if path.name in _WEIGHTS and path.is_file()]
        if kind == "models" and weights:
            found[name.replace("--", "/")] = max(weights, key=lambda path: path.stat().st_mtime)
    return found


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def _listed(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.iterdir()) if folder.is_dir() else ()
