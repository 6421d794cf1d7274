"""A network in pieces: the same as in one, whatever the sizes, and smaller ones when memory runs out."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from alearn.errors import ModelError
from alearn.models.engines.engine import Engine, Feed


def _sums(feed: Feed) -> NDArray[Any]:
    return np.stack([feed["ids"].sum(axis=1), feed["mask"].max(axis=1)], axis=1)


@given(st.integers(1, 70), st.integers(1, 9), st.integers(1, 16))
def test_pieces_give_what_the_whole_gives(count: int, workers: int, piece: int) -> None:
    """In order; no piece is above the limit, and there are as many for every worker where there are items enough."""
    ids = np.arange(3 * count).reshape(count, 3)
    feed, pieces, lock = {"ids": ids, "mask": ids % 7}, [], threading.Lock()

    def once(part: Feed) -> NDArray[Any]:
        with lock:
            pieces.append(len(part["ids"]))
        return _sums(part)

    assert np.array_equal(Engine("any", "1", "float32", once, workers=workers, piece=piece).run(feed), _sums(feed))
    assert max(pieces) <= piece
    assert min(pieces) >= max(pieces) - 1
    assert len(pieces) == count or len(pieces) % workers == 0


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 3))
def test_batches_halve_when_memory_runs_out(count: int, most: int, workers: int) -> None:
    """The run goes on, gives the same, and what comes later does not fail again."""
    failures = []

    def once(feed: Feed) -> NDArray[Any]:
        if len(feed["ids"]) > most:
            failures.append(len(feed["ids"]))
            raise MemoryError
        return _sums(feed)

    ids = np.arange(3 * count).reshape(count, 3)
    feed = {"ids": ids, "mask": ids}
    engine = Engine("any", "1", "float32", once, workers=workers, piece=16)
    assert np.array_equal(engine.run(feed), _sums(feed))
    failures.clear()
    assert np.array_equal(engine.run(feed), _sums(feed))
    assert failures == []


def test_an_item_that_memory_does_not_suffice_for_is_an_error() -> None:
    """With what to do."""

    def once(feed: Feed) -> NDArray[Any]:
        raise MemoryError("12 GB")

    with pytest.raises(ModelError, match=r"memory to compute one item.*12 GB.*`model\.size`"):
        Engine("any", "1", "float32", once).run({"ids": np.zeros((3, 1))})


LIMITED = """
import re, resource, sys
from pathlib import Path
import numpy as np
from alearn.models.engines import open_graph

engine = open_graph(Path(sys.argv[1]), engine=sys.argv[2])
pixels = np.random.default_rng(0).integers(0, 256, (16, 2048, 2048, 1), dtype=np.uint8)
engine.run({"pixels": pixels[:1]})
used = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]) * 2**20,) * 2)
print(*engine.run({"pixels": pixels}).ravel())
"""


@pytest.fixture(scope="module")
def hungry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph that needs 32 MB for each item, and gives one number: the mean square root of its pixels."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Sqrt", ["real"], ["root"]),
        helper.make_node("ReduceMean", ["root"], ["rows"], axes=[2], keepdims=0),
        helper.make_node("ReduceMean", ["rows"], ["embedding"], axes=[1], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 2048, 2048, 1])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 1])]
    graph = helper.make_graph(nodes, "hungry", inputs, outputs)
    path = tmp_path_factory.mktemp("hungry") / "hungry.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_engine_that_has_too_little_memory_computes_the_same(
    hungry: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose memory is limited for real: OpenVINO's `infer` would give an older output instead of an error."""
    pytest.importorskip(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [sys.executable, "-c", LIMITED, str(hungry), name, "120"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "goes on with" in done.stderr
    pixels = np.random.default_rng(0).integers(0, 256, (16, 2048, 2048, 1), dtype=np.uint8)
    roots = np.sqrt(np.arange(256))
    wanted = [float(np.bincount(one.ravel(), minlength=256) @ roots / one.size) for one in pixels]
    assert [float(one) for one in done.stdout.split()] == pytest.approx(wanted, rel=1e-4)


def test_a_smaller_batch_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Not at every batch that follows."""

    def once(feed: Feed) -> NDArray[Any]:
        if len(feed["ids"]) > 2:
            raise MemoryError
        return feed["ids"]

    engine = Engine("any", "1", "float32", once)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            engine.run({"ids": np.zeros((32, 1))})
    assert [record.getMessage() for record in caplog.records] == [
        "any has no memory for 8 items at once; it goes on with 4.",
        "any has no memory for 4 items at once; it goes on with 2.",
    ]


AT_ONCE = """
import threading
from alearn.models.engines import openvino_cpu

openvino_cpu.precisions()
import openvino

start, kind = threading.Event(), openvino.Type.f32
work = [threading.Thread(target=lambda: (start.wait(), kind.to_dtype()), daemon=True) for _ in range(16)]
for one in work:
    one.start()
start.set()
for one in work:
    one.join()
"""


def test_openvino_is_first_used_by_many_threads_at_once() -> None:
    """Its bindings look NumPy up at their first use, and hang in about every fourth process where two threads do so."""
    pytest.importorskip("openvino")
    for _ in range(6):
        subprocess.run([sys.executable, "-c", AT_ONCE], check=True, timeout=30)
