"""Fetching what a task's URL leads to, when it is on the web.

Whoever may add a task chooses the URL, and this machine may reach what they may not. So a URL leads no further inside
than Label Studio itself is (where that is on this machine, whoever uses it is there too), and a redirect no further
than the URL that people gave.

Invariant: nothing is sent but a GET that carries nothing of ours, and what lies further inside is never read.
"""

from __future__ import annotations

import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx

from alearn_connectors.label_studio.client import at_most

PATIENCE = httpx.Timeout(10.0, connect=5.0)
LONGEST = 30.0
"""Seconds that the bytes of one picture may take."""

HOPS = 5
"""So many redirects are followed."""


class Reach(IntEnum):
    """How far inside an address is. Nobody keeps pictures at `NOWHERE`: clouds tell their secrets there."""

    WEB = 0
    PRIVATE = 1
    HERE = 2
    NOWHERE = 3


class Astray(Exception):  # noqa: N818 - the event is the name
    """A URL leads to where nothing is fetched; its text says where."""


def fetch(url: str, most: int, inside: Reach) -> tuple[int, bytes | None]:
    """The status and the bytes of what is at a URL; None for more than `most` bytes. `inside` is how far it may lead.

    No proxy is asked, as the loop asks none when it reads its items.

    Raises:
        Astray: it leads further inside, in circles, or to another scheme.
        httpx.InvalidURL, httpx.RequestError, TimeoutError: nothing comes.
    """
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        request = client.build_request("GET", url)
        for _ in range(HOPS + 1):
            inside = allowed(request.url, inside)
            answer = client.send(request, stream=True)
            try:
                _look_again(answer, inside)
                if answer.next_request is None:
                    content = at_most(answer.iter_bytes(), most, seconds=LONGEST) if answer.is_success else b""
                    return answer.status_code, content
                request = answer.next_request
            finally:
                answer.close()
    raise Astray("leads from one address to the next")


def allowed(url: httpx.URL, inside: Reach) -> Reach:
    """How far inside the URL leads, and what follows it may. Raises Astray where that is further than `inside`."""
    if url.scheme not in {"http", "https"} or not url.host:
        raise Astray(f"leads to {f'the scheme {url.scheme}:' if url.host else 'no host'}")
    found = reach(url.raw_host.decode("ascii"))
    if found > inside:
        raise Astray(_further(found))
    return found


def reach(host: str) -> Reach:
    """How far inside the innermost address of a host is; one that has no address is nobody's."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Reach.WEB
    return max((reach_of(str(one[4][0])) for one in found), default=Reach.WEB)


def reach_of(address: str) -> Reach:
    """How far inside an IP address is."""
    plain: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    plain = getattr(plain, "ipv4_mapped", None) or plain
    if plain.is_loopback:
        return Reach.HERE
    if plain.is_link_local or plain.is_unspecified or plain.is_multicast or plain.is_reserved:
        return Reach.NOWHERE
    return Reach.WEB if plain.is_global else Reach.PRIVATE


def _look_again(answer: httpx.Response, inside: Reach) -> None:
    """A name may have got another address since it was looked up."""
    stream = answer.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if peer is not None and (found := reach_of(str(peer[0]))) > inside:
        raise Astray(_further(found))


def _further(found: Reach) -> str:
    where = {Reach.PRIVATE: "into a private network", Reach.HERE: "to this machine itself"}
    return f"leads {where.get(found, 'to an address where there are no pictures')}"
