"""Where training happens: on a GPU or not, what comes of it is on the CPU, and the same within rounding."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from alearn.errors import ModelError
from alearn.models.engines import cuda
from alearn.models.networks import Chain
from alearn.models.training import device
from alearn.models.training.examples import Batch
from alearn.models.training.fitting import Fit, Plan, fit, logits_of
from alearn.models.training.inputs import Hidden, Inputs, Pictures, Stored, Texts
from alearn.models.training.ladder import Ground, attempt_at
from alearn.models.training.starts import behind
from alearn.models.training.tail import Tail, arrays
from alearn.models.zoo import LITE0, load_network

N = 60
PLAN = Plan(epochs=3, batch=16, rate=1e-2)
GPU = bool(cuda.precisions())
needs_gpu = pytest.mark.skipif(not GPU, reason="no NVIDIA GPU")
PLACES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


@pytest.fixture(params=PLACES)
def where(request: pytest.FixtureRequest) -> torch.device:
    """Each device that training can be on."""
    return device.CPU if request.param == "cpu" else device.device()


@pytest.fixture(scope="module")
def items(task: Any) -> tuple[np.ndarray, np.ndarray]:
    return task.pictures(N)


@pytest.fixture
def tail(task: Any) -> Tail:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Tail(task.network().chain, None, 16, 2)


def trained(tail: Tail, items: Any, where: torch.device, **changes: Any) -> tuple[Fit, Tail]:
    """A copy of the tail, trained with dropout and views on a device."""
    found = deepcopy(tail)
    given = {"rows": np.arange(40), "validation": np.arange(40, N), "plan": PLAN, "seed": 0} | changes
    return fit(found, Pictures(items[0], views=4), items[1], where=where, **given), found


def apart(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(arrays(one).values(), arrays(other).values(), strict=True)
    return max(float(np.abs(a.astype(np.float64) - b).max()) for a, b in pairs)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_who_names_an_engine_of_the_cpu_trains_on_it(engine: str) -> None:
    """A GPU is left to others."""
    assert device.device(engine) == device.CPU


@pytest.mark.parametrize("engine", ["auto", "cuda"])
def test_else_a_gpu_trains_where_there_is_one(engine: str) -> None:
    """And where there is none, the processor; both can be told to a person."""
    found = device.device(engine)
    assert found.type == ("cuda" if GPU else "cpu")
    assert (torch.cuda.get_device_name() if GPU else "this CPU, ") in device.described(found)


def test_the_engine_of_a_loop_reaches_the_attempt(task: Any, items: Any) -> None:
    """The ladder trains where the loop's `model.engine` says."""
    ground = Ground("small", task.SIDE, task.network, lambda: Pictures(items[0]))
    for engine in ("auto", "torch"):
        attempt = attempt_at("blocks", "one", replace(ground, engine=engine), task.network())
        assert attempt.where == device.device(engine)


def test_the_module_takes_what_is_on_its_device_as_it_was_stored(tail: Tail, items: Any, where: torch.device) -> None:
    """Pixels travel as bytes; afterwards the weights, the logits and torch's generators are where they were."""
    seen: list[tuple[torch.device, torch.device, torch.dtype]] = []

    def look(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append((device.home(module), given[0].device, given[0].dtype))

    tail.register_forward_pre_hook(look)
    before = torch.get_rng_state(), torch.cuda.get_rng_state(where) if where.type == "cuda" else torch.empty(0)
    rows, held = np.arange(40), np.arange(40, N)
    found = fit(tail, Pictures(items[0]), items[1], rows=rows, validation=held, plan=PLAN, seed=0, where=where)
    assert set(seen) == {(where, where, torch.uint8)}
    assert {value.device for value in tail.state_dict().values()} == {device.CPU}
    assert all(type(one) is np.ndarray for one in found.logits)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert where.type == "cpu" or torch.equal(torch.cuda.get_rng_state(where), before[1])


def test_the_module_comes_back_however_training_ends(tail: Tail, items: Any, where: torch.device) -> None:
    """Interrupted between two epochs, say."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tail, Pictures(items[0]), items[1], rows=np.arange(N), plan=PLAN, seed=0, where=where, report=stop)
    assert device.home(tail) == device.CPU


def test_the_same_seed_gives_the_same_run(tail: Tail, items: Any, where: torch.device) -> None:
    """To the bit on one machine, with dropout drawn on the device; another seed gives another."""
    (first, one), (_, two), (_, other) = (trained(tail, items, where, seed=seed) for seed in (0, 0, 1))
    assert apart(one, two) == 0
    assert apart(one, other) > 0
    assert first.losses == trained(tail, items, where)[0].losses


class Full(nn.Module):
    """Takes at most `most` items at once, and says so in the words of a GPU."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 3))
        self.most, self.sizes = most, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        self.sizes.append(len(x))
        return x @ self.weight.T


POINTS = Stored(np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32))
CLASSES = np.arange(40) % 2


def test_a_full_memory_halves_what_goes_through_together(where: torch.device) -> None:
    """For good: the next batches begin with what had room; the steps are the same."""
    whole, parts = Full(10**6), Full(5)
    for one in (whole, parts):
        fit(one, POINTS, CLASSES, rows=np.arange(40), plan=Plan(epochs=2, batch=16, rate=0.1), seed=0, where=where)
    assert parts.weight.detach().numpy() == pytest.approx(whole.weight.detach().numpy(), abs=1e-5)
    assert max(parts.sizes) == 4
    with pytest.raises(ModelError, match=r"single item does not"):
        fit(Full(0), POINTS, CLASSES, rows=np.arange(40), plan=PLAN, seed=0, where=where)


def test_an_item_that_is_no_number_is_named_on_every_device(where: torch.device) -> None:
    """It is looked for where the item is read, so that a GPU is not made to wait."""
    broken = np.zeros((40, 3), np.float16)
    broken[17, 1] = np.nan
    with pytest.raises(ModelError, match="Item 17, and 0 more"):
        fit(Full(64), Stored(broken), CLASSES, rows=np.arange(40), plan=replace(PLAN, batch=40), seed=0, where=where)


class Large(nn.Linear):
    """A module that a GPU has no room for."""

    def to(self, where: Any) -> Large:
        if where.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self


def test_a_network_that_has_no_room_on_a_gpu_says_what_to_do() -> None:
    """Instead of a traceback: end what uses the GPU, or train on the CPU."""
    wanted = r"CUDA out of memory.*End other programs.*model\.engine: onnxruntime"
    with pytest.raises(ModelError, match=wanted), device.lent(Large(1, 1), torch.device("cuda", 0)):
        pass
    with pytest.raises(ModelError, match=wanted):
        device.placed(Large(1, 1), torch.device("cuda", 0))


def test_what_is_asked_elsewhere_is_a_copy(tail: Tail) -> None:
    """Where the module is already it is itself: others may be using it meanwhile."""
    assert device.placed(tail, device.CPU) is tail
    elsewhere = device.placed(tail, torch.device("meta"))
    assert device.home(elsewhere).type == "meta"
    assert device.home(tail) == device.CPU


def test_a_batch_is_made_while_the_one_before_is_computed() -> None:
    """In order, one ahead and no further, while a GPU computes; on the processor, which is busy, when it is wanted."""
    made: list[int] = []
    threads: set[int] = set()

    def make(at: int) -> int:
        made.append(at)
        threads.add(threading.get_ident())
        return at

    coming: Iterator[int] = device.early(make, range(5), torch.device("cuda", 0))
    assert next(coming) == 0
    time.sleep(0.1)
    assert made == [0, 1]
    assert list(coming) == [1, 2, 3, 4]
    assert threading.get_ident() not in threads
    made.clear()
    assert next(device.early(make, range(5), device.CPU)) == 0
    assert made == [0]
    assert threading.get_ident() in threads


def encoder() -> Chain:
    """Two layers of BERT with random weights."""
    transformers = pytest.importorskip("transformers", reason="needs alearn[text]")
    from alearn.models.networks.sentences import Embedded, Layer, MaskedMean

    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        bert = transformers.BertModel(
            transformers.BertConfig(vocab_size=50, attn_implementation="eager", **sizes)
        ).eval()
    layers = [(f"layer{at}", Layer(layer)) for at, layer in enumerate(bert.encoder.layer)]
    return Chain(Embedded(bert.embeddings), layers, MaskedMean(unit=True), MaskedMean(unit=True)).eval()


PICTURES = (torch.zeros((4, 64, 64, 3), dtype=torch.uint8),)
TEXTS = (torch.arange(28).reshape(4, 7), torch.ones((4, 7), dtype=torch.int64))


@pytest.mark.parametrize("kind", ["small", "lite0", "text"])
def test_no_part_of_a_network_stays_behind_on_the_cpu(task: Any, kind: str) -> None:
    """What it computes is on its device, and it asks for no number: tried on tensors that are only described."""
    if kind == "lite0" and not LITE0.installed:
        pytest.skip("needs alearn[offline]")
    chain = {
        "small": lambda: task.network().chain,
        "lite0": lambda: load_network("efficientnet-lite0", "image", 64).chain,
        "text": encoder,
    }[kind]()
    tail = Tail(chain, None, 1280 if kind == "lite0" else 16, 2)
    example, mode = TEXTS if kind == "text" else PICTURES, FakeTensorMode()
    *given, labels, weights = map(mode.from_tensor, (*example, torch.zeros(4, dtype=torch.int64), torch.ones(4)))
    with mode, torch.no_grad():
        for part in tail.modules():
            for kept in (part._parameters, part._buffers):
                kept.update({name: described(mode, one) for name, one in kept.items() if one is not None})
        parts = Batch(tuple(given), labels, weights).parts(2, torch.device("cuda", 0))
        losses = [part.losses(tail(*part.given)) for part in parts]
    assert [(one.device.type, one.shape) for one in losses] == [("cuda", (2,))] * 2


def described(mode: FakeTensorMode, tensor: Tensor) -> Any:
    """Of the same shape, on a GPU that need not be there."""
    found = mode.from_tensor(tensor).detach().to("cuda")
    return nn.Parameter(found) if isinstance(tensor, nn.Parameter) else found


@needs_gpu
def test_a_gpu_trains_what_the_cpu_trains(tail: Tail, items: Any) -> None:
    """Within rounding: the same items in the same order and the same views; there is no dropout, which each draws."""
    for part in tail.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    (slow, _), (fast, _) = (trained(tail, items, where) for where in (device.CPU, device.device()))
    assert fast.losses == pytest.approx(slow.losses, abs=5e-3)
    assert np.abs(fast.logits[-1] - slow.logits[-1]).max() < 5e-2 * np.abs(slow.logits[-1]).max()


@needs_gpu
@pytest.mark.parametrize("first", ["cpu", "cuda"])
def test_a_run_that_was_begun_on_one_device_goes_on_on_the_other(
    tail: Tail, items: Any, tmp_path: Path, first: str
) -> None:
    """From the file of the last epoch: it holds weights, the optimiser's memory and logits, but no device."""
    places = [device.CPU, device.device()] if first == "cpu" else [device.device(), device.CPU]
    path, reports = tmp_path / "run.safetensors", list[int]()

    def stop(done: int, *_: object) -> None:
        if done == 2:
            raise KeyboardInterrupt

    wanted, whole = trained(tail, items, places[0])
    with pytest.raises(KeyboardInterrupt):
        trained(tail, items, places[0], checkpoint=path, report=stop)
    found, module = trained(tail, items, places[1], checkpoint=path, report=lambda done, *_: reports.append(done))
    assert reports == [3]
    assert found.losses[:2] == wanted.losses[:2]
    # The last epoch draws other dropout on the other device.
    assert apart(module, whole) < 0.1


@needs_gpu
def test_what_is_in_front_of_a_tap_is_the_same_from_a_gpu(task: Any, items: Any) -> None:
    """Every view, float16, within its rounding; the network stays on the CPU."""
    network, pictures = task.network(), Pictures(items[0], views=2)
    slow, fast = (behind(network, pictures, "two", where=where) for where in (device.CPU, device.device()))
    rows = np.arange(N)
    for view in (0, 1):
        one, other = (kept.take(rows, np.full(N, view))[0] for kept in (slow, fast))
        assert torch.allclose(one, other, atol=2e-2)
    assert device.home(network.chain) == device.CPU


@needs_gpu
@pytest.mark.parametrize("kind", ["ids", "hidden"])
def test_texts_are_trained_on_a_gpu(kind: str) -> None:
    """From their tokens, and from the hidden states behind a layer; the logits are the CPU's within rounding."""
    chain, rng = encoder(), np.random.default_rng(0)
    lengths = rng.integers(3, 9, 40)
    inputs: Inputs = (
        Texts([rng.integers(1, 50, length) for length in lengths])
        if kind == "ids"
        else Hidden([rng.normal(size=(length, 16)).astype(np.float16) for length in lengths])
    )
    tail = Tail(chain, None if kind == "ids" else "layer0", 16, 2)
    before = [logits_of(tail, inputs, np.arange(40), where=where) for where in (device.CPU, device.device())]
    assert before[0] == pytest.approx(before[1], abs=1e-4)
    found = fit(tail, inputs, CLASSES, rows=np.arange(40), plan=PLAN, seed=0, where=device.device())
    assert found.losses[-1] < found.losses[0]
    assert device.home(tail) == device.CPU


@needs_gpu
def test_a_gpu_that_is_really_full_halves_the_batch(tail: Tail) -> None:
    """Its memory is bounded for the process; the run ends with fewer items together, and leaves the cache empty."""
    where = device.device()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 512, 512, 3), dtype=np.uint8)
    torch.cuda.empty_cache()
    total, kept = torch.cuda.get_device_properties(where).total_memory, torch.cuda.memory_reserved(where)
    torch.cuda.set_per_process_memory_fraction((kept + 400 * 2**20) / total, where)
    sizes: list[int] = []
    tail.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
    try:
        found = fit(
            tail, Pictures(pixels), np.arange(64) % 2, rows=np.arange(64), plan=Plan(epochs=1, batch=64), seed=0,
            where=where,
        )  # fmt: skip
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, where)
    assert np.isfinite(found.losses).all()
    assert max(sizes) < 64
