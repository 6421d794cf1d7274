"""Where Label Studio is, and what opens it.

Both are found anew at each connection, since a private server may come back on another port.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from alearn.core.schema import DataKind
from alearn.errors import ConfigError, Refused, Unavailable
from alearn.platform import Setting
from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.media import LocalFiles, Media, Text
from alearn_connectors.label_studio.options import Options, as_path
from alearn_connectors.label_studio.serving import Served


def private_server() -> Mapping[str, str] | None:
    """What `alearn label-studio status` shows; None when the private server does not run."""
    from alearn_connectors.label_studio.private import PrivateServer

    return PrivateServer().status()


def connect(options: Options) -> Client:
    """Open a connection; nothing is sent yet.

    Raises:
        Unavailable: no URL is given, and the private server does not run.
        Refused: there is no token.
    """
    private = private_server()
    url = options.url or (private or {}).get("url")
    if url is None:
        raise Unavailable(
            "`platform.options.url` is not set, so the private Label Studio is meant. It does not run. Start it with "
            "`alearn label-studio up`, or set the URL of yours."
        )
    token, whose = _token(options, url, private)
    return Client(url, token, whose)


def _token(options: Options, url: str, private: Mapping[str, str] | None) -> tuple[str, str]:
    """The token, and where it came from in words. A token that is named goes before the private server's own."""
    if options.token_file is not None:
        return _read(as_path(options.token_file)), f"the token in {options.token_file}"
    if private and private["url"] == url:
        return _read(Path(private["token_file"])), "the private server's token"
    if token := os.environ.get(options.token_env, "").strip():
        return token, f"the token in {options.token_env}"
    raise Refused(
        f"Label Studio at {url} needs a token. The environment variable {options.token_env} is not set. Set it to the "
        "access token from your account page in Label Studio, or name a file in `platform.options.token_file`."
    )


def _read(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"The token file {file} must be readable text. Got: {error}. Correct the path or its rights."
        ) from error
    if not token:
        raise Refused(
            f"The token file {file} must hold a token. It is empty. Put the token of your account page into it."
        )
    return token


def media(setting: Setting, options: Options) -> Media:
    """How this loop's items are shown. Raises Refused where local files are wanted and no media root is known."""
    kind: DataKind = setting.data
    if kind == "text":
        return Text()
    root = _media_root(options)
    if options.images == "http" or (options.images == "auto" and root is None):
        file = setting.home / "label-studio" / "pictures.jsonl"
        return Served(options.http_host, options.http_port, options.http_url, file)
    if root is None:
        raise Refused(
            "`platform.options.images` is local-files, which needs Label Studio's media root. None is given, and the "
            "private server does not run. Set `platform.options.media_root`, or start it with `alearn label-studio "
            "up`."
        )
    there = options.media_root_there or str(root)
    return LocalFiles(root, PurePosixPath(there), setting.loop)


def _media_root(options: Options) -> Path | None:
    if options.media_root is not None:
        return as_path(options.media_root)
    private = private_server()
    if private and options.url in {None, private["url"]}:
        return Path(private["media_root"])
    return None


def check_options(setting: Setting, options: Options) -> None:
    """Raise ConfigError for what can be seen without the network."""
    if setting.data == "image" and options.media_root is not None and not as_path(options.media_root).is_dir():
        raise ConfigError(
            f"`platform.options.media_root` of loop {setting.loop} must be an existing folder. Got "
            f"{options.media_root}. Correct it."
        )
