"""What Label Studio asks, answered without a network: recorded calls, and what forgers, bunglers and accidents send."""

import dataclasses
import json
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.schema import LabelSchema
from alearn.platform import Call, Listening, Setting, Suggestion
from alearn_connectors import label_studio as connector
from alearn_connectors.label_studio import backend, webhook
from alearn_connectors.label_studio.hearing import LARGEST, LARGEST_PREDICT, Hearing, note_asked
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.options import Options
from alearn_connectors.label_studio.project import project_of

GOLDEN = Path(__file__).parent / "golden"
CALLS: Mapping[str, Any] = json.loads((GOLDEN / "calls.json").read_text())
JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
WORDS = st.sampled_from(["action", "tasks", "data", "alearn_id", "id", "ANNOTATION_CREATED"])
ACTIONS = ["ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "TASKS_DELETED"]


class Deaf:
    """A host that knows nothing and does nothing."""

    def wake(self) -> None: ...

    def train(self) -> None: ...

    def version(self) -> str | None:
        return None

    def suggest(self, keys: Sequence[str]) -> Mapping[str, Suggestion]:
        return dict.fromkeys(keys, Suggestion("pos", 0.5))


class Ears:
    """A loop's platform that has never seen a network, and calls that carry its secrets."""

    def __init__(self, home: Path, **options: Any) -> None:
        given = {"url": "http://127.0.0.1:9", "ml_backend": True, **options}
        self.setting = Setting("birds", LabelSchema(("pos", "neg")), "text", home, given)
        self.notes = Notes(home / "label-studio")
        self.secret, self.password = self.notes.secret(webhook.SECRET), self.notes.secret(backend.SECRET)
        platform = connector.open(self.setting)
        assert isinstance(platform, Listening)
        self.hear = platform.hear

    def signed(self, path: str, body: Any = None, method: str = "POST") -> Call:
        basic = b64encode(f"{backend.USER}:{self.password}".encode()).decode()
        key = {"authorization": f"Basic {basic}"} if path.startswith("/ml") else {"x-alearn-secret": self.secret}
        return Call(method, path, key, body if isinstance(body, bytes) else json.dumps(body).encode())

    def recorded(self, name: str) -> Call:
        """A recorded call, with our secret in the place of the recording's."""
        raw = CALLS[name]
        headers = {key.lower(): value for key, value in raw["headers"].items()}
        call = self.signed(raw["path"], raw["body"], raw["method"])
        return dataclasses.replace(call, headers=headers | dict(call.headers))


@pytest.fixture
def ears(tmp_path: Path) -> Ears:
    return Ears(tmp_path)


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Ears:
    """For many examples."""
    return Ears(tmp_path_factory.mktemp("ears"))


class TestWebhook:
    @pytest.mark.parametrize("action", ACTIONS)
    def test_what_people_do_wakes_the_loop(self, ears: Ears, listener: Any, action: str) -> None:
        """As Label Studio sends it, with a payload or without."""
        assert ears.hear(ears.recorded(f"webhook-{action}"), listener).status == 200
        assert ears.hear(ears.signed("/webhook", {"action": action}), listener).status == 200
        assert (listener.woken, listener.trained) == (2, 0)

    def test_start_training_trains_and_looks(self, ears: Ears, listener: Any) -> None:
        """Label Studio sends it to ML backends; a script of one's own may send it here."""
        assert ears.hear(ears.signed("/webhook", {"action": "START_TRAINING"}), listener).status == 200
        assert (listener.woken, listener.trained) == (1, 1)

    @pytest.mark.parametrize("name", ["PROJECT_UPDATED", "TASKS_CREATED"])
    def test_what_alearn_does_itself_wakes_nobody(self, ears: Ears, listener: Any, name: str) -> None:
        """Else it would go in circles."""
        assert ears.hear(ears.recorded(f"webhook-{name}"), listener).status == 200
        assert (listener.woken, listener.trained) == (0, 0)

    @pytest.mark.parametrize("action", ["LABEL_LINK_CREATED", "", None, 7, ["ANNOTATION_CREATED"], {}])
    def test_an_unknown_action_is_heard_and_means_nothing(self, ears: Ears, listener: Any, action: Any) -> None:
        """A newer Label Studio may have more of them."""
        assert ears.hear(ears.signed("/webhook", {"action": action}), listener).status == 200
        assert ears.hear(ears.signed("/webhook", {}), listener).status == 200
        assert (listener.woken, listener.trained) == (0, 0)

    def test_a_call_that_comes_again_is_one_more_look(self, ears: Ears, listener: Any) -> None:
        """Nothing of its body is believed, so replaying it gains nothing."""
        call = ears.recorded("webhook-ANNOTATION_CREATED")
        assert {ears.hear(call, listener).status for _ in range(5)} == {200}
        assert (listener.woken, listener.trained, listener.asked) == (5, 0, [])

    @pytest.mark.parametrize("secret", [None, "", "wrong", "ü", "\udc80"])
    def test_without_the_secret_nothing_is_done(self, ears: Ears, listener: Any, secret: str | None) -> None:
        """Whatever the body is: it is not looked at."""
        headers = {} if secret is None else {"x-alearn-secret": secret}
        for body in (b'{"action":"ANNOTATION_CREATED"}', b"junk", b"x" * (LARGEST + 1)):
            assert ears.hear(Call("POST", "/webhook", headers, body), listener).status == 401
        assert listener.woken == 0

    def test_while_there_is_no_secret_nobody_has_it(self, tmp_path: Path, listener: Any) -> None:
        """Not even who sends an empty one; and hearing makes none."""
        hearing = Hearing(("a", "b"), Options(ml_backend=True), Notes(tmp_path))
        empty = {"x-alearn-secret": "", "authorization": f"Basic {b64encode(b'alearn:').decode()}"}
        for path in ("/webhook", "/ml/setup"):
            assert hearing.answer(Call("POST", path, empty, b'{"action":"ANNOTATION_CREATED"}'), listener).status == 401
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"action=ANNOTATION_CREATED", 400),
            (b"\xff\xfe", 400),
            (b"[]", 400),
            (b'"ANNOTATION_CREATED"', 400),
            (b"null", 400),
            (b"[" * 500_000, 400),
            (b'{"a":' * 100_000, 400),
            (b"9" * 10_000, 400),
            (b'{"action":"ANNOTATION_CREATED"}' + b" " * LARGEST, 413),
        ],
    )
    def test_a_body_that_is_no_small_object_is_refused(
        self, ears: Ears, listener: Any, body: bytes, status: int
    ) -> None:
        """Though it is signed."""
        assert ears.hear(ears.signed("/webhook", body), listener).status == status
        assert listener.woken == 0

    @given(
        path=st.sampled_from(["/webhook", "/ml/setup", "/ml/webhook", "/ml/predict"]),
        body=st.binary(max_size=200)
        | st.recursive(JSON, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)),
    )
    def test_no_body_is_an_exception(self, signing: Ears, path: str, body: Any) -> None:
        """Whatever is sent is answered: what it asks for, or 400."""
        assert signing.hear(signing.signed(path, body), Deaf()).status in {200, 400}

    def test_a_lost_secret_is_made_anew_and_the_old_one_is_refused(self, ears: Ears, listener: Any) -> None:
        """Without a restart of whoever hears."""
        old = ears.recorded("webhook-ANNOTATION_CREATED")
        (ears.notes.folder / "webhook.secret").unlink()
        assert ears.hear(old, listener).status == 401
        ears.secret = ears.notes.secret(webhook.SECRET)
        assert ears.hear(old, listener).status == 401
        assert ears.hear(ears.recorded("webhook-ANNOTATION_CREATED"), listener).status == 200

    def test_the_secrets_are_their_owners_alone_and_stay(self, ears: Ears) -> None:
        """One is shown in Label Studio's list of webhooks, so it must not open the other door."""
        for name, value in ((webhook.SECRET, ears.secret), (backend.SECRET, ears.password)):
            file = ears.notes.folder / f"{name}.secret"
            assert file.stat().st_mode & 0o777 == 0o600
            assert ears.notes.secret(name) == file.read_text() == value
            assert len(value) >= 40
        assert ears.secret != ears.password


class TestPaths:
    @pytest.mark.parametrize(
        "path", ["", "/", "/webhook/", "/WEBHOOK", "/webhooks", "/ml", "/ml/", "/ml/train", "/../ml"]
    )
    def test_what_is_not_known_is_404(self, ears: Ears, listener: Any, path: str) -> None:
        """Signed or not."""
        assert ears.hear(ears.signed(path, {}), listener).status == 404
        assert ears.hear(Call("GET", path), listener).status == 404

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/webhook"), ("PUT", "/webhook"), ("POST", "/ml/health"), ("GET", "/ml/predict")]
    )
    def test_another_method_is_405(self, ears: Ears, listener: Any, method: str, path: str) -> None:
        """And does nothing."""
        assert ears.hear(ears.signed(path, {"action": "ANNOTATION_CREATED"}, method), listener).status == 405
        assert listener.woken == 0

    def test_without_the_option_there_is_no_ml_backend(self, tmp_path: Path, listener: Any) -> None:
        """Off is off."""
        ears = Ears(tmp_path, ml_backend=False)
        for name in CALLS:
            expected = 404 if name.startswith("ml-") else 200
            assert ears.hear(ears.recorded(name), listener).status == expected
        assert listener.trained == 0


class TestBackend:
    @pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("ml-")])
    def test_without_the_password_nothing_is_told_or_done(self, ears: Ears, listener: Any, name: str) -> None:
        """Nor with the webhook's secret, nor with another user's name."""
        call = ears.recorded(name)
        other = b64encode(f"bob:{ears.password}".encode()).decode()
        for headers in (
            {},
            {"authorization": "Basic AAAA"},
            {"authorization": f"Basic {other}"},
            {"authorization": f"Bearer {ears.password}"},
            {"x-alearn-secret": ears.secret, "authorization": ears.secret},
        ):
            assert ears.hear(dataclasses.replace(call, headers=headers), listener).status == 401
        assert (listener.woken, listener.trained, listener.asked) == (0, 0, [])

    def test_health_setup_and_versions_say_the_newest_version(self, ears: Ears, listener: Any) -> None:
        """By a name that no queue's version can have: else Label Studio would take its predictions for the order."""
        assert ears.hear(ears.recorded("ml-health"), listener).content["status"] == "UP"
        assert ears.hear(ears.recorded("ml-setup"), listener).content == {"model_version": "live:none"}
        listener.newest = "3f2a"
        assert ears.hear(ears.recorded("ml-setup"), listener).content == {"model_version": "live:3f2a"}
        assert ears.hear(ears.recorded("ml-versions"), listener).content == {"versions": ["live:3f2a"]}
        assert ":" in backend.title_of("birds")

    def test_start_training_trains(self, ears: Ears, listener: Any) -> None:
        """Label Studio waits for the answer, up to 100 seconds: nothing is waited for here."""
        begun = time.perf_counter()
        reply = ears.hear(ears.recorded("ml-webhook-START_TRAINING"), listener)
        assert time.perf_counter() - begun < 0.1
        assert (reply.status, reply.content) == (200, {})
        assert (listener.trained, listener.woken) == (1, 1)

    def test_one_result_per_task_in_order(self, ears: Ears, listener: Any) -> None:
        """Empty ones for what may get none, for strangers, for classes that are no longer asked, and for junk."""
        listener.newest = "v7"
        listener.believed = {"k1": Suggestion("neg", 0.75), "k2": Suggestion("pos", 1.0), "k3": Suggestion("fox", 0.9)}
        keys = ["k2", "hold-out", "k1", None, "k3", "k2"]
        tasks: list[Any] = [{"id": at, "data": {"alearn_id": key}} for at, key in enumerate(keys)]
        reply = ears.hear(ears.signed("/ml/predict", {"tasks": [*tasks, {"data": []}, 7, None]}), listener)
        empty = {"result": [], "score": 0.0, "model_version": "live:v7"}
        assert (
            reply.content["results"]
            == [told("pos", 1.0), empty, told("neg", 0.75), empty, empty, told("pos", 1.0)] + [empty] * 3
        )
        assert listener.asked == ["k2", "hold-out", "k1", "k3"]

    @pytest.mark.parametrize("name", ["ml-predict", "ml-predict-interactive"])
    def test_recorded_tasks_are_answered(self, ears: Ears, listener: Any, name: str) -> None:
        """They are not ours: their results are empty."""
        assert [one["result"] for one in ears.hear(ears.recorded(name), listener).content["results"]] == [[]]

    @pytest.mark.parametrize(("suggestions", "shown"), [(True, 2), (False, 0), (0.8, 1), (1.0, 0), (0, 2)])
    def test_suggestions_are_as_rare_as_the_options_say(
        self, tmp_path: Path, listener: Any, suggestions: bool | float, shown: int
    ) -> None:
        """The same rule as in the queue."""
        ears = Ears(tmp_path, suggestions=suggestions)
        listener.believed = {"a": Suggestion("pos", 0.5), "b": Suggestion("neg", 0.8)}
        tasks = [{"data": {"alearn_id": key}} for key in "ab"]
        results = ears.hear(ears.signed("/ml/predict", {"tasks": tasks}), listener).content["results"]
        assert sum(bool(one["result"]) for one in results) == shown

    def test_results_follow_a_question_that_was_renamed(self, ears: Ears, listener: Any) -> None:
        """As it was called when the backend was attached."""
        offer = project_of(json.loads((GOLDEN / "project.json").read_text())).offer
        assert offer is not None
        note_asked(ears.notes, dataclasses.replace(offer, control="verdict", to_name="thing"))
        listener.believed = {"a": Suggestion("pos", 0.5)}
        reply = ears.hear(ears.signed("/ml/predict", {"tasks": [{"data": {"alearn_id": "a"}}]}), listener)
        (item,) = reply.content["results"][0]["result"]
        assert (item["from_name"], item["to_name"]) == ("verdict", "thing")

    def test_many_texts_may_come_at_once_but_not_any_number(self, ears: Ears, listener: Any) -> None:
        """*Retrieve predictions* sends all chosen tasks in one body."""
        tasks = [{"data": {"alearn_id": "a", "text": "x" * (2 * LARGEST)}}]
        assert ears.hear(ears.signed("/ml/predict", {"tasks": tasks}), listener).status == 200
        assert ears.hear(ears.signed("/ml/predict", b" " * (LARGEST_PREDICT + 1)), listener).status == 413

    @pytest.mark.parametrize("body", [{}, {"tasks": None}, {"tasks": {}}, {"tasks": "all"}])
    def test_no_list_of_tasks_is_400(self, ears: Ears, listener: Any, body: Any) -> None:
        """In a sentence."""
        assert ears.hear(ears.signed("/ml/predict", body), listener).status == 400

    def test_a_thousand_calls_are_answered_quickly(self, ears: Ears, listener: Any) -> None:
        """A burst costs the annotators nothing: a few milliseconds each at the very most."""
        call = ears.recorded("webhook-ANNOTATION_CREATED")
        begun = time.perf_counter()
        for _ in range(1000):
            ears.hear(call, listener)
        assert time.perf_counter() - begun < 5
        assert listener.woken == 1000


def told(name: str, confidence: float) -> Mapping[str, Any]:
    item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": [name]}}
    return {"result": [item], "score": confidence, "model_version": "live:v7"}
