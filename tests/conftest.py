"""Fixtures that several parts share; above all the one Label Studio of a test run."""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image
from sklearn.datasets import load_digits

# How fast examples are made says something of the machine, not of the code.
settings.register_profile("alearn", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("alearn")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the shared server carries its marker, and is not timed while Label Studio installs itself.

    Where the tests run in several processes, one has everything that uses the server: there is one server.
    """
    for item in items:
        if "label_studio" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.label_studio)
        if item.get_closest_marker("label_studio") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(func_only=True))
        if item.get_closest_marker("label_studio"):
            item.add_marker(pytest.mark.xdist_group("label_studio"))
        elif any(part in item.nodeid for part in ("/store/", "/docker/")):  # one PostgreSQL after the other
            item.add_marker(pytest.mark.xdist_group("postgres"))


DigitPhotos = Callable[[Path, int], Path]


@pytest.fixture(scope="session")
def digit_photos() -> DigitPhotos:
    """Writes the first so many handwritten digits as pictures into the subfolders `even` and `odd` of a folder."""

    def write(folder: Path, count: int) -> Path:
        digits = load_digits()
        for at, (image, truth) in enumerate(zip(digits.images[:count], digits.target[:count], strict=True)):
            place = folder / ("even" if truth % 2 == 0 else "odd")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15).astype(np.uint8)).resize((16, 16)).save(place / f"{at}.png")
        return folder

    return write


@dataclass
class LabelStudioUnderTest:
    """A running Label Studio.

    `client` is authorised as its owner. Never delete a project: it breaks the signals of a server that others use.
    """

    url: str
    token: str = field(repr=False)
    media_root: Path
    username: str
    password: str = field(repr=False)
    client: httpx.Client
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_title(self, prefix: str = "test") -> str:
        """A project title that no other test, and no other run on this server, has used; at most 50 characters."""
        return f"{prefix[:30]} {secrets.token_hex(4)} {next(self._numbers)}"

    def wait_for(self, met: Callable[[], object], seconds: float = 60.0, what: str = "the condition") -> None:
        """Look again until `met` returns something true; fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while not met():
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not come true in {seconds:.0f} seconds")
            time.sleep(0.2)

    def wait_for_annotations(self, project: int, count: int, seconds: float = 60.0) -> None:
        """Wait until the project holds `count` annotations, skipped ones not counted."""
        self.wait_for(lambda: self._annotations(project) >= count, seconds, f"{count} annotations in project {project}")

    def _annotations(self, project: int) -> int:
        return int(self.client.get(f"/api/projects/{project}/").raise_for_status().json()["total_annotations_number"])


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioUnderTest]:
    """One private Label Studio for the whole run, on its own data; installs it into the user's cache when needed.

    ALEARN_TEST_LS_URL, ALEARN_TEST_LS_TOKEN and ALEARN_TEST_LS_MEDIA (and _USERNAME, _PASSWORD) name a running one
    instead, which is left running.
    """
    if url := os.environ.get("ALEARN_TEST_LS_URL"):
        yield from _opened(
            url,
            os.environ["ALEARN_TEST_LS_TOKEN"],
            Path(os.environ["ALEARN_TEST_LS_MEDIA"]),
            os.environ.get("ALEARN_TEST_LS_USERNAME", "alearn@localhost"),
            os.environ.get("ALEARN_TEST_LS_PASSWORD", ""),
        )
        return
    from alearn_connectors.label_studio.private import PrivateServer

    server = PrivateServer(tmp_path_factory.mktemp("label-studio"))
    try:
        state = server.up(print)
        token, password = (Path(state[name]).read_text() for name in ("token_file", "password_file"))
        yield from _opened(state["url"], token, Path(state["media_root"]), state["username"], password)
    finally:
        server.down()


def _opened(url: str, token: str, media: Path, username: str, password: str) -> Iterator[LabelStudioUnderTest]:
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        yield LabelStudioUnderTest(url, token, media, username, password, client)
