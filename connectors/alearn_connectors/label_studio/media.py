"""How what is labeled gets into the annotator's browser.

Text travels inside the task. A picture on the web is left where it is. Any other picture is laid under Label Studio's
media root (`local-files`: Label Studio serves it to whoever is logged in), or served from here while alearn runs
(`http`).

Invariant: a picture's name is its item's key, so laying it out twice is laying it out once, and nothing but the
pictures of the loop can be asked for.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import quote, urlsplit

from alearn.errors import Refused
from alearn.platform import Finding, Task
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.client import Client, Missing

SHOWABLE = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}
"""What browsers show, by suffix. Everything else (TIFF, PNM, …) is shown as a PNG made of it."""


_LOCAL_FILES = "/data/local-files/?d="


class Unshowable(Exception):  # noqa: N818 - the event is the name
    """An item that Label Studio cannot show; its text is the reason."""


class Media(Protocol):
    """A way of showing items."""

    def shown(self, task: Task) -> str:
        """What stands in the task's data: a text or a URL. Raises Unshowable."""
        ...

    def made(self, shown: object) -> bool:
        """Whether it is a URL that was made here for a picture of the loop, which need not be looked at."""
        ...

    def attach(self, client: Client, project: int) -> None:
        """Make the project able to show them; idempotent."""
        ...

    def check(self, client: Client, project: int | None) -> Sequence[Finding]:
        """Whether annotators will see them."""
        ...

    def close(self) -> None:
        """Stop what runs here."""
        ...


class Text:
    """Texts stand in the task itself."""

    def shown(self, task: Task) -> str:
        """The text."""
        if task.text is None:
            raise Unshowable("it has no text")
        if reason := convert.unusable(task.text):
            raise Unshowable(reason)
        return task.text

    def made(self, shown: object) -> bool:
        """A text is no URL."""
        return False

    def attach(self, client: Client, project: int) -> None:
        """Nothing to do."""

    def check(self, client: Client, project: int | None) -> Sequence[Finding]:
        """Nothing to look at."""
        return ()

    def close(self) -> None:
        """Nothing runs."""


@dataclass(frozen=True)
class LocalFiles:
    """Pictures under LOCAL_FILES_DOCUMENT_ROOT: this machine sees it as `root`, Label Studio as `root_there`."""

    root: Path
    root_there: PurePosixPath
    loop: str

    @property
    def _below(self) -> PurePosixPath:
        """Our folder under the root; a storage must be a strict subfolder of it."""
        return PurePosixPath("alearn", re.sub(r"[^\w.-]", "_", self.loop))

    @property
    def folder(self) -> Path:
        """Our folder as this machine sees it."""
        return self.root / self._below

    def shown(self, task: Task) -> str:
        """The URL under which Label Studio serves the picture, which is there when this returns."""
        if is_on_the_web(task.uri):
            return str(task.uri)
        suffix = suffix_of(task.uri)
        name = PurePosixPath(task.key[:2], task.key + (suffix if suffix in SHOWABLE else ".png"))
        place = self.folder / name
        try:
            if not place.exists():
                _lay(str(task.uri), suffix, place)
        except OSError as error:
            raise Unshowable(f"{task.uri} cannot be laid into {self.folder}: {error.strerror or error}") from error
        return f"{_LOCAL_FILES}{quote(str(self._below / name))}"

    def made(self, shown: object) -> bool:
        """Whether it lies in our folder."""
        return isinstance(shown, str) and shown.startswith(f"{_LOCAL_FILES}{quote(str(self._below))}/")

    def attach(self, client: Client, project: int) -> None:
        """Register the folder, which is what lets annotators see it. It is never synchronised: that makes tasks."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(
                f"`platform.options.media_root` must be a folder that alearn may write to. Got {self.root}: "
                f"{error.strerror}. Correct it, or its rights."
            ) from error
        there = str(self.root_there / self._below)
        known = client.get("/api/storages/localfiles", {"project": project})
        if all(storage["path"] != there for storage in known):
            client.post(
                "/api/storages/localfiles",
                {"project": project, "path": there, "use_blob_urls": True, "title": "alearn"},
            )

    def check(self, client: Client, project: int | None) -> Sequence[Finding]:
        """Lay a file there and ask Label Studio for it."""
        what = f"Label Studio shows pictures from {self.root}"
        if project is None:
            return [Finding(f"{what} (not looked at before there is a project)", os.access(self.root, os.W_OK), "")]
        probe = self.folder / "alearn-probe.png"
        try:
            probe.write_bytes(b"alearn")
            got = client.fetch("/data/local-files/", {"d": str(self._below / probe.name)})[1]
        except (OSError, Missing) as error:
            got, why = b"", str(error)
        else:
            why = "it serves another folder"
        finally:
            probe.unlink(missing_ok=True)
        advice = (
            f"{why} Start Label Studio with LOCAL_FILES_SERVING_ENABLED=true and "
            f"LOCAL_FILES_DOCUMENT_ROOT={self.root_there}, or set `platform.options.images` to http."
        )
        return [Finding(what, ok=got == b"alearn", advice="" if got == b"alearn" else advice)]

    def close(self) -> None:
        """Nothing runs."""


def is_on_the_web(uri: str | None) -> bool:
    """Whether browsers can fetch it themselves."""
    return uri is not None and urlsplit(uri).scheme in {"http", "https"}


def suffix_of(uri: str | None) -> str:
    """The suffix of a path or URL, in lower case."""
    if uri is None:
        raise Unshowable("it has no image")
    return PurePosixPath(urlsplit(uri).path if "://" in uri else uri).suffix.lower()


def picture(uri: str, suffix: str) -> bytes:
    """A picture's bytes as browsers show them. Raises OSError, Unshowable."""
    content = _bytes(uri)
    return content if suffix in SHOWABLE else _as_png(content, uri)


def _lay(uri: str, suffix: str, place: Path) -> None:
    """Put a picture where it is served: a link where that works, else a copy; whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f"{place.name}.{os.getpid()}.new")
    aside.unlink(missing_ok=True)
    if suffix not in SHOWABLE or "://" in uri:
        aside.write_bytes(picture(uri, suffix))
    else:
        try:
            os.link(os.path.realpath(uri), aside)
        except OSError:
            shutil.copyfile(uri, aside)
    aside.replace(place)
    aside.unlink(missing_ok=True)  # renaming a link over another link to the same file leaves both


def _bytes(uri: str) -> bytes:
    if "://" not in uri:
        return Path(uri).read_bytes()
    import fsspec

    with fsspec.open(uri, "rb") as file:
        return bytes(file.read())


def _as_png(content: bytes, uri: str) -> bytes:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            shown = image if image.mode in {"1", "L", "LA", "P", "RGB", "RGBA"} else image.convert("RGB")
            out = io.BytesIO()
            shown.save(out, "PNG")
    except (UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
        raise Unshowable(f"{uri} cannot be read as a picture: {error}") from error
    return out.getvalue()
