"""Look, plan, do one step, and look again: all that a webhook, a timer or `alearn run` ever start.

Invariant: one controller per loop. It holds a lease that a thread renews; when it is overtaken, its next write is
refused and it stops. A platform that does not answer is asked again with growing pauses; everything else is raised.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alearn.errors import LeaseLost, StoreError, Unavailable
from alearn.loop.desk import Desk
from alearn.loop.intake import take_in
from alearn.loop.pace import Pace
from alearn.loop.plan import Snapshot, Step, plan
from alearn.loop.steps import DO, collect, prepare
from alearn.loop.subscription import Subscription
from alearn.loop.undertaking import Undertaking
from alearn.loop.wake import Wake
from alearn.models import warm

LEASE_SECONDS = 60.0
RESYNC_SECONDS = 300.0
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `step` is DONE or WAIT, `reason` says why in words."""

    step: Step
    reason: str


def reconcile(loop: Undertaking, *, resync: bool = False, desk: Desk | None = None) -> Outcome:
    """Do every step that can be done now. Returns WAIT or DONE; `desk`: what is long is made in the background."""
    desk = desk or Desk()
    take_in(loop)
    if loop.store.look().prepared:
        collect(loop, resync=resync)
    before: tuple[Step, Snapshot] | None = None
    while True:
        desk.settle()
        now = loop.snapshot(busy=desk.busy, asked=desk.asked)
        step = plan(now)
        if step in {Step.WAIT, Step.DONE}:
            desk.rest()
            return Outcome(step, _reason(loop, step, now))
        assert (step, now) != before, f"{step} changed nothing, and would be done for ever: {now}"
        before = (step, now)
        if desk.take(step):
            continue
        DO[step](loop)
        if step is not Step.PREPARE:
            collect(loop)


def _reason(loop: Undertaking, step: Step, now: Snapshot) -> str:
    if step is Step.WAIT:
        return f"{now.open} items wait for annotators" + (", and a version is being made" if now.busy else "")
    return loop.store.look().reason or "there is nothing left to ask, and no label to learn from"


def run(
    loop: Undertaking, *, once: bool = False, wake: Wake | None = None, address: str | None = None, stay: bool = False
) -> Outcome:
    """Reconcile until the loop is done, waiting for annotators in between; `once`: until there is nothing to do now.

    With a `wake` it also looks when that is called, ends when that stops, and makes what is long in the background.
    With an `address` the platform is asked to call there, and looks without a call become rare. `stay`: a loop that is
    done is looked at for as long as it is not stopped.

    Raises:
        LeaseLost: another controller runs this loop.
        ConfigError, StrategyError: the config names something that does not exist.
        PlatformError: the platform cannot be used, and could not from the beginning; or it refuses.
    """
    loop.verify()
    with holding(loop) as lost, Desk.open(loop, wake) as desk:
        take_in(loop)
        prepare(loop)
        with Subscription(loop, address) as subscription:
            subscription.renew()
            outcome = reconcile(loop, resync=True, desk=desk)
            if wake is not None:
                loop.pace = Pace()  # what had come before says nothing of it
            if outcome.step is Step.WAIT and not once:  # while people are at the first items
                threading.Thread(target=warm, name="alearn-warm", daemon=True).start()
            synced, failures = loop.clock.seconds(), 0
            while not once and not desk.stopping and (stay or outcome.step is Step.WAIT):
                desk.wait(pause(subscription.poll, failures), loop.clock)
                if lost.is_set():
                    raise LeaseLost("Another controller runs this loop now; this one stops. Nothing was written twice.")
                resync = loop.clock.seconds() - synced > RESYNC_SECONDS
                try:
                    if resync:
                        subscription.renew()
                    outcome = reconcile(loop, resync=resync, desk=desk)
                except Unavailable as error:
                    failures += 1
                    loop.report.say(f"{error} Trying again, {failures}.")
                    continue
                failures, synced = 0, loop.clock.seconds() if resync else synced
    return outcome


def pause(poll: float, failures: int) -> float:
    """Seconds to the next look: `poll`, doubled with every failure in a row up to LONGEST_PAUSE."""
    return poll if not failures else max(poll, min(poll * 2.0 ** min(failures, 16), LONGEST_PAUSE))


@contextmanager
def holding(loop: Undertaking) -> Iterator[threading.Event]:
    """Hold the loop's lease for the length of the block; the event is set when it was lost.

    Raises:
        LeaseLost: another controller runs this loop.
    """
    clock, store = loop.clock, loop.store
    store.lease(owner(), now=clock.seconds(), seconds=LEASE_SECONDS, alive=alive)
    stop, lost = threading.Event(), threading.Event()

    def renew() -> None:
        while not stop.wait(LEASE_SECONDS / 4):
            try:
                store.renew(now=clock.seconds(), seconds=LEASE_SECONDS)
            except LeaseLost:
                lost.set()
                return
            except StoreError as error:  # the lease has time left; the next beat may come through
                loop.report.say(f"{error} The lease is renewed at the next try.")

    heart = threading.Thread(target=renew, name="alearn-lease", daemon=True)
    heart.start()
    try:
        yield lost
    finally:
        stop.set()
        heart.join()
        store.release()


def owner() -> str:
    """A controller of this process, so that another on the same machine can tell whether it still lives."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}/{secrets.token_hex(4)}"


def alive(name: str) -> bool:
    """Whether the owner called `name` may still run; True where it cannot be known."""
    host, pid, started, _ = name.rsplit("/", 3)
    if host != socket.gethostname() or not pid.isdigit():
        return True
    if int(pid) == os.getpid():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _started(int(pid)) in {started, ""}


def _started(pid: int) -> str:
    """When a process began, as the kernel says it, or nothing: a pid alone may have been given to another since."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""
