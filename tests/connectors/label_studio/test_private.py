"""The private server, live: one per home, loopback only, its secrets private, and it survives whoever starts it."""

import json
import os
import pkgutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from alearn.platform import server
from alearn_connectors import label_studio
from alearn_connectors.label_studio.home import Home
from alearn_connectors.label_studio.installation import DATABASE
from alearn_connectors.label_studio.private import PrivateServer, free_port
from alearn_connectors.label_studio.process import Process, born

pytestmark = pytest.mark.label_studio

CONFIG = """<View><Image name="image" value="$image"/>
<Choices name="answer" toName="image"><Choice value="a"/><Choice value="b"/></Choices></View>"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def started(home: Path) -> list[Mapping[str, str]]:
    """What two processes, which have ended since, were told when both started a new server at once."""
    starters = [start_elsewhere(home), start_elsewhere(home)]
    return [json.loads(starter.communicate(timeout=300)[0]) for starter in starters]


@pytest.fixture(scope="module")
def up(home: Path, started: list[Mapping[str, str]]) -> Iterator[PrivateServer]:
    """The server that they started. A test that stops it starts it again."""
    server = PrivateServer(home)
    yield server
    server.down()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[PrivateServer]:
    """A server that was never started."""
    server = PrivateServer(tmp_path / "home")
    yield server
    server.down()


def start_elsewhere(home: Path) -> subprocess.Popen[bytes]:
    """A process that starts a server, prints what it is told, and ends."""
    code = "import json, sys; from pathlib import Path\n"
    code += "from alearn_connectors.label_studio.private import PrivateServer\n"
    code += "print(json.dumps(dict(PrivateServer(Path(sys.argv[1])).up(lambda told: None))))"
    return subprocess.Popen([sys.executable, "-c", code, home], stdout=subprocess.PIPE)


def running(server: PrivateServer) -> Mapping[str, str]:
    state = server.status()
    assert state is not None
    return state


def client(up: PrivateServer, *, token: bool = True) -> httpx.Client:
    state = running(up)
    headers = {"Authorization": f"Token {Path(state['token_file']).read_text()}"} if token else {}
    return httpx.Client(base_url=state["url"], headers=headers, trust_env=False, timeout=30)


def soon(met: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def test_it_is_what_the_connector_offers() -> None:
    """Through the one door; a submodule with the name of what the connector offers would hide it once imported."""
    assert isinstance(server("label-studio"), PrivateServer)
    modules = {module.name for module in pkgutil.iter_modules(label_studio.__path__)}
    assert not modules & {"open", "server", "robots"}


def test_up_twice_is_one_server(up: PrivateServer) -> None:
    """The second `up`, also from another process's object, finds the first, and starts nothing."""
    told: list[str] = []
    assert PrivateServer(up.home.folder).up(told.append) == running(up)
    assert told == []
    assert {"url", "username", "password_file", "token_file", "media_root", "log", "pid"} <= running(up).keys()


def test_two_at_once_start_one_server(started: list[Mapping[str, str]], up: PrivateServer) -> None:
    """The second starter waits for the first, and is told the same."""
    assert started == [running(up), running(up)]


def test_down_and_up_again_keep_address_and_work(up: PrivateServer) -> None:
    """Anybody who knows the home can stop it; the projects, the token and the port are there after the next start.

    From then on no secret is on its command line or in its environment.
    """
    with client(up) as http:
        title = f"kept {time.time_ns()}"
        http.post("/api/projects/", json={"title": title, "label_config": CONFIG}).raise_for_status()
    before = running(up)
    assert PrivateServer(up.home.folder).down()
    assert up.status() is None
    assert not up.down()
    assert up.up(print)["url"] == before["url"]
    with client(up) as http:
        found = http.get("/api/projects/", params={"title": title}).raise_for_status().json()
    assert found["count"] == 1
    process = psutil.Process(int(running(up)["pid"]))
    seen = json.dumps([process.cmdline(), process.environ()])
    assert up.home.token_file.read_text() not in seen
    assert up.home.password_file.read_text() not in seen


def test_a_taken_port_is_left_to_its_owner(up: PrivateServer) -> None:
    """Another port is picked when the last one is busy."""
    taken = int(running(up)["url"].rpartition(":")[2])
    up.down()
    with socket.create_server(("127.0.0.1", taken)):
        state = up.up(print)
        assert not state["url"].endswith(f":{taken}")
        with client(up) as http:
            assert http.get("/api/current-user/whoami").json()["email"] == state["username"]


def test_a_port_that_is_taken_while_it_boots_is_given_up(fresh: PrivateServer) -> None:
    """Label Studio would move to the next port by itself, and say nothing; it is started again where we know it."""
    with ExitStack() as sockets:

        def steal() -> None:
            soon(lambda: fresh.home.state().get("phase") == "starting", 200)
            sockets.enter_context(socket.create_server(("127.0.0.1", int(fresh.home.state()["port"]))))

        thief = threading.Thread(target=steal)
        thief.start()
        told: list[str] = []
        fresh.up(told.append)
        thief.join()
    assert sum(line.startswith("starting") for line in told) == 2
    assert len({line for line in told if line.startswith("starting")}) == 2
    with client(fresh) as http:
        assert http.get("/api/current-user/whoami").is_success


def test_an_up_that_was_killed_leaves_nothing_behind(fresh: PrivateServer) -> None:
    """The server it was starting is ended, and the database that nobody was given is made again, with our token."""
    starter = start_elsewhere(fresh.home.folder)
    soon(lambda: fresh.home.state().get("phase") == "starting", 200)
    starter.send_signal(signal.SIGKILL)
    starter.communicate(timeout=5)
    orphan = fresh.home.state()
    assert fresh.status() is None
    (fresh.home.data / DATABASE).write_bytes(b"half a database")
    assert fresh.up(print)["pid"] != orphan["pid"]
    assert not Process(int(orphan["pid"]), orphan["born"]).alive()
    with client(fresh) as http:
        assert http.get("/api/current-user/whoami").is_success


def test_a_stranger_with_its_pid_is_not_ended(tmp_path: Path) -> None:
    """After a reboot the number may belong to somebody else."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    home = Home(tmp_path)
    state = {
        "phase": "ready",
        "pid": str(stranger.pid),
        "born": "long ago",
        "url": "http://127.0.0.1:9",
        "version": "1",
    }
    home.write_state(state)
    server = PrivateServer(tmp_path)
    assert server.status() is None
    assert not server.down()
    assert born(stranger.pid) is not None
    stranger.kill()
    stranger.wait(5)


def test_secrets_are_private(up: PrivateServer) -> None:
    """Files 0600 in folders 0700."""
    home = up.home
    secret_files = [home.password_file, home.token_file, home.log, home.folder / "state.json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in secret_files} == {0o600}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (home.folder, home.data, home.media)} == {0o700}


def test_it_listens_on_loopback_only(up: PrivateServer) -> None:
    """Every listening socket of the process is bound to 127.0.0.1; another name for it is refused (DNS rebinding)."""
    listening = [c.laddr.ip for c in psutil.Process(int(running(up)["pid"])).net_connections() if c.status == "LISTEN"]
    assert listening == ["127.0.0.1"]
    port = int(running(up)["url"].rpartition(":")[2])
    for address in _other_addresses():
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((address, port)) != 0, address
    with client(up) as http:
        assert http.get("/api/version", headers={"Host": "evil.example"}).status_code == 400


def _other_addresses() -> list[str]:
    found = [a.address for addresses in psutil.net_if_addrs().values() for a in addresses if a.family == socket.AF_INET]
    return [address for address in found if not address.startswith("127.")]


def test_sign_up_needs_the_invite_link(up: PrivateServer) -> None:
    """Whoever reaches the port cannot make an account."""
    form = {"email": "somebody@alearn.invalid", "password": "long enough 1"}
    for invited in (False, True):
        with client(up) as owner, client(up, token=False) as http:
            page = owner.get("/api/invite").json()["invite_url"] if invited else "/user/signup/"
            http.get(page)
            csrf = {"X-CSRFToken": http.cookies["csrftoken"], "Referer": str(http.base_url)}
            assert http.post(page, data=form, headers=csrf).status_code == (302 if invited else 403)


def test_media_are_served_to_those_who_may(up: PrivateServer) -> None:
    """A file below the media root, once its folder is registered, and not to strangers."""
    folder = up.home.media / "pictures"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_bytes(b"the picture")
    with client(up) as http, client(up, token=False) as stranger:
        project = http.post("/api/projects/", json={"title": "media", "label_config": CONFIG}).json()["id"]
        anchor = {"project": project, "path": str(folder), "use_blob_urls": True, "title": "pictures"}
        http.post("/api/storages/localfiles/", json=anchor).raise_for_status()
        assert http.get("/data/local-files/", params={"d": "pictures/a.txt"}).content == b"the picture"
        assert stranger.get("/data/local-files/", params={"d": "pictures/a.txt"}).status_code == 401
        assert up.home.token_file.read_text() not in http.get("/data/local-files/", params={"d": "../token"}).text


def test_webhooks_of_this_machine_are_allowed(up: PrivateServer) -> None:
    """The loop is woken at a loopback address."""
    with client(up) as http:
        project = http.post("/api/projects/", json={"title": "webhook", "label_config": CONFIG}).json()["id"]
        hook = {"project": project, "url": f"http://127.0.0.1:{free_port(0)}/wake", "actions": ["ANNOTATION_CREATED"]}
        assert http.post("/api/webhooks/", json=hook).status_code == 201


@pytest.mark.skipif(os.name != "posix", reason="sessions")
def test_it_outlives_the_command_that_started_it(up: PrivateServer) -> None:
    """`alearn label-studio up` returns; the server goes on, in a session of its own that no terminal signals."""
    pid = int(running(up)["pid"])
    assert os.getsid(pid) == pid
