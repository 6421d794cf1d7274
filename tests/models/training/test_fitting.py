"""Training: repeatable to the bit, from where it stopped, whatever the losses and the memory do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models import fit_head
from alearn.models.training.fitting import Plan, fit, logits_of
from alearn.models.training.inputs import Pictures, Stored
from alearn.models.training.tail import Tail, arrays

PLAN = Plan(epochs=3, batch=16, rate=1e-2)
N = 60


@pytest.fixture(scope="module")
def items(task: Any) -> tuple[np.ndarray, np.ndarray]:
    return task.pictures(N)


@pytest.fixture
def tail(task: Any, items: tuple[np.ndarray, np.ndarray]) -> Tail:
    """The whole small network, with the head that the items give."""
    x = task.embedded(items[0])
    found = Tail(task.network().chain, None, 1, 1)
    found.wear(fit_head(x, items[1], 2, seed=0))
    return found


def train(tail: nn.Module, items: tuple[np.ndarray, np.ndarray], **changes: Any) -> Any:
    given = {"rows": np.arange(40), "plan": PLAN, "seed": 0} | changes
    return fit(tail, Pictures(items[0], views=4), items[1], **given)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(arrays(one).values(), arrays(other).values(), strict=True))


def copy(tail: Tail) -> Tail:
    from copy import deepcopy

    return deepcopy(tail)


def test_before_training_a_tail_says_what_the_linear_head_says(task: Any, tail: Tail, items: Any) -> None:
    """The head is taken over, so that training begins where the rung below is."""
    head = fit_head(task.embedded(items[0]), items[1], 2, seed=0, temperature=1.0)
    proba = torch.from_numpy(logits_of(tail, Pictures(items[0]), np.arange(N))).softmax(1).numpy()
    assert proba == pytest.approx(head.proba(task.embedded(items[0])), abs=1e-5)


def test_the_same_arguments_give_the_same_weights_and_leave_torch_alone(tail: Tail, items: Any) -> None:
    """To the bit, with dropout and random views; another seed gives others; torch's generator is as it was."""
    tails = [copy(tail) for _ in range(3)]
    for one, seed, noise in zip(tails, (0, 0, 1), (5, 6, 7), strict=True):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        train(one, items, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
    assert same(tails[0], tails[1])
    assert not same(tails[0], tails[2])


def test_batch_norms_keep_their_statistics_and_the_network_its_weights(task: Any, items: Any) -> None:
    """What is trained is the tail's own copy."""
    network = task.network()
    before = arrays(network.chain)
    tail = Tail(network.chain, "one", 16, 2)
    stored = Stored(np.random.default_rng(0).normal(size=(N, 8, 5, 5)).astype(np.float16))
    fit(tail, stored, items[1], rows=np.arange(N), plan=PLAN, seed=0)
    for name, value in arrays(tail).items():
        assert ("running" in name) == np.array_equal(value, arrays(Tail(network.chain, "one", 16, 2)).get(name)) or (
            "num_batches" in name
        )
    assert all(np.array_equal(value, before[name]) for name, value in arrays(network.chain).items())


def test_a_run_that_was_stopped_goes_on_and_gives_the_same(tail: Tail, items: Any, tmp_path: Path) -> None:
    """Weights, losses and the validation's logits, from the file of the last epoch; nobody else's file is used."""
    whole, halves, other = copy(tail), copy(tail), copy(tail)
    validation = np.arange(40, N)
    wanted = train(whole, items, validation=validation)

    def stop(done: int, *_: object) -> None:
        if done == 2:
            raise KeyboardInterrupt

    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(copy(tail), items, validation=validation, checkpoint=path, report=stop)
    reports: list[int] = []
    found = train(halves, items, validation=validation, checkpoint=path, report=lambda done, *_: reports.append(done))
    assert reports == [3]
    assert same(whole, halves)
    assert (found.losses, found.validation) == (wanted.losses, wanted.validation)
    assert all(np.array_equal(a, b) for a, b in zip(found.logits, wanted.logits, strict=True))
    train(other, items, seed=3, checkpoint=path, report=lambda done, *_: reports.append(done))
    assert reports == [3, 1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(8) + b"{}"])
def test_a_damaged_checkpoint_counts_as_none(tail: Tail, items: Any, tmp_path: Path, content: bytes) -> None:
    """The run begins again."""
    path = tmp_path / "run.safetensors"
    path.write_bytes(content)
    assert len(train(tail, items, checkpoint=path, plan=replace(PLAN, stop=1)).losses) == 1


def test_training_stops_early_with_the_best_weights(tail: Tail, items: Any) -> None:
    """When the validation loss has not fallen for as many epochs as the patience."""
    validation = np.arange(40, N)
    plan = replace(PLAN, epochs=30, rate=0.1, patience=2)
    found = train(tail, items, validation=validation, plan=plan)
    assert found.epoch + 2 < len(found.losses) + 1 <= 30
    assert found.validation[found.epoch - 1] == min(found.validation)
    again = logits_of(tail, Pictures(items[0]), validation)
    assert again == pytest.approx(found.logits[found.epoch - 1], abs=1e-5)


def test_the_parts_far_from_the_head_learn_more_slowly(task: Any, items: Any) -> None:
    """Each at `decay` times the rate of the part behind it: the first step of Adam is as long as the rate."""
    moved = []
    for decay in (1.0, 0.1):
        tail = Tail(task.network().chain, None, 16, 2)
        before = arrays(tail)
        train(tail, items, plan=replace(PLAN, decay=decay, stop=1))
        after = arrays(tail)
        moved.append(
            [
                np.abs(after[f"suffix.stages.{at}.0.weight"] - before[f"suffix.stages.{at}.0.weight"]).max()
                for at in range(3)
            ]
        )
    assert moved[1][0] < moved[1][1] < moved[1][2]
    assert moved[1][0] < 0.05 * moved[0][0]


def test_probabilities_can_be_imitated(tail: Tail, items: Any) -> None:
    """A matrix of targets instead of class numbers."""
    soft = np.full((N, 2), 0.5, np.float32)
    fit(tail, Pictures(items[0]), soft, rows=np.arange(N), plan=replace(PLAN, epochs=20), seed=0)
    logits = logits_of(tail, Pictures(items[0]), np.arange(N))
    assert np.abs(logits[:, 0] - logits[:, 1]).mean() < 1


class Touchy(nn.Module):
    """Gives no numbers when its weight has moved by more than `reach`; takes at most `most` items at once."""

    def __init__(self, reach: float = np.inf, most: int = 10**6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 3))
        self.reach, self.most = reach, most

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise MemoryError("full")
        logits = x @ self.weight.T
        return logits * torch.nan if float(self.weight.detach().abs().max()) > self.reach else logits


POINTS = Stored(np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32))
CLASSES = np.arange(40) % 2


def test_a_loss_that_is_no_number_halves_the_rate() -> None:
    """From the weights before the epoch; at a small enough rate it goes well."""
    touchy = Touchy(reach=0.2)
    found = fit(touchy, POINTS, CLASSES, rows=np.arange(40), plan=Plan(epochs=2, batch=8, rate=0.3), seed=0)
    assert np.isfinite(found.losses).all()
    assert 0 < float(touchy.weight.detach().abs().max()) <= 0.2


def test_a_loss_that_is_never_a_number_is_said() -> None:
    """With what to do instead."""
    with pytest.raises(ModelError, match=r"losses that are numbers.*Keep the linear head"):
        fit(Touchy(reach=-1), POINTS, CLASSES, rows=np.arange(40), plan=PLAN, seed=0)


def test_an_activation_that_is_no_number_is_named() -> None:
    """So that the item can be put aside."""
    broken = np.zeros((40, 3), np.float16)
    broken[17, 1] = np.nan
    with pytest.raises(ModelError, match="Item 17, and 0 more"):
        fit(Touchy(), Stored(broken), CLASSES, rows=np.arange(40), plan=replace(PLAN, batch=40), seed=0)


def test_a_full_memory_halves_the_batch_and_changes_nothing_else() -> None:
    """Gradients are added up, so that a step is the same step; an item that does not fit alone is said."""
    plan = Plan(epochs=2, batch=16, rate=0.1)
    whole, parts = Touchy(), Touchy(most=5)
    for one in (whole, parts):
        fit(one, POINTS, CLASSES, rows=np.arange(40), plan=plan, seed=0)
    assert parts.weight.detach().numpy() == pytest.approx(whole.weight.detach().numpy(), abs=1e-5)
    with pytest.raises(ModelError, match=r"single item does not"):
        fit(Touchy(most=0), POINTS, CLASSES, rows=np.arange(40), plan=plan, seed=0)


def test_another_error_is_not_taken_for_a_full_memory() -> None:
    """It is raised as it is."""
    with pytest.raises(RuntimeError, match="shapes"):
        fit(Touchy(), Stored(np.zeros((40, 4), np.float16)), CLASSES, rows=np.arange(40), plan=PLAN, seed=0)
