"""What one private Label Studio keeps: its data, its media, its secrets, its log, and who runs it now.

Invariant: everything is readable by its owner alone, and a file is whole or absent, however its writer ends.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alearn_connectors.label_studio.environment import private_environment
from alearn_connectors.label_studio.installation import DATABASE, make_folder

USERNAME = "alearn@localhost"
"""The server's owner."""


@dataclass(frozen=True)
class Home:
    """The folder of one server."""

    folder: Path

    @property
    def data(self) -> Path:
        """Label Studio's own folder, with its database."""
        return self.folder / "data"

    @property
    def media(self) -> Path:
        """What local-files storage may serve."""
        return self.folder / "media"

    @property
    def log(self) -> Path:
        """What the server printed since its last start."""
        return self.folder / "label-studio.log"

    @property
    def password_file(self) -> Path:
        """The owner's password."""
        return self.folder / "password"

    @property
    def token_file(self) -> Path:
        """The owner's API token (a legacy one: it does not expire)."""
        return self.folder / "token"

    @property
    def lock(self) -> Path:
        """Held by whoever starts the server."""
        return self.folder / "starting.lock"

    @property
    def settled(self) -> Path:
        """Exists once a first boot ended well: from then on the database is somebody's work."""
        return self.data / "settled"

    def prepare(self, template: Path) -> None:
        """Folders, secrets and the database. One whose first boot did not end was handed to nobody: it is redone."""
        make_folder(self.data)
        make_folder(self.media)
        _keep_secret(self.password_file, secrets.token_urlsafe(18))
        _keep_secret(self.token_file, secrets.token_hex(20))
        if not self.settled.exists():
            for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
                (self.data / name).unlink(missing_ok=True)
            shutil.copyfile(template, self.data / DATABASE)

    def environment(self) -> dict[str, str]:
        """What Label Studio is started with. Secrets only on the first boot, when its owner is created."""
        environment = private_environment(self.data) | {
            "LOCAL_FILES_SERVING_ENABLED": "true",
            "LOCAL_FILES_DOCUMENT_ROOT": str(self.media),
        }
        if not self.settled.exists():
            environment["LABEL_STUDIO_USERNAME"] = USERNAME
            environment["LABEL_STUDIO_PASSWORD"] = self.password_file.read_text()
            environment["LABEL_STUDIO_USER_TOKEN"] = self.token_file.read_text()
        return environment

    def facts(self) -> dict[str, str]:
        """What everybody may know of this home."""
        return {
            "username": USERNAME,
            "password_file": str(self.password_file),
            "token_file": str(self.token_file),
            "media_root": str(self.media),
            "home": str(self.folder),
            "log": str(self.log),
        }

    def state(self) -> dict[str, str]:
        """Who was started here last; empty when nobody was, or when the file cannot be read."""
        with suppress(OSError, ValueError):
            read = json.loads((self.folder / "state.json").read_text())
            if isinstance(read, dict):
                return {str(name): str(value) for name, value in read.items()}
        return {}

    def write_state(self, state: Mapping[str, str]) -> None:
        """Remember who was started."""
        _write_private(self.folder / "state.json", json.dumps(dict(state), indent=2))


def _keep_secret(path: Path, value: str) -> None:
    """Write a new secret down; one that is there stays."""
    if not path.exists():
        _write_private(path, value)


def _write_private(path: Path, text: str) -> None:
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    aside.replace(path)
