"""A person with a real browser, and `alearn serve` beside it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Response, sync_playwright

from alearn_connectors.label_studio.accounts import Account, enter

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60.0
"""How long anything may take on a slow machine, seconds."""

PICTURE = "img[alt=image]"
SEES = f"""([number, before]) => {{
    const image = document.querySelector("{PICTURE}");
    const shown = document.querySelector(".lsf-current-task__task-id")?.firstChild.textContent;
    const ready = image && image.src !== before && image.complete && image.naturalWidth > 0 && image.offsetHeight > 0;
    return shown === number && ready;
}}"""
"""Whether the page says that this is the task, and shows a picture that is another than before."""

Shoot = Callable[[Page, str], None]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's executable."""
    found = [os.environ.get("ALEARN_CHROMIUM"), *map(shutil.which, NAMES)]
    path = next(filter(None, found), None)
    if path is None:
        pytest.skip("Chromium must be on the PATH. Install it (Debian: `chromium`), or set ALEARN_CHROMIUM to it.")
    return path


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    """A browser that has never been anywhere."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET, timeout=1000 * PATIENCE)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="session")
def shoot() -> Shoot:
    """Takes a screenshot into the folder ALEARN_SCREENSHOTS, if that is set."""
    folder = os.environ.get("ALEARN_SCREENSHOTS")

    def take(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png")

    return take


@dataclass(frozen=True)
class Given:
    """A task that Label Studio gave: its number there, its key, the queue version that it stood in (None: in none), and
    between which moments it was given, seconds since the epoch.
    """

    number: int
    key: str
    version: str | None
    since: float
    until: float


class Person:
    """Somebody who annotates in the browser. `number` is what Label Studio calls them."""

    def __init__(self, page: Page, url: str, account: Account) -> None:
        self.page = page
        self._url = url
        self._account = account
        self.number = 0
        self._seen = ""
        page.set_default_timeout(1000 * PATIENCE)

    def see_login(self) -> None:
        self.page.goto(f"{self._url}/user/login/")
        self.page.get_by_role("button", name="Log in").wait_for()

    def log_in(self) -> None:
        self.page.fill("input[name=email]", self._account.email)
        self.page.fill("input[name=password]", self._account.password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(lambda url: "/user/login" not in url)
        self.number = int(self.page.request.get(f"{self._url}/api/current-user/whoami").json()["id"])

    def open_project(self, project: int) -> None:
        self.page.goto(f"{self._url}/projects/{project}/data")
        self._all_tasks.wait_for()
        self.page.wait_for_load_state("networkidle")

    def label_all_tasks(self) -> Given | None:
        """The first task; None when the page says that there is none."""
        return self._given_by(self._all_tasks.click)

    def submit(self) -> Given | None:
        """Send the answer; the task that the page shows next."""
        return self._given_by(self.page.locator("button", has_text=re.compile("^Submit$")).click)

    def see(self, given: Given) -> tuple[int, int]:
        """Wait until a task's picture is there: its own width, and the height at which it is shown, pixels."""
        self.page.wait_for_function(SEES, arg=[str(given.number), self._seen])
        natural, shown, self._seen = self.page.locator(PICTURE).evaluate(
            "image => [image.naturalWidth, image.offsetHeight, image.src]"
        )
        return int(natural), int(shown)

    def preselected(self, classes: tuple[str, ...]) -> str | None:
        """The class that is ticked, if any."""
        ticked = [name for name in classes if self._box(name).is_checked()]
        assert len(ticked) <= 1, f"{ticked} are ticked at once"
        return ticked[0] if ticked else None

    def pick(self, name: str) -> None:
        """Tick a class, unless it is."""
        if not self._box(name).is_checked():
            self.page.get_by_text(re.compile(rf"^{name}")).first.click()
        self.page.wait_for_function("name => document.querySelector(`input[name='${name}']`).checked", arg=name)

    def sees_without_scrolling(self, name: str) -> bool:
        """Whether a class lies above the bar with the buttons, in the window as it is."""
        bar = self.page.locator(".lsf-bottombar").bounding_box()
        box = self._box(name).bounding_box()
        return bool(bar and box and box["y"] >= 0 and box["y"] + box["height"] <= bar["y"])

    @property
    def _all_tasks(self) -> Locator:
        return self.page.get_by_role("button", name="Label All Tasks")

    def _box(self, name: str) -> Locator:
        return self.page.locator(f"input[name='{name}']")

    def _given_by(self, click: Callable[[], None]) -> Given | None:
        since = time.time()
        with self.page.expect_response(lambda response: "id=next_task" in response.url) as expected:
            click()
        response: Response = expected.value
        if response.status == 404:
            return None
        task, until = response.json(), time.time()
        versions = [one["model_version"] for one in task["predictions"]]
        key = str(task["data"]["alearn_id"])
        return Given(int(task["id"]), key, versions[0] if versions else None, since, until)


@pytest.fixture
def person(browser: Browser, label_studio: Any) -> Person:
    """Somebody with an account of their own, made through the invite link, in front of a window of 1280 x 800."""
    account = Account(f"person.{secrets.token_hex(4)}@alearn.invalid", secrets.token_urlsafe(18))
    invite = label_studio.client.get("/api/invite").raise_for_status().json()["invite_url"]
    enter(account, label_studio.url, lambda: invite).close()
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    return Person(page, label_studio.url, account)


Serving = Callable[[Path, str], Any]


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """Runs `alearn serve` for the length of a block, which begins when the queue is filled."""

    @contextmanager
    def serve(config: Path, name: str) -> Iterator[None]:
        port = _free_port()
        command = [sys.executable, "-m", "alearn", "serve", str(config), "--port", str(port)]
        log = tmp_path / "serve.log"
        with log.open("wb") as errors, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            process = subprocess.Popen(command, stderr=errors, env={**os.environ, "OMP_NUM_THREADS": "1"})
            try:
                _wait_for(lambda: _state(client, name).get("open"), process, log)
                yield
            finally:
                _end(process)

    return serve


def _state(client: httpx.Client, name: str) -> Mapping[str, Any]:
    with suppress(httpx.TransportError, KeyError):
        found: Mapping[str, Any] = client.get("/loops").json()[name]
        return found
    return {}


def _wait_for(met: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, so that it takes its webhook away; force it when it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
