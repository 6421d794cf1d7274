"""Where heavy work runs: in a process of its own, so that nobody waits for it and nothing is lost with it.

Invariant: a child ends when its parent has ended, however that came about; what it was to find out is asked for again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from typing import Any, Generic, TypeVar

from alearn.errors import AlearnError, ModelError

Result = TypeVar("Result")

Tell = Callable[[Any], None]
"""Says something picklable to whoever waits."""

PATIENCE = 5.0
"""Seconds that a child has to end by itself when it is stopped."""


class Work(Generic[Result]):
    """A function at work in a child process, from the moment that this is made.

    The function gets a `Tell` before its own arguments; it, these, what it tells and what it returns are pickled. What
    it tells reaches `told`, and its end `ended`, both on a thread of this object.
    """

    def __init__(
        self, function: Callable[..., Result], *args: Any, told: Tell = lambda _: None, ended: Callable[[], None]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(sender, function, args), name=function.__name__)
        self._process.start()
        sender.close()
        self._last: tuple[str, Any] | None = None
        self._thread = threading.Thread(target=self._listen, args=(told, ended), name=function.__name__, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def result(self) -> Result:
        """What the function returned; waits for it.

        Raises:
            AlearnError: what the function raised.
            ModelError: the process ended without a word, as when memory ran out.
        """
        self._thread.join()
        self._process.join()
        if self._last is None:
            raise ModelError(
                f"{self._process.name!r} must come to its end. Its process ended with exit code "
                f"{self._process.exitcode}; -9 is what a system out of memory does. Free memory; it begins again."
            )
        kind, value = self._last
        if kind == "raised":
            error, text = value
            raise error(text)
        found: Result = value
        return found

    def stop(self) -> None:
        """End it, whatever it is doing."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(PATIENCE)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()

    def _listen(self, told: Tell, ended: Callable[[], None]) -> None:
        """Pass on what the child says, until it has said its last word or is gone."""
        try:
            while self._last is None:
                kind, value = self._receiver.recv()
                if kind == "told":
                    told(value)
                else:
                    self._last = (kind, value)
        except EOFError:
            pass
        finally:
            self._process.join()
            self._receiver.close()
            ended()


def _work(sender: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """What the child does: the function, and its last word."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    end_with_parent()
    lock = threading.Lock()

    def send(kind: str, value: Any) -> None:
        with lock:
            sender.send((kind, value))

    try:
        found = function(lambda value: send("told", value), *args)
    except AlearnError as error:
        # One of ours, whatever it was made from: those of other modules need not survive being pickled.
        known = next(one for one in type(error).__mro__ if one.__module__ == AlearnError.__module__)
        send("raised", (known, str(error)))
    else:
        send("returned", found)


def end_with_parent() -> None:
    """Make this child process end as soon as its parent has ended, killed or not."""
    parent = parent_process()
    assert parent is not None, "it is a child that multiprocessing has made"

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
