"""Binding a port and answering on it until somebody says stop."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import uvicorn

from alearn.config import Config
from alearn.errors import ConfigError
from alearn.server.app import application
from alearn.server.fleet import Fleet


def serve(configs: Sequence[Config], *, host: str, port: int, address: str = "") -> None:
    """Serve these loops until SIGINT or SIGTERM. `address` is where platforms reach this; none: the host and port.

    Raises:
        ConfigError: two loops have one name, the port is taken, or platforms could not reach the address.
    """
    names = [one.name for one in configs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"Loops that are served together must have different names. Got {twice[0]!r} twice.")
    bound = bind(host, port)
    fleet = Fleet.of(configs, (address or _own_address(host, bound)).rstrip("/"))
    settings = uvicorn.Config(application(fleet), log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    uvicorn.Server(settings).run(sockets=[bound])


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; raises ConfigError: the port is taken, or the host is not this machine's."""
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(kind, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(2048)  # here, so that of two servers the second fails at once
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"`--host` and `--port` must be free to listen on. Got {host}:{port}: {error.strerror}. Name another port."
        ) from error
    return bound


def _own_address(host: str, bound: socket.socket) -> str:
    """The address that follows from where it listens; raises ConfigError for all addresses at once."""
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        everywhere = False
    if everywhere:
        raise ConfigError(
            f"`--address` must say where Label Studio reaches this server when it listens on {host}. Got nothing. "
            "Add for example --address http://192.168.1.20:8085; a host's name needs a dot, or Label Studio refuses it."
        )
    return f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"
