"""The YAML file of a loop: what is accepted, and what is said of what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from alearn.config import Config, Section, dump, load, masked, parse
from alearn.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


def sound(**more: Any) -> dict[str, Any]:
    return {"name": "birds", "items": {"path": "photos"}, "task": {"data": "image", "classes": ["crow", "owl"]}} | more


def refused(raw: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as error:
        parse(raw, name="birds.yaml", folder=Path())
    return str(error.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_are_sound(path: Path) -> None:
    """Every config in configs/ loads, and the printed JSON schema accepts it too."""
    assert load(path).name == path.stem
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(json.dumps(Config.model_json_schema())))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "name: [", "\x00"], ids=["empty", "a list", "not yaml", "binary"])
def test_what_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    """A file that holds no keys, or is no YAML, is named."""
    (tmp_path / "birds.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"birds\.yaml"):
        load(tmp_path / "birds.yaml")


def test_a_missing_file_says_what_writes_one(tmp_path: Path) -> None:
    """The next step is in the message."""
    with pytest.raises(ConfigError, match="alearn init"):
        load(tmp_path / "nothing.yaml")


def test_an_unknown_key_is_an_error() -> None:
    """A typing mistake never becomes a default; the keys that exist are listed."""
    said = refused(sound(query={"bacth": 5}))
    assert "`query.bacth` in birds.yaml" in said
    assert "batch" in said
    assert "`querry`" in refused(sound(querry={}))


def test_a_wrong_value_says_what_is_allowed() -> None:
    """File, key, allowed, got, next step."""
    said = refused(sound(query={"batch": 0}))
    assert said == (
        "`query.batch` in birds.yaml: input should be greater than or equal to 1. Got 0. "
        "Correct it, or remove the line for the default, 32."
    )


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"query": {"batch": "many"}}, "`query.batch`"),
        ({"query": {"batch": 10_001}}, "`query.batch`"),
        ({"query": 5}, "`query`"),
        ({"seed": -1}, "`seed`"),
        ({"name": "My Birds!"}, "`name`"),
        ({"items": {}}, "exactly one of `path` and `package`"),
        ({"items": {"path": "a", "package": "elpv"}}, "exactly one of `path` and `package`"),
        ({"task": {"data": "sound", "classes": ["a", "b"]}}, "`task.data`"),
        ({"task": {"data": "image", "classes": ["a"]}}, "at least 2"),
        ({"task": {"data": "image", "classes": ["a", "a"]}}, "'a' twice"),
        ({"task": {"data": "image", "classes": ["a", " b"]}}, "' b'"),
        ({"task": {"data": "image", "classes": [1, 2]}}, "`task.classes.0`"),
        ({"target": {"value": 0.9}, "holdout": {"size": 0}}, "holdout.size"),
        ({"target": {"value": 1.5}}, "`target.value`"),
        ({"target": {"value": 1}}, "`target.value`"),
        ({"target": {"value": 0.9}, "holdout": {"size": 29}}, "`holdout.size` to at least 30, not 29"),
        ({"target": {"value": 0.9}, "holdout": {"share": 0}}, "`holdout.share` above 0"),
        ({"target": {"value": 0.9}, "holdout": {"rate": 0}}, "`holdout.rate` above 0"),
        ({"target": {"value": 0.9}, "budget": {"labels": 30}}, "`budget.labels` above 30"),
        ({"folder": "elsewhere"}, "`folder`"),
        ({"target": {"metric": "f1", "positive": "hawk", "value": 0.9}}, "target.positive"),
        ({"queue": {"low": 9, "high": 9}}, "queue.high"),
        ({"budget": {"money": 100}}, "set `costs.annotation` or `costs.hour` above 0"),
        ({"budget": {"money": 100}, "costs": {"annotation": 0}}, "set `costs.annotation` or `costs.hour` above 0"),
        ({"budget": {"money": 0}, "costs": {"hour": 30}}, "`budget.money`"),
        ({"costs": {"hour": -1}}, "`costs.hour`"),
        ({"costs": {"currency": ""}}, "`costs.currency`"),
    ],
)
def test_wrong_configs_are_refused(more: dict[str, Any], fault: str) -> None:
    """Wrong types, ranges and combinations are named by their key."""
    assert fault in refused(sound(**more))


def test_every_fault_is_named_at_once() -> None:
    """A person corrects a file once, not fault by fault."""
    said = refused(sound(seed="x", query={"batch": 0}, nonsense=1, task={"data": "image", "classes": ["a", "a"]}))
    assert len(said.splitlines()) == 4
    assert all("birds.yaml" in line for line in said.splitlines())
    said = refused(sound(target={"value": 0.9}, holdout={"size": 5, "share": 0}))
    assert len(said.splitlines()) == 2
    assert all("birds.yaml" in line for line in said.splitlines())


def test_a_decision_depends_on_prices_only_where_money_is_limited() -> None:
    """Another price decides anew where money is the limit; elsewhere it changes nothing."""
    terms = lambda **more: parse(sound(**more), name="birds.yaml", folder=Path()).terms  # noqa: E731
    assert terms() == terms(costs={"hour": 30})
    limited = {"budget": {"money": 100}}
    assert terms(**limited, costs={"hour": 30}) != terms(**limited, costs={"hour": 40})
    assert terms(**limited, costs={"hour": 30}) != terms(costs={"hour": 30})


def test_a_target_on_the_fewest_holdout_labels_is_fine() -> None:
    """The limit itself is allowed; without a target a hold-out may be of any size."""
    sized = lambda size, **more: parse(sound(holdout={"size": size}, **more), name="birds.yaml", folder=Path())  # noqa: E731
    assert sized(30, target={"value": 0.9}, budget={"labels": 31}).target
    assert sized(5).holdout.size == 5


@pytest.mark.parametrize("name", ["<b>", 'say "hi"', "a, b", "🦉", "ünïcode"])
def test_difficult_class_names_are_fine(name: str) -> None:
    """Label names are for people; only what platforms would alter is refused."""
    config = parse(sound(task={"data": "text", "classes": ["plain", name]}), name="birds.yaml", folder=Path())
    assert config.schema_.classes == ("plain", name)


def test_variables_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """${NAME} is filled in, ${NAME:-default} has a default, and a missing one is named."""
    monkeypatch.setenv("BIRDS", "photos/birds")
    monkeypatch.delenv("FISH", raising=False)
    path = lambda text: parse(sound(items={"path": text}), name="birds.yaml", folder=Path()).items.path  # noqa: E731
    assert path("/data/${BIRDS}") == "/data/photos/birds"
    assert path("${FISH:-photos/fish}") == "photos/fish"
    said = refused(sound(items={"path": "${FISH}"}, home="${FOWL}"))
    assert "FISH" in said
    assert "FOWL" in said


def test_paths_are_meant_from_the_files_folder(tmp_path: Path) -> None:
    """The same file works from every folder it is called in; URLs stay as they are."""
    config = parse(sound(), name="birds.yaml", folder=tmp_path)
    assert config.source.path == str(tmp_path / "photos")
    assert config.home_ == tmp_path / "runs" / "birds"
    assert parse(sound(items={"path": "s3://a/b"}), name="birds.yaml", folder=tmp_path).source.path == "s3://a/b"


def test_a_tilde_is_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a shell, in `items.path` and in `home`."""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    config = parse(sound(items={"path": "~/photos"}, home="~/loops/birds"), name="birds.yaml", folder=tmp_path)
    assert config.source.path == str(tmp_path / "me" / "photos")
    assert config.home_ == tmp_path / "me" / "loops" / "birds"


SECRETS = [
    "postgresql+psycopg://me:hunter2@127.0.0.1:9/x",
    "postgresql://me:with hunter2@and/@127.0.0.1/x",
    "redis://:hunter2@localhost",
    "postgresql://localhost/x?user=me&password=hunter2",
]


@pytest.mark.parametrize("url", SECRETS)
def test_passwords_are_in_nothing_that_is_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop gets the URL as it is; repr, dumps and messages have *** for the password, wherever the URL stands."""
    monkeypatch.setenv("BIRDS_URL", url)
    raw = sound(store={"url": "${BIRDS_URL}"}, platform={"options": {"urls": ["${BIRDS_URL}"]}})
    config = parse(raw, name="birds.yaml", folder=Path())
    assert config.store.url == url
    assert config.platform.options["urls"] == [url]
    for shown in (repr(config), str(config), repr(config.store), config.store.model_dump_json()):
        assert "hunter2" not in shown
    assert "***" in repr(config.store)
    for more in (
        {"seed": "${BIRDS_URL}"},
        {"name": "${BIRDS_URL}"},
        {"store": {"url": {"x": "${BIRDS_URL}"}}},
        {"target": {"value": 0.9, "positive": "${BIRDS_URL}"}},
    ):
        said = refused(sound(**more))
        assert "hunter2" not in said
        assert "***" in said


def test_a_broken_file_does_not_show_its_text(tmp_path: Path) -> None:
    """A password may stand in the line that is no YAML; the line's number is enough."""
    (tmp_path / "birds.yaml").write_text("store:\n  url: 'redis://:hunter2@localhost\n")
    with pytest.raises(ConfigError, match="line") as error:
        load(tmp_path / "birds.yaml")
    assert "hunter2" not in str(error.value)


def test_what_is_no_secret_is_shown() -> None:
    """Ports, users and places are what a person looks for in a message."""
    for plain in ("http://127.0.0.1:8080/a?b=c", "sqlite:////home/a:b@c/x.db", "s3://bucket/a@b", "me@example.org"):
        assert masked(plain) == plain
    assert masked({"token_env": "KEY", "token": "abc"}) == {"token_env": "KEY", "token": "***"}


def test_a_dumped_config_is_the_same_loop_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another name and home, all else as it was; what the environment filled in is filled in again, not written."""
    monkeypatch.setenv("BIRDS_URL", "postgresql://me:hunter2@127.0.0.1/x")
    options = {"title": "Birds: 1, 2", "overlap": 2, "nested": {"a": [1, None, "no"]}}
    raw = sound(
        store={"url": "${BIRDS_URL}"},
        platform={"name": "files", "options": options},
        task={"data": "image", "classes": ["yes", "no", "1", "🦉"]},
        target={"value": 0.9},
        seed="${SEED:-7}",
    )
    before = parse(raw, name="birds.yaml", folder=tmp_path / "a")
    text = dump(before, name="owls", home=".")
    assert "hunter2" not in text
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "alearn.yaml").write_text(text, encoding="utf-8")
    after = load(tmp_path / "b" / "alearn.yaml")
    assert (after.name, after.home_, after.source) == ("owls", tmp_path / "b", before.source)
    assert (after.store.url, after.seed, after.platform) == (before.store.url, 7, before.platform)
    assert (after.task, after.terms, after.recipe) == (before.task, before.terms, before.recipe)


def test_a_changed_target_changes_the_terms() -> None:
    """So that a loop which has stopped is decided anew under the new one."""
    low = parse(sound(target={"value": 0.8}), name="birds.yaml", folder=Path())
    high = parse(sound(target={"value": 0.9}), name="birds.yaml", folder=Path())
    assert low.terms != high.terms
    assert low.recipe == high.recipe


def test_every_key_is_explained_or_plain() -> None:
    """The JSON schema tells an editor what a key is for wherever its name does not."""
    plain = {
        "name",
        "size",
        "labels",
        "seed",
        "value",
        "metric",
        "strategy",
        "count",
        "accuracy",
        "skip_rate",
        "type",
        "head",
    }
    sections = [kind for kind in Section.__subclasses__() if kind is not Config]
    missing = [
        f"{kind.__name__}.{key}"
        for kind in sections
        for key, field in kind.model_fields.items()
        if not field.description and key not in plain
    ]
    assert missing == []
