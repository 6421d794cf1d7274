"""alearn as ML backend of a live Label Studio: its buttons work, and the order stays the queue's."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from alearn.errors import Refused, Unavailable
from alearn.platform import Queue, QueueEntry, Suggestion
from alearn_connectors.label_studio import backend


def rows(loop: Any) -> Sequence[Mapping[str, Any]]:
    found = loop.get("/api/ml/", project=loop.project)
    assert isinstance(found, list)
    return found


def only(loop: Any) -> Mapping[str, Any]:
    (row,) = rows(loop)
    return row


def hooks(loop: Any) -> list[str]:
    """Where the project's webhooks call."""
    return [hook["url"] for hook in loop.get("/api/webhooks/", project=loop.project)]


@pytest.fixture
def attached(make: Any, ear: Any) -> Any:
    """A loop whose backend was connected before its first queue was pushed, and its six keys."""
    loop = make(ml_backend=True)
    loop.platform.subscribe(ear.address(loop))
    keys = loop.keys_of(6)
    loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys, label="cat"))
    return loop, keys


class TestOrder:
    def test_the_order_is_the_queues(self, attached: Any) -> None:
        """A live backend whose title is the project's model version would make it chance."""
        loop, keys = attached
        assert loop.raw["model_version"] == "q1"
        assert loop.served() == keys

    def test_a_backend_that_joins_later_changes_no_order(self, make: Any, ear: Any) -> None:
        """Nor does one that leaves."""
        loop = make(ml_backend=True)
        keys = loop.keys_of(4)
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
        loop.platform.subscribe(ear.address(loop))
        assert loop.raw["model_version"] == "q1"
        loop.platform.push([], loop.queue_of(keys[::-1], "q2"))
        assert loop.next()["data"]["alearn_id"] == keys[-1]
        loop.platform.subscribe(None)
        assert loop.raw["model_version"] == "q2"
        assert loop.served() == keys[::-1]

    def test_before_the_first_queue_the_title_does_not_become_the_version(self, make: Any, ear: Any) -> None:
        """Label Studio sets it by itself where there is none."""
        loop = make(ml_backend=True)
        loop.platform.subscribe(ear.address(loop))
        assert loop.raw["model_version"] == ""

    def test_opening_a_task_asks_nobody(self, attached: Any, ear: Any) -> None:
        """The annotator sees the queue's suggestion, and waits for nothing."""
        loop, keys = attached
        ear.calls.clear()
        task = loop.next()
        assert loop.get(f"/api/tasks/{task['id']}/")["data"]["alearn_id"] == keys[0]
        assert task["predictions"][0]["result"][0]["value"] == {"choices": ["cat"]}
        assert ear.calls == []


class TestButtons:
    def test_start_training_trains(self, attached: Any, ear: Any) -> None:
        """One call, with the password."""
        loop, _ = attached
        loop.post(f"/api/ml/{only(loop)['id']}/train", {})
        assert (ear.listener.trained, ear.listener.woken) == (1, 1)

    def test_retrieved_predictions_are_the_models_and_do_not_order(self, attached: Any, ear: Any) -> None:
        """They lie beside the queue's, under a version of their own; the hold-out gets none that says something."""
        loop, keys = attached
        ear.listener.newest = "v1"
        ear.listener.believed = {key: Suggestion("$100", 0.9) for key in keys[:2]}
        tasks = loop.tasks()
        loop.action("retrieve_tasks_predictions", [tasks[key] for key in keys[:3]])
        assert loop.versions() == {"q1": 6, "live:v1": 3}
        live = {
            key: prediction
            for key in keys[:3]
            for prediction in loop.get("/api/predictions/", task=tasks[key])
            if prediction["model_version"] == "live:v1"
        }
        assert [live[key]["result"][0]["value"]["choices"] for key in keys[:2]] == [["$100"], ["$100"]]
        assert (live[keys[0]]["score"], live[keys[2]]["result"]) == (0.9, [])
        assert loop.served() == keys

    def test_what_people_do_is_told_once(self, attached: Any, ear: Any) -> None:
        """By our webhook; the one that Label Studio makes for a backend would tell it again, with all it knows."""
        loop, keys = attached
        ear.calls.clear()
        loop.answer(loop.tasks()[keys[0]], "cat")
        assert ear.paths() == ["/webhook"]


class TestSubscribe:
    def test_one_backend_with_a_password_and_no_webhook_of_its_own(self, attached: Any, ear: Any) -> None:
        """Label Studio reaches it."""
        loop, _ = attached
        row = only(loop)
        assert row["url"] == f"{ear.url}/loops/{loop.setting.loop}/ml"
        assert (row["auth_method"], row["basic_auth_user"], row["basic_auth_pass_is_set"]) == (
            "BASIC_AUTH",
            "alearn",
            True,
        )
        assert (row["readable_state"], row["model_version"]) == ("Connected", "live:none")
        assert hooks(loop) == [f"{ear.url}/loops/{loop.setting.loop}/webhook"]

    def test_again_connects_nothing(self, attached: Any, ear: Any) -> None:
        """Also from a new process, and while nobody answers."""
        loop, _ = attached
        before = only(loop)
        loop.open().subscribe(ear.address(loop))
        ear.platforms.clear()
        ear.close()
        loop.platform.subscribe(f"{ear.url}/loops/{loop.setting.loop}")
        assert only(loop)["id"] == before["id"]

    def test_a_password_that_was_lost_is_told_anew(self, attached: Any, ear: Any) -> None:
        """Label Studio does not show the one it has: a fingerprint in the description tells."""
        loop, _ = attached
        before = only(loop)
        (loop.setting.home / "label-studio" / "ml-backend.secret").unlink()
        loop.platform.subscribe(ear.address(loop))
        after = only(loop)
        assert after["id"] != before["id"]
        assert after["readable_state"] == "Connected"
        assert loop.raw["model_version"] == "q1"

    def test_another_address_replaces_the_first(self, attached: Any, new_ear: Any) -> None:
        """With what belonged to it."""
        loop, keys = attached
        other = new_ear()
        loop.platform.subscribe(other.address(loop))
        assert only(loop)["url"].startswith(other.url)
        assert hooks(loop) == [f"{other.url}/loops/{loop.setting.loop}/webhook"]
        assert loop.served() == keys

    @pytest.mark.parametrize("off", [False, True])
    def test_none_and_off_leave_nothing_behind(self, attached: Any, ear: Any, off: bool) -> None:
        """Label Studio keeps a backend's webhook when it is deleted; we do not, even when both were left by a crash."""
        loop, keys = attached
        left = f"{only(loop)['url']}/webhook"
        loop.post("/api/webhooks/", {"project": loop.project, "url": left})
        if off:
            loop.setting.options["ml_backend"] = False
        loop.open().subscribe(ear.address(loop) if off else None)
        assert rows(loop) == []
        assert left not in hooks(loop)
        assert len(hooks(loop)) == off
        assert loop.served() == keys

    def test_an_address_of_another_shape_is_left_as_clean(self, make: Any, ear: Any) -> None:
        """Behind a proxy its path may be anything: the marks tell what is ours, and the backend what came with it."""
        loop = make(ml_backend=True)
        ear.address(loop)
        loop.platform.subscribe(f"{ear.url}/proxied/{loop.setting.loop}")
        left = f"{only(loop)['url']}/webhook"
        loop.post("/api/webhooks/", {"project": loop.project, "url": left})
        assert len(hooks(loop)) == 2
        loop.open().subscribe(None)
        assert (rows(loop), hooks(loop)) == ([], [])

    def test_a_backend_of_others_is_left(self, attached: Any, ear: Any) -> None:
        """It has not our mark, though it may have our address."""
        loop, _ = attached
        ear.platforms["theirs"] = ear.platforms[loop.setting.loop]
        password = (loop.setting.home / "label-studio" / "ml-backend.secret").read_text()
        body = {
            "project": loop.project,
            "url": f"{ear.url}/loops/theirs/ml",
            "title": "theirs",
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": backend.USER,
            "basic_auth_pass": password,
        }
        loop.post("/api/ml/", body)
        loop.platform.subscribe(None)
        assert only(loop)["title"] == "theirs"
        assert hooks(loop) == [f"{ear.url}/loops/theirs/ml/webhook"]

    def test_when_nobody_answers_yet_the_webhook_is_there_and_no_half_backend(self, make: Any, closed: str) -> None:
        """It is tried again; the order is what it was."""
        loop = make(ml_backend=True)
        keys = loop.keys_of(2)
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
        with pytest.raises(Unavailable, match=r"must reach its ML backend .*Start `alearn serve`"):
            loop.platform.subscribe(f"{closed}/loops/{loop.setting.loop}")
        assert rows(loop) == []
        assert hooks(loop) == [f"{closed}/loops/{loop.setting.loop}/webhook"]
        assert loop.served() == keys


@pytest.fixture(scope="module")
def half_open(guarded: Any) -> Any:
    """A server as people leave it after reading half: ML backends may be on its own machine, webhooks may not."""
    return guarded(SSRF_PROTECTION_ENABLED="true", ML_BLOCK_LOCAL_IP="false")


class TestGuarded:
    """A Label Studio that may not call addresses of its own machine, which is how it comes."""

    @pytest.fixture
    def guarded_loop(self, half_open: Any, make: Any) -> Any:
        return make(server=half_open, ml_backend=True)

    def test_a_webhook_is_refused_with_the_switch_that_allows_it(self, guarded_loop: Any, ear: Any) -> None:
        """And the other way out."""
        address = ear.address(guarded_loop)
        with pytest.raises(Refused, match=r"Got 403: .*SSRF_PROTECTION_ENABLED=false.*`platform.options.webhook`"):
            guarded_loop.platform.subscribe(address)
        assert hooks(guarded_loop) == []
        (wrong,) = [finding for finding in guarded_loop.open().check() if "may call" in finding.what]
        assert not wrong.ok
        assert "SSRF_PROTECTION_ENABLED=false" in wrong.advice

    def test_a_backend_that_is_refused_leaves_no_row(self, guarded_loop: Any, ear: Any) -> None:
        """Label Studio answers 403 and keeps it, without a webhook."""
        guarded_loop.setting.options["webhook"] = False
        with pytest.raises(Refused, match=r"Got 403: .*ML_BLOCK_LOCAL_IP=false"):
            guarded_loop.open().subscribe(ear.address(guarded_loop))
        assert "/ml/setup" in ear.paths()
        assert rows(guarded_loop) == []
        assert guarded_loop.raw["model_version"] == ""

    def test_a_name_that_does_not_resolve_is_refused(self, guarded_loop: Any) -> None:
        """Label Studio answers 500, which is not to be tried again."""
        with pytest.raises(Refused, match="cannot resolve"):
            guarded_loop.platform.subscribe("http://alearn.invalid:9000/loops/x")


class TestCheck:
    def test_a_backend_that_works_is_well(self, attached: Any) -> None:
        """Looked at, not changed."""
        loop, _ = attached
        before = only(loop)["id"]
        findings = loop.open().check()
        assert all(finding.ok for finding in findings), findings
        assert any("ML backend" in finding.what for finding in findings)
        assert only(loop)["id"] == before

    def test_one_that_does_not_answer_is_said(self, attached: Any, ear: Any) -> None:
        """With what to start."""
        loop, _ = attached
        ear.close()
        wrong = [finding for finding in loop.open().check() if not finding.ok]
        assert [finding.what.split(" at ")[0] for finding in wrong] == ["Label Studio reaches its ML backend"]
        assert "alearn serve" in wrong[0].advice

    def test_one_that_was_removed_and_a_webhook_that_stayed_are_said(self, attached: Any) -> None:
        """What deleting it in Label Studio's settings leaves."""
        loop, _ = attached
        row = only(loop)
        loop.post("/api/webhooks/", {"project": loop.project, "url": f"{row['url']}/webhook"})
        loop.http.delete(f"/api/ml/{row['id']}").raise_for_status()
        assert sum(not finding.ok for finding in loop.open().check()) == 2


class TestThreshold:
    def test_a_suggestion_below_it_is_not_shown_and_the_order_holds(self, make: Any) -> None:
        """The prediction is there, and says nothing."""
        loop = make(suggestions=0.8)
        keys = loop.keys_of(4)
        sure = (0.9, 0.79, 0.8, None)
        entries = [QueueEntry(key, at / 4, "cat", sure[at]) for at, key in enumerate(keys)]
        loop.platform.push(loop.tasks_of(keys[::-1]), Queue("q1", tuple(entries)))
        shown = []
        for key in keys:
            task = loop.next()
            assert task["data"]["alearn_id"] == key
            shown.append(bool(task["predictions"][0]["result"]))
            loop.answer(task["id"], "cat")
        assert shown == [True, False, True, False]
