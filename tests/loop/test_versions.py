"""Versions that are made current again, and networks that are chosen on the loop's own labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alearn.config import Config
from alearn.errors import ModelError
from alearn.loop.controller import holding, run
from alearn.loop.export import export_model_of
from alearn.loop.plan import Step
from alearn.loop.undertaking import Undertaking, opened
from alearn.loop.versions import find, place

Make = Callable[..., Config]


@pytest.fixture
def ended(config: Make) -> Iterator[Undertaking]:
    """A loop that has spent its budget over two rounds."""
    with opened(config()) as loop:
        assert run(loop).step is Step.DONE
        yield loop


def test_an_older_version_is_made_current_measured_and_exported(ended: Undertaking, tmp_path: Path) -> None:
    """By a round of its own, which stays although a newer version is known; what is exported is that version."""
    first, *_, last = ended.store.rounds.versions()
    with holding(ended):
        number = place(ended, find(ended, first.key[:10]))
    assert run(ended).step is Step.DONE
    row, metrics = ended.store.rounds.history()[-1]
    assert (row.number, row.version, row.placed) == (number, first.key, True)
    assert metrics["accuracy"].value is not None
    for version in (first, last):
        folder = export_model_of(ended, tmp_path / version.key[:6], version.key)
        assert json.loads((folder / "alearn.json").read_text())["training"]["version"] == version.key


def test_a_placed_version_gives_way_to_new_labels(config: Make, ended: Undertaking) -> None:
    """The next batch trains a version on everything there is."""
    first = ended.store.rounds.versions()[0]
    with holding(ended):
        place(ended, first)
    with opened(config(budget={"labels": 50})) as loop:
        assert run(loop).step is Step.DONE
        newest = loop.store.rounds.versions()[-1]
        assert newest.labels > first.labels
        assert loop.store.rounds.history()[-1][0].version == newest.key


def test_an_unknown_or_an_ambiguous_version_is_answered_with_those_there_are(ended: Undertaking) -> None:
    """A key may be cut short, but not to nothing that tells."""
    known = ended.store.rounds.versions()[0].key[:8]
    with pytest.raises(ModelError, match=f"'zzz' must begin the key of a version .*{known}"):
        find(ended, "zzz")
    assert find(ended, "").key == ended.store.rounds.versions()[-1].key


def test_a_network_is_chosen_on_the_labels_and_the_reason_is_kept(config: Make) -> None:
    """`auto` begins with what suits the kind of data, and changes when labels say so; what fails is left out."""
    model = {"name": "auto", "size": 32, "candidates": ["pixels", "torchvision:resnet18@/nowhere.pt"]}
    made = config(model=model, budget={"labels": 60}, holdout={"size": 10})
    with opened(made) as loop:
        assert run(loop).step is Step.DONE
        choice = loop.store.rounds.choice()
        assert choice is not None
        assert (choice.network, choice.size) == ("pixels", None)
        assert "efficientnet-lite0 was used before" in choice.reason
        networks = [json.loads(row.recipe)["network"]["name"] for row in loop.store.rounds.versions()]
        assert networks[0] == "efficientnet-lite0"
        assert networks[-1] == "pixels"
        assert loop.snapshot().unchosen is False
