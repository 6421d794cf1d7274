"""A small picture server, for a Label Studio that does not share this machine's disk.

It runs as long as the loop's process does. Invariant: it answers for the keys it was told, and for nothing else; it
lists nothing, and no path of a request ever reaches the file system.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from alearn.errors import Refused
from alearn.platform import Finding, Task
from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.media import SHOWABLE, Unshowable, is_on_the_web, picture, suffix_of


class Served:
    """Pictures served from here. `file` remembers {key: uri} over restarts; browsers reach the server at `url`."""

    def __init__(self, host: str, port: int, url: str | None, file: Path) -> None:
        self._address = (host, port)
        self._url = url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._file = file
        self._uris = _read(file)
        self._server: ThreadingHTTPServer | None = None

    def shown(self, task: Task) -> str:
        """The URL under which the picture is served from now on."""
        if is_on_the_web(task.uri):
            return str(task.uri)
        suffix = suffix_of(task.uri)
        if self._uris.get(task.key) != task.uri:
            if "://" not in str(task.uri) and not Path(str(task.uri)).is_file():
                raise Unshowable(f"{task.uri} is not there")
            self._uris[task.key] = str(task.uri)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps([task.key, task.uri]) + "\n")
        return f"{self._url}/{task.key}{suffix if suffix in SHOWABLE else '.png'}"

    def made(self, shown: object) -> bool:
        """Whether it is served from here."""
        return isinstance(shown, str) and shown.startswith(f"{self._url}/")

    def attach(self, client: Client, project: int) -> None:
        """Begin to serve."""
        if self._server is not None:
            return
        try:
            self._server = ThreadingHTTPServer(self._address, _handler(self._uris))
        except OSError as error:
            raise Refused(
                "`platform.options.http_host` and `http_port` must name an address that alearn can listen on. Got "
                f"{self._address[0]}:{self._address[1]}: {error.strerror}. Choose another port; another loop may have "
                "this one."
            ) from error
        threading.Thread(target=self._server.serve_forever, name="alearn-pictures", daemon=True).start()

    def check(self, client: Client, project: int | None) -> Sequence[Finding]:
        """Whether the address is one that other machines' browsers cannot reach."""
        here = urlsplit(self._url).hostname in {"127.0.0.1", "localhost", "::1"}
        advice = "Browsers of other machines do not: set `platform.options.http_host` and `http_url`." if here else ""
        return [
            Finding(
                f"Browsers of this machine see pictures at {self._url} while alearn runs. {advice}".strip(), ok=True
            )
        ]

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _read(file: Path) -> dict[str, str]:
    """What was served before; a last line that was cut short by a crash is left out."""
    uris: dict[str, str] = {}
    if not file.exists():
        return uris
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            key, uri = json.loads(line)
        except ValueError:
            continue
        uris[str(key)] = str(uri)
    return uris


def _handler(uris: Mapping[str, str]) -> type[BaseHTTPRequestHandler]:
    """The handler for these pictures."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            name = PurePosixPath(urlsplit(self.path).path.lstrip("/"))
            uri = uris.get(name.stem) if len(name.parts) == 1 else None
            if uri is None:
                self.send_error(404)
                return
            try:
                content = picture(uri, suffix_of(uri))
            except (OSError, Unshowable):
                self.send_error(410)
                return
            self.send_response(200)
            self.send_header("Content-Type", SHOWABLE.get(suffix_of(uri), "image/png"))
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Access-Control-Allow-Origin", "*")  # brushes read pixels
            self.send_header("Cache-Control", "max-age=86400, immutable")
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads an access log here."""

    return Handler
