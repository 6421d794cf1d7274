"""`platform.options`: what is wrong is said in one sentence before anything is sent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from alearn.core.schema import LabelSchema
from alearn.errors import ConfigError, Refused, Unavailable
from alearn.platform import Setting
from alearn_connectors import label_studio
from alearn_connectors.label_studio import place
from alearn_connectors.label_studio.options import Options, read_options


def setting(options: Mapping[str, Any], *, home: Path = Path("/nowhere"), data: Any = "text") -> Setting:
    return Setting("loop", LabelSchema(("cat", "dog")), data, home, options)


def test_nothing_given_is_the_private_server() -> None:
    """Every option has a default."""
    assert read_options(setting({})) == Options()


def test_a_misspelt_key_is_an_error_that_names_its_neighbour() -> None:
    """A typing mistake never becomes a default."""
    with pytest.raises(ConfigError, match=r"`platform.options.overlp` of loop loop .*Did you mean `overlap`"):
        label_studio.open(setting({"overlp": 2}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "localhost:8080"},
        {"url": "ftp://host"},
        {"suggestions": "yes"},
        {"suggestions": None},
        {"suggestions": 1.01},
        {"suggestions": -0.1},
        {"suggestions": float("nan")},
        {"webhook": "no"},
        {"ml_backend": 1},
        {"overlap": 0},
        {"overlap": True},
        {"overlap": "2"},
        {"title": "ab"},
        {"title": "x" * 51},
        {"images": "ftp"},
        {"skip": "yes"},
        {"token_env": "not a name"},
        {"http_port": 0},
        {"question": "a\x01b"},
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(wrong: Mapping[str, Any]) -> None:
    """What, whose, allowed, got, next step."""
    (key,) = wrong
    with pytest.raises(ConfigError, match=rf"`platform.options.{key}` of loop loop must be .*Got .*(Correct|Remove)"):
        label_studio.open(setting(wrong))


def test_local_files_on_a_server_of_ones_own_need_its_media_root() -> None:
    """Nobody can guess where it lies."""
    with pytest.raises(ConfigError, match="media_root"):
        label_studio.open(setting({"url": "http://host", "images": "local-files"}, data="image"))


def test_a_media_root_must_exist(tmp_path: Path) -> None:
    """A folder that is made by mistake would be served by nobody."""
    options = {"url": "http://host", "media_root": str(tmp_path / "missing")}
    with pytest.raises(ConfigError, match="existing folder"):
        label_studio.open(setting(options, data="image"))


@pytest.mark.parametrize("loop", ["x", "x" * 63])
def test_a_title_is_made_of_the_loops_name_and_fits(loop: str) -> None:
    """Label Studio takes 3 to 50 characters; long names that begin alike stay apart."""
    title = Options().title_of(loop)
    assert 3 <= len(title) <= 50
    assert title != Options().title_of(loop[:-1] + "y")


def test_a_server_without_a_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable."""
    monkeypatch.delenv("MY_TOKEN", raising=False)
    with pytest.raises(Refused, match="MY_TOKEN is not set"):
        place.connect(Options(url="http://host", token_env="MY_TOKEN"))


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_token_file_must_hold_a_token(tmp_path: Path, content: str | None) -> None:
    """Missing and empty files are told apart from wrong tokens."""
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(Refused, match="token file"):
        place.connect(Options(url="http://host", token_file=str(tmp_path / "token")))


def test_without_a_url_the_private_server_must_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be started later, so this is tried again."""
    monkeypatch.setenv("ALEARN_DATA", str(tmp_path))
    with pytest.raises(Unavailable, match="alearn label-studio up"):
        place.connect(Options())


@pytest.mark.parametrize(
    ("suggestions", "suggests", "least"),
    [(True, True, 0.0), (False, False, 0.0), (0, True, 0.0), (0.0, True, 0.0), (0.8, True, 0.8), (1, True, 1.0)],
)
def test_suggestions_are_on_off_or_from_a_confidence_on(
    suggestions: bool | float, suggests: bool, least: float
) -> None:
    """A confidence of 0 is not off, and one of 1 is not on."""
    options = read_options(setting({"suggestions": suggestions}))
    assert (options.suggests, options.least_confidence) == (suggests, least)
