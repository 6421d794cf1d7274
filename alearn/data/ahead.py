"""Work that runs ahead of who wants its results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS = 4
"""Threads that read images ahead; each holds at most one file of `items.max_mb`."""


def ahead(
    work: Callable[[T], R], things: Iterable[T], workers: int = WORKERS, waiting: int | None = None
) -> Generator[R]:
    """`work` over `things` in threads; results in order, at most `waiting` of them under way or done, none: a few."""
    waiting = waiting or 4 * workers
    with ThreadPoolExecutor(workers) as pool:
        under_way: deque[Future[R]] = deque()
        try:
            for thing in things:
                under_way.append(pool.submit(work, thing))
                if len(under_way) >= waiting:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
