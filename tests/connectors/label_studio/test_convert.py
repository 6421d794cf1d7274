"""Label Studio's JSON and XML both ways: golden files recorded from a live 1.23.2, and names of every kind."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from alearn.core.schema import LabelSchema
from alearn.errors import ConfigError
from alearn.platform import QueueEntry, Task
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.project import project_of

GOLDEN = Path(__file__).parent / "golden"
PETS = LabelSchema(("cat", "dog"))
AWKWARD = LabelSchema(('a<b & "c"', "d, e", "😀", "$100", "it's ${x}"))
OFFER = convert.Offer("label", "item", frozenset({"text"}), PETS.classes)


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


def stored(config: str) -> list[str]:
    """The answers that a label config offers, as Label Studio's own parser reads it."""
    return list(LabelInterface(config).get_control(convert.CONTROL).labels)


SIGNS = st.one_of(st.sampled_from("<>&\"',;$#{}[]😀\\ é"), st.characters(exclude_categories=("C", "Z")))
NAMES = (
    st.text(SIGNS, min_size=1, max_size=12)
    .map(lambda text: " ".join(text.split()))
    .filter(str.isprintable)
    .filter(bool)
)


@st.composite
def schemas(draw: st.DrawFn) -> LabelSchema:
    return LabelSchema(tuple(draw(st.lists(NAMES, min_size=2, max_size=6, unique=True))))


class TestLabelConfig:
    @pytest.mark.parametrize(
        ("name", "schema", "data", "question"),
        [
            ("text.xml", PETS, "text", ""),
            ("image.xml", PETS, "image", "What is $shown?"),
            ("awkward.xml", AWKWARD, "text", ""),
        ],
    )
    def test_is_what_it_was(self, name: str, schema: LabelSchema, data: Any, question: str) -> None:
        """A label config changes only on purpose: projects out there were made with it."""
        assert convert.label_config(schema, data, question) == (GOLDEN / name).read_text().strip()

    @given(schema=schemas())
    @settings(max_examples=60, deadline=None)
    def test_every_printable_name_survives(self, schema: LabelSchema) -> None:
        """What Label Studio's parser reads back are the classes, in their order, whatever they are called."""
        assert stored(convert.label_config(schema, "text")) == list(schema.classes)

    @given(schema=schemas())
    @settings(max_examples=30, deadline=None)
    def test_no_name_is_taken_for_a_variable(self, schema: LabelSchema) -> None:
        """Label Studio's page replaces $word by a field of the task; no shown name holds one."""
        config = convert.label_config(schema, "text")
        shown = [choice.attr["value"] for choice in LabelInterface(config).get_control("label").labels_attrs.values()]
        assert not any(convert._VARIABLE.search(name) for name in shown)

    def test_an_image_leaves_room_for_what_is_below_and_above(self) -> None:
        """The more rows of classes and lines of a question there are, the lower it is; a drop-down list is one row."""

        def taken(classes: int, question: str = "") -> int:
            schema = LabelSchema(tuple(f"a defect {at}" for at in range(classes)))
            found = re.search(r"100vh - (\d+)px", convert.label_config(schema, "image", question))
            assert found
            return int(found[1])

        assert taken(2) == 260 < taken(10) < taken(20) < taken(30)
        assert taken(31) == 260
        assert taken(2) < taken(2, "What is to be seen? " * 15)

    def test_many_classes_are_a_drop_down_list(self) -> None:
        """Forty buttons would hide the item."""
        many = LabelSchema(tuple(f"class {at}" for at in range(40)))
        assert 'layout="select"' in convert.label_config(many, "text")

    def test_missing_choices_are_added_and_the_rest_is_kept(self) -> None:
        """A config that somebody edited keeps what they added."""
        edited = convert.label_config(PETS, "text", "Mine")
        mended = convert.with_choices(edited, "label", ["fox", "$100"])
        assert stored(mended) == ["cat", "dog", "fox", "$100"]
        assert "Mine" in mended


class TestOffer:
    def test_is_read_from_a_recorded_project(self) -> None:
        """Our own question, out of what Label Studio says of the project."""
        assert project_of(golden("project.json")).offer == OFFER

    def test_a_renamed_question_is_found_when_it_is_the_only_one(self) -> None:
        """People may rename the control; it is still the question."""
        control = {"type": "Choices", "to_name": ["t"], "inputs": [{"value": "text"}], "labels": ["cat"]}
        assert convert.offer({"verdict": control, "note": {"type": "TextArea", "to_name": ["t"]}}) == convert.Offer(
            "verdict", "t", frozenset({"text"}), ("cat",)
        )

    def test_two_strange_questions_are_none_of_ours(self) -> None:
        """Which of them is meant cannot be known."""
        control = {"type": "Choices", "to_name": ["t"], "inputs": [], "labels": ["cat"]}
        assert convert.offer({"one": control, "two": control}) is None


class TestTasks:
    def test_a_task_carries_its_key(self) -> None:
        """The key travels in the data, where it survives exports and id reuse."""
        body = convert.task_json(Task("k" * 32, text="hello"), "text", "hello")
        assert body == {"data": {"alearn_id": "k" * 32, "text": "hello"}}
        assert convert.task_key(body) == "k" * 32

    @pytest.mark.parametrize("data", [None, {}, {"alearn_id": 7}, {"alearn_id": ""}, []])
    def test_a_task_without_a_key_is_a_stranger(self, data: Any) -> None:
        """Tasks that people imported themselves have none."""
        assert convert.task_key({"id": 1, "data": data}) is None

    @pytest.mark.parametrize("text", ["", "  \n", "a\x00b", "half \ud83d"])
    def test_texts_that_the_database_would_refuse_are_named(self, text: str) -> None:
        """PostgreSQL fails on them with a 500, which would look like a server that is down."""
        assert convert.unusable(text)

    def test_ordinary_texts_are_usable(self) -> None:
        """Emoji and markup are."""
        assert convert.unusable("<b>😀</b> $x") is None


class TestPredictions:
    def test_a_suggestion_is_valid_for_label_studio(self) -> None:
        """What we send passes the SDK's own validation, which the fast import leaves out."""
        made = convert.prediction_json(7, QueueEntry("k", 0.25, "dog", 0.9), "v1", OFFER, suggest=True)
        assert made["result"][0]["value"] == {"choices": ["dog"]}
        interface = LabelInterface(convert.label_config(PETS, "text"))
        assert interface.validate_prediction(made, return_errors=True) == []

    @given(schema=schemas(), score=st.floats(0, 1))
    @settings(max_examples=30, deadline=None)
    def test_any_class_makes_a_valid_suggestion(self, schema: LabelSchema, score: float) -> None:
        """The alias of an awkward name is what predictions say too."""
        interface = LabelInterface(convert.label_config(schema, "text"))
        asked = convert.Offer("label", "item", frozenset({"text"}), schema.classes)
        for name in schema.classes:
            made = convert.prediction_json(7, QueueEntry("k", score, name), "v1", asked, suggest=True)
            assert interface.validate_prediction(made, return_errors=True) == []

    @pytest.mark.parametrize(
        ("entry", "suggest"),
        [(QueueEntry("k", 0.5), True), (QueueEntry("k", 0.5, "dog"), False), (QueueEntry("k", 0.5, "fox"), True)],
    )
    def test_without_a_suggestion_only_the_order_is_said(self, entry: QueueEntry, suggest: bool) -> None:
        """For the hold-out, for loops that suggest nothing, and for a class the project does not offer."""
        made = convert.prediction_json(7, entry, "v1", OFFER, suggest=suggest)
        assert made == {"task": 7, "result": [], "score": 0.5, "model_version": "v1"}
        assert not LabelInterface(convert.label_config(PETS, "text")).validate_prediction(made, return_errors=True)

    @pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
    def test_a_score_that_label_studio_drops_silently_is_an_error(self, score: float) -> None:
        """It answers 201 and creates nothing."""
        with pytest.raises(ValueError, match="not in"):
            convert.prediction_json(7, QueueEntry("k", score), "v1", OFFER, suggest=True)


class TestAnnotations:
    def read(self, at: int) -> list[Any]:
        raw = golden("feed.json")["tasks"][at]
        return [
            convert.annotation(one, "k", scope="5.x", controls={"label"}, classes=PETS.classes)
            for one in raw["annotations"]
        ]

    def test_an_answer(self) -> None:
        """Value, annotator, time and lead time as recorded; the id tells reused ids apart by when they were made."""
        (found,) = self.read(0)
        raw = golden("feed.json")["tasks"][0]["annotations"][0]
        assert (found.value, found.skipped, found.refused, found.lead_time) == ("cat", False, None, 2.5)
        assert found.annotator == "user-1"
        assert found.updated_at == raw["updated_at"]
        assert found.id == f"5.x/{raw['id']}-{convert.compact(raw['created_at'])}"

    def test_a_skip_is_no_answer(self) -> None:
        """Label Studio keeps skips among the annotations."""
        (found,) = self.read(1)
        assert (found.value, found.skipped, found.refused) == (None, True, None)

    def test_an_empty_submit_is_neither_a_skip_nor_refused(self) -> None:
        """It is legal, and says nothing."""
        (found,) = self.read(2)
        assert (found.value, found.skipped, found.refused) == (None, False, None)

    @pytest.mark.parametrize(("at", "why"), [(3, "'fox' is not a class"), (4, "2 answers"), (6, "answered in other")])
    def test_what_is_outside_the_schema_is_refused_in_words(self, at: int, why: str) -> None:
        """An unknown class, two answers, and an answer to another question."""
        (found,) = self.read(at)
        assert found.value is None
        assert not found.skipped
        assert why in found.refused

    def test_several_annotations_of_one_task_are_all_there(self) -> None:
        """Duplicates are expected on SQLite; consensus sorts them out."""
        assert [found.value for found in self.read(5)] == ["cat", "dog"]
        assert len({found.id for found in self.read(5)}) == 2

    @pytest.mark.parametrize(
        ("who", "name"), [(4, "user-4"), ({"id": 4, "email": "a@b.c"}, "user-4"), (None, "unknown-9")]
    )
    def test_completed_by_is_a_number_an_object_or_nothing(self, who: Any, name: str) -> None:
        """It depends on the endpoint, and on whether the user still exists."""
        raw = {"id": 9, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "completed_by": who}
        assert convert.annotation(raw, "k", scope="5.x", controls={"label"}, classes=PETS.classes).annotator == name


class TestTimes:
    @given(when=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)))
    def test_every_time_has_fractional_seconds(self, when: datetime) -> None:
        """Label Studio leaves them out at whole seconds, and fails with a 500 on a filter without them."""
        written = when.isoformat().replace("+00:00", "Z")
        assert convert.exact(written) == when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert convert.just_before(written) < convert.exact(written)

    def test_other_zones_become_utc(self) -> None:
        """A server with a time zone of its own writes offsets."""
        assert convert.exact("2026-01-01T02:00:00+02:00") == "2026-01-01T00:00:00.000000Z"


def test_names_that_a_schema_refuses_never_get_here() -> None:
    """What XML or Label Studio would alter is refused when the config is read."""
    with pytest.raises(ConfigError):
        LabelSchema(("a\nb", "c"))
