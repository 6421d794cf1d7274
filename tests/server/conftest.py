"""`alearn serve` as a process of its own, on a port of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml


@dataclass
class Served:
    """A server that runs; `log` is where its stderr goes."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    client: httpx.Client

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def state(self, loop: str) -> str:
        try:
            return str(self.client.get("/health").json()["loops"][loop]["state"])
        except httpx.TransportError:
            return "silent"

    def loop(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/loops").json()[name]
        return found

    def until(self, met: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def children(self) -> list[int]:
        """The processes that it has started and that live."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        every = [Path(one) for one in found.parent.parent.glob("*/children")]
        return [int(pid) for one in every for pid in one.read_text().split()]

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


Serve = Callable[..., Any]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers of config files, and ends those that still run."""
    with ExitStack() as started:
        yield lambda *configs, port=None: started.enter_context(_served(tmp_path, configs, port or free_port()))


@contextmanager
def _served(folder: Path, configs: tuple[Path, ...], port: int) -> Iterator[Served]:
    log = folder / f"serve-{port}-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "alearn", "serve", *map(str, configs), "--port", str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("wb") as errors, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        process = subprocess.Popen(command, stderr=errors, env=environment)
        served = Served(process, port, log, client)
        try:
            served.until(lambda: _answers(client))
            yield served
        finally:
            served.stop(signal.SIGKILL)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code in {200, 503}
    except httpx.TransportError:
        return False


@pytest.fixture
def write(tmp_path: Path, digit_photos: Any) -> Callable[..., Path]:
    """Writes the config of a loop of sixty digits whose answers come as a file; returns the config's path."""

    def make(name: str = "parity", **sections: Any) -> Path:
        photos = tmp_path / "photos"
        if not photos.is_dir():
            digit_photos(photos, 60)
        raw: dict[str, Any] = {
            "name": name,
            "items": {"path": str(photos), "truth": "folder"},
            "task": {"data": "image", "classes": ["even", "odd"]},
            "model": {"name": "pixels"},
            "query": {"batch": 5, "strategy": "margin"},
            "queue": {"low": 0},
            "holdout": {"size": 0},
            "guard": {"share": 0},
            "platform": {"name": "files", "poll": 0.2},
            "home": str(tmp_path / f"home-{name}"),
            **sections,
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(raw))
        return path

    return make
