"""Engines: they agree, the fastest is chosen once, and what cannot be is said with what can."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.models import Trunk, load_trunk
from alearn.models.engines import Engine, Feed, Runnable, available, calibration, cpu, cuda, open_graph, open_network
from alearn.models.engines.calibration import Choice, fastest, measured

NOISE = np.random.default_rng(0).integers(0, 256, (11, 96, 96, 3), dtype=np.uint8)
HERE = available("float32")


@pytest.fixture
def graph(lite0: Trunk, tmp_path: Path) -> Path:
    """A graph in a folder where no engine was chosen yet."""
    path = tmp_path / "trunk.onnx"
    path.write_bytes((lite0.folder / "trunk.onnx").read_bytes())
    return path


def test_engines_give_the_same_in_float32(lite0: Trunk, trunks: Path) -> None:
    """Within rounding; the trunk means the same, and each fills a cache of its own."""
    found = {}
    for name in HERE:
        trunk = load_trunk("efficientnet-lite0", "image", size=96, engine=name, folder=trunks)
        assert trunk.engine.startswith(f"{'torch' if name == 'torch' else name} ")
        assert trunk.engine.endswith(" float32")
        assert trunk.fingerprint == lite0.fingerprint
        found[name] = trunk.embed(list(NOISE))
        assert found[name].dtype == np.float32
        assert found[name] == pytest.approx(lite0.embed(list(NOISE)), abs=1e-4)
    keys = {
        load_trunk("efficientnet-lite0", "image", size=96, engine=name, folder=trunks).cache_key
        for name in HERE
        if name != "torch"
    }
    assert len(keys) == len(set(HERE) - {"torch"})


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_lower_precision_is_another_trunk_or_refused(lite0: Trunk, trunks: Path, precision: Any) -> None:
    """Near to float32 where an engine can do it; else the message names what is possible."""
    if not available(precision):
        with pytest.raises(ModelError, match=r"`model\.precision` .*onnxruntime: float32.*Got .*Remove the line"):
            load_trunk("efficientnet-lite0", "image", size=96, precision=precision, folder=trunks)
        return
    trunk = load_trunk("efficientnet-lite0", "image", size=96, precision=precision, folder=trunks)
    assert trunk.engine.endswith(precision)
    assert trunk.fingerprint != lite0.fingerprint
    found, wanted = trunk.embed(list(NOISE)), lite0.embed(list(NOISE))
    assert found.dtype == np.float32
    cosine = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() > 0.98


def test_float32_is_said_on_every_engine(graph: Path) -> None:
    """OpenVINO left to itself computes in bfloat16 where the processor can, and differs by a hundredth."""
    engines = [open_graph(graph, engine=name) for name in HERE if name in {"openvino", "onnxruntime"}]
    found = [engine.run({"pixels": NOISE}) for engine in engines]
    assert found[0] == pytest.approx(found[-1], abs=1e-4)


def test_an_activation_is_half_precision_on_every_engine(trunks: Path) -> None:
    """As it is behind the tap, and the same within its rounding."""
    found = []
    for name in HERE:
        trunk = load_trunk(
            "efficientnet-lite0", "image", size=96, taps=["block9"], output="activation", engine=name, folder=trunks
        )
        found.append(trunk.embed(list(NOISE)))
        assert found[-1].dtype == trunk.about.dtype == "float16"
        assert found[-1].shape == (11, *trunk.about.shape)
        assert found[-1].astype(np.float32) == pytest.approx(found[0].astype(np.float32), abs=2e-2)


def test_the_fastest_is_chosen_once_and_kept(graph: Path) -> None:
    """A later start measures nothing, and a choice does not change with what else the machine is doing."""
    pytest.importorskip("openvino", reason="with one engine there is nothing to choose")
    example = {"pixels": NOISE[:2]}
    first = open_graph(graph, example=example)
    (kept,) = graph.parent.glob("engine-*.json")
    said = json.loads(kept.read_text())
    assert said["engine"] == first.name
    assert said["precision"] == "float32"
    assert first.name in said["items_per_second"]
    other = "onnxruntime" if first.name == "openvino" else first.name
    kept.write_text(json.dumps(said | {"engine": other}))
    assert open_graph(graph, example=example).name == other


def test_a_choice_that_cannot_be_read_is_made_again(tmp_path: Path) -> None:
    """Or that names an engine that is not here."""
    choice = Choice(tmp_path, {"openvino": "1", "onnxruntime": "1"}, "float32")
    for said in ("{", "[]", "{}", json.dumps({"engine": "abacus"})):
        choice.path.write_text(said)
        assert choice.recalled() is None
        assert choice.keep("openvino", {"openvino": 2.0}) == "openvino"
        assert choice.recalled() == "openvino"


def test_of_two_processes_that_choose_at_once_one_decides(tmp_path: Path) -> None:
    """Both use the same; another version of an engine, or another precision, is another choice."""
    versions = {"openvino": "1", "onnxruntime": "1"}
    choice = Choice(tmp_path, versions, "float32")
    assert choice.recalled() is None
    assert choice.keep("openvino", {"openvino": 2.0}) == "openvino"
    assert Choice(tmp_path, versions, "float32").keep("onnxruntime", {"onnxruntime": 3.0}) == "openvino"
    assert Choice(tmp_path, versions | {"openvino": "2"}, "float32").recalled() is None
    assert Choice(tmp_path, versions, "bfloat16").recalled() is None
    assert len(list(tmp_path.iterdir())) == 1


def _engine(name: str, gives: NDArray[Any]) -> Engine:
    def once(feed: Feed) -> NDArray[Any]:
        return gives[: len(feed["pixels"])]

    return Engine(name, "1", "float32", once)


def test_an_engine_that_gives_something_else_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """Than the last of them, which the graph was checked with; speed does not make up for it."""
    right, feed = np.arange(8.0).reshape(4, 2), {"pixels": NOISE[:4]}
    engines = [_engine("quick", right + 0.1), _engine("odd", right * np.nan), _engine("sound", right)]
    with caplog.at_level(logging.WARNING):
        assert list(measured(engines, feed)) == ["sound"]
    assert "quick 1 CPU float32 differs" in caplog.text
    assert "odd 1 CPU float32 gives numbers that are not finite" in caplog.text
    with pytest.raises(ModelError, match="finite"):
        measured(engines[1:2], feed)


@given(st.dictionaries(st.text(min_size=1), st.floats(0.1, 1e6), min_size=1))
def test_none_is_much_faster_than_the_fastest(rates: dict[str, float]) -> None:
    """And of those that are about as fast, the first is taken."""
    best = fastest(rates)
    assert all(rate <= calibration.MARGIN ** len(rates) * rates[best] for rate in rates.values())
    assert fastest(dict.fromkeys(rates, 1.0)) == next(iter(rates))


def test_an_engine_is_named_that_is_none_or_not_here(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what there is, or how to install it."""
    with pytest.raises(ModelError, match=r"must be one of auto, cuda, openvino, onnxruntime, torch\. Got 'abacus'"):
        open_graph(graph, engine="abacus")
    with pytest.raises(ModelError, match=r"torch runs networks of torch\. This one is none"):
        open_graph(graph, engine="torch")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelError, match=r"openvino is not\. Run `pip install 'alearn\[openvino\]'`"):
        open_graph(graph, engine="openvino")
    assert open_graph(graph, example={"pixels": NOISE[:2]}).name == "onnxruntime"


def test_a_precision_that_an_engine_has_not_is_refused(graph: Path) -> None:
    """With those that it has."""
    with pytest.raises(ModelError, match=r"can compute in here \(onnxruntime: float32\)\. Got bfloat16"):
        open_graph(graph, engine="onnxruntime", precision="bfloat16")


def test_a_processor_without_bfloat16_is_named(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user sees that it is not alearn's fault."""
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Xeon E5-2670\nflags\t\t: fpu sse4_2 avx\n\n")
    monkeypatch.setattr(cpu, "SOURCE", tmp_path / "cpuinfo")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelError, match="This processor, Xeon E5-2670, has no instructions for bfloat16"):
        open_graph(graph, precision="bfloat16")


def test_a_graph_that_only_one_engine_can_open_runs_on_that(graph: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is no graph runs on none."""
    graph.write_bytes(b"no graph")
    with caplog.at_level(logging.WARNING), pytest.raises(ModelError, match="cannot be opened by onnxruntime"):
        open_graph(graph, example={"pixels": NOISE[:2]})


def test_torch_computes_what_has_no_graph(tmp_path: Path) -> None:
    """And nothing is written down where there is no choice."""
    import torch
    from torch import nn

    class Means(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.float().mean((1, 2))

    network = Runnable(module=Means)
    engine = open_network(network, engine="auto", precision="float32", example={"pixels": NOISE}, folder=tmp_path)
    assert engine.name == ("cuda" if cuda.precisions() else "torch")
    assert engine.run({"pixels": NOISE}) == pytest.approx(NOISE.mean((1, 2), dtype=np.float32), rel=1e-5)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ModelError, match="onnxruntime runs exported graphs"):
        open_network(network, engine="onnxruntime", precision="float32", folder=tmp_path)
