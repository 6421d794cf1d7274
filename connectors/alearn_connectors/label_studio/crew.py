"""Robot annotators: they ask Label Studio for the next task, answer it, and ask again, as people do in the browser.

They see the loop only through the platform: the order they work in is the order Label Studio serves.

Invariant: an answer depends on (profile, robot, item) alone, so a robot that is killed and started again says the same.
Robots outlive what passes (restarts, a locked database, a project that is not there yet); on what does not pass they
give up, and say so at exit, or when all have.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Self

import httpx

from alearn.core.annotators import Answer, Profile, answer
from alearn.errors import Refused, Unavailable
from alearn.platform import Setting
from alearn_connectors.label_studio import place
from alearn_connectors.label_studio.accounts import Seat, seats
from alearn_connectors.label_studio.client import is_here
from alearn_connectors.label_studio.options import read_options
from alearn_connectors.label_studio.project import find_number
from alearn_connectors.label_studio.robot import Robot

PATIENCE = 2.0
"""Longest pause between two looks at an empty queue or a server that does not answer, seconds."""


def crew(setting: Setting, profile: Profile, count: int = 1) -> RobotAnnotators:
    """The robots of a loop, on the Label Studio that its options mean; nothing is sent yet.

    Raises:
        ConfigError: `platform.options` is wrong.
    """
    options = read_options(setting)

    def owner() -> httpx.Client:  # found anew each time: a private server may come back elsewhere
        with closing(place.connect(options)) as door:
            return httpx.Client(base_url=door.url, auth=door.credential, timeout=30, trust_env=not is_here(door.url))

    found = seats(owner, setting.home / "label-studio" / "robots.json", count)
    find = partial(find_number, setting=setting)
    return RobotAnnotators(setting, profile, found, find, real_time=options.robots_real_time)


class RobotAnnotators:
    """One robot per seat, each in a thread of its own (see `alearn.platform.Robots`).

    `seats` maps a robot's name to what opens its client. `find` returns the project's id, or None while there is none.
    With `real_time` a robot takes the time a person would; else it only reports it as lead time.
    """

    def __init__(
        self,
        setting: Setting,
        profile: Profile,
        seats: Mapping[str, Seat],
        find: Callable[[httpx.Client], int | None],
        *,
        real_time: bool = False,
    ) -> None:
        self._setting = setting
        self._profile = profile
        self._real_time = real_time
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._answered = 0
        self._gave_up: list[Refused] = []
        self._threads = [
            threading.Thread(target=self._work, args=(Robot(seat, find, self._mind(name)),), name=name, daemon=True)
            for name, seat in seats.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._gave_up and error is None:
            raise self._gave_up[0]

    def answered(self) -> int:
        """How many tasks they have submitted or skipped so far.

        Raises:
            Refused: all of them have given up, so that no more will come.
        """
        if len(self._gave_up) == len(self._threads):
            raise self._gave_up[0]
        return self._answered

    def _work(self, robot: Robot) -> None:
        pause = 0.0
        try:
            while not self._stop.wait(pause):
                pause = self._step(robot, pause)
        except Refused as refusal:
            self._gave_up.append(refusal)
        finally:
            robot.leave()

    def _step(self, robot: Robot, pause: float) -> float:
        """One task; returns how long to wait before the next look."""
        try:
            if robot.work():
                with self._lock:
                    self._answered += 1
                return 0.0
        except (httpx.RequestError, Unavailable):
            robot.leave()
        return min(PATIENCE, pause * 2 or 0.1)

    def _mind(self, name: str) -> Callable[[str], Answer | None]:
        """What the robot `name` says of a key, in its own time; None when it was told to stop meanwhile."""

        def reply(key: str) -> Answer | None:
            said = self._opinion(name, key)
            return None if self._real_time and self._stop.wait(said.seconds) else said

        return reply

    def _opinion(self, name: str, key: str) -> Answer:
        """The answer; a skip where the truth is unknown, or is no class."""
        with self._lock:  # nobody promised that `known` may be asked by several threads at once
            truth = self._setting.known([key]).get(key)
        if truth is None or truth not in self._setting.schema.classes:
            return Answer(None, self._profile.seconds)
        return answer(self._profile, name, key, truth, self._setting.schema.classes)
