"""Where a URL that people wrote may lead, and that nothing further inside is asked for."""

import socket
from typing import Any

import httpx
import pytest

from alearn_connectors.label_studio import web as pictures
from alearn_connectors.label_studio.web import Astray, Reach, allowed, fetch, reach, reach_of


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("8.8.8.8", Reach.WEB),
        ("2001:4860:4860::8888", Reach.WEB),
        ("10.1.2.3", Reach.PRIVATE),
        ("192.168.1.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("fd00::1", Reach.PRIVATE),
        ("127.0.0.1", Reach.HERE),
        ("127.8.0.1", Reach.HERE),
        ("::1", Reach.HERE),
        ("::ffff:127.0.0.1", Reach.HERE),
        ("::ffff:10.0.0.1", Reach.PRIVATE),
        ("169.254.169.254", Reach.NOWHERE),
        ("fe80::1%lo", Reach.NOWHERE),
        ("0.0.0.0", Reach.NOWHERE),
        ("::", Reach.NOWHERE),
        ("224.0.0.1", Reach.NOWHERE),
        ("255.255.255.255", Reach.NOWHERE),
    ],
)
def test_each_address_has_its_depth(address: str, found: Reach) -> None:
    """In both families, and when one is written as the other."""
    assert reach_of(address) == found


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.0.0.1"])
def test_other_ways_to_write_this_machine_are_seen_through(host: str) -> None:
    """What counts is the address that would be connected to."""
    assert reach(host) == Reach.HERE


@pytest.mark.parametrize("inside", [Reach.WEB, Reach.PRIVATE, Reach.HERE])
def test_a_url_leads_no_further_inside_than_the_one_before(inside: Reach) -> None:
    """Outwards it may, and there is no way back then."""
    urls = {Reach.WEB: "https://8.8.8.8/a", Reach.PRIVATE: "http://10.0.0.1/a", Reach.HERE: "http://[::1]/a"}
    for found, url in urls.items():
        if found <= inside:
            assert allowed(httpx.URL(url), inside) == found
        else:
            with pytest.raises(Astray):
                allowed(httpx.URL(url), inside)


@pytest.mark.parametrize("inside", [Reach.WEB, Reach.PRIVATE])
def test_nothing_is_asked_of_what_lies_further_inside(web: Any, inside: Reach) -> None:
    """Not even to look what it is."""
    web.pages["/a.png"] = (200, {}, b"secret")
    with pytest.raises(Astray, match="to this machine itself"):
        fetch(f"{web.url}/a.png", 100, inside)
    assert web.asked == []


def test_a_name_that_changes_its_address_is_not_read(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns a name may let it lead here between the look and the request."""
    web.pages["/a.png"] = (200, {}, b"secret")
    resolve, first = socket.getaddrinfo, iter(["8.8.8.8"])

    def changing(host: Any, *rest: Any, **more: Any) -> Any:
        return resolve(next(first, "127.0.0.1") if host == "changing.example" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    port = httpx.URL(web.url).port
    with pytest.raises(Astray, match="to this machine itself"):
        fetch(f"http://changing.example:{port}/a.png", 100, Reach.WEB)
    assert len(web.asked) == 1


def test_what_comes_too_slowly_is_given_up(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bytes came."""
    web.pages["/a.png"] = (200, {}, b"x" * 1000)
    monkeypatch.setattr(pictures, "LONGEST", -1.0)
    with pytest.raises(TimeoutError):
        fetch(f"{web.url}/a.png", 10_000, Reach.HERE)
