"""Label Studio in an environment of its own, so that its many dependencies never meet alearn's.

An installation is a virtual environment plus a migrated, empty database: the migrations take half a minute, so they run
once here and a new server starts from a copy.

Invariant: the marker is written last. A folder without it is what a killed installation left, and is redone.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from alearn.errors import ConfigError, Unavailable
from alearn.places import cache_folder
from alearn_connectors.label_studio.environment import private_environment
from alearn_connectors.label_studio.process import last_lines, locked

VERSION = "1.23.2"
"""The release that alearn is tested with; `ALEARN_LABEL_STUDIO_VERSION` asks for another."""

NAME = "label-studio"
"""Its folder inside alearn's."""

DATABASE = "label_studio.sqlite3"
"""How Label Studio calls its database inside its data folder."""


@dataclass(frozen=True)
class Installation:
    """A Label Studio that is ready to run."""

    version: str
    folder: Path

    @property
    def command(self) -> list[str]:
        """What runs it; its arguments follow. Unbuffered, so that its log is never behind."""
        if sys.platform == "win32":
            return [str(self.folder / "Scripts" / "label-studio.exe")]
        return [str(self.python), "-u", str(self.folder / "bin" / "label-studio")]

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    @property
    def template(self) -> Path:
        """A migrated database without a user or an organisation."""
        return self.folder / "template.sqlite3"

    @property
    def marker(self) -> Path:
        """Exists when the installation is whole."""
        return self.folder / "installed"

    @property
    def log(self) -> Path:
        """What the last attempt to install printed; beside the folder, which a retry removes."""
        return self.folder.with_suffix(".log")

    def whole(self) -> bool:
        """Whether nothing is left to do; False also when the interpreter it was made from is gone."""
        return self.marker.exists() and self.python.exists()


def make_folder(folder: Path) -> Path:
    """The folder, existing and readable by its owner alone; ConfigError when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"Label Studio's folder {folder} must be writable by you. Got: {error.strerror}. "
            "Correct its rights, or set ALEARN_CACHE to another folder."
        ) from error
    return folder


def installation(root: Path | None = None) -> Installation:
    """Where Label Studio is, or would be, installed; it may not be there yet."""
    version = os.environ.get("ALEARN_LABEL_STUDIO_VERSION") or VERSION
    name = f"env-{version}-py{sys.version_info.major}.{sys.version_info.minor}"
    return Installation(version, (root or cache_folder() / NAME) / name)


def install(progress: Callable[[str], None], root: Path | None = None) -> Installation:
    """Install Label Studio unless it is there already.

    Raises:
        Unavailable: a step failed; the message ends with the last lines of its output.
    """
    wanted = installation(root)
    if wanted.whole():
        return wanted
    make_folder(wanted.folder.parent)
    with locked(
        wanted.folder.with_suffix(".lock"), lambda: progress("waiting for another process that installs Label Studio")
    ):
        if not wanted.whole():
            progress(f"installing Label Studio {wanted.version} in {wanted.folder} (once, a minute or two)")
            shutil.rmtree(wanted.folder, ignore_errors=True)
            wanted.log.unlink(missing_ok=True)
            _make_environment(wanted)
            progress("preparing its database (once, about half a minute)")
            _make_template(wanted)
            wanted.marker.write_text(wanted.version)
    return wanted


def _make_environment(wanted: Installation) -> None:
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    uv = beside or shutil.which("uv")
    requirement = f"label-studio=={wanted.version}"
    python = str(wanted.python)
    _run(wanted, [sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), str(wanted.folder)])
    if uv:
        _run(wanted, [uv, "pip", "install", "--python", python, requirement])
    else:
        _run(wanted, [python, "-m", "pip", "install", "--disable-pip-version-check", requirement])


def _make_template(wanted: Installation) -> None:
    """Migrate a new database and keep it in WAL mode, which doubles what SQLite does for several annotators."""
    folder = make_folder(wanted.folder / "first-boot")
    _run(wanted, [*wanted.command, "version"], private_environment(folder))  # migrates, and creates nobody
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.execute("PRAGMA journal_mode=wal")
    (folder / DATABASE).replace(wanted.template)
    shutil.rmtree(folder)


def _run(wanted: Installation, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    with wanted.log.open("ab") as output:
        code = subprocess.run(
            list(command),
            env=dict(environment or clean),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if code:
        raise Unavailable(
            f"Label Studio {wanted.version} must be installed in {wanted.folder}. Got: code {code} from "
            f"{Path(command[0]).name}. Mend what {wanted.log} says, then run this again. Its last lines:\n"
            f"{last_lines(wanted.log)}"
        )
