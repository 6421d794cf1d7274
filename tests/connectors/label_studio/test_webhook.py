"""The webhook on a live Label Studio: one, ours, only for what people do, and never in an annotator's way."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from alearn.errors import Refused


def hooks(loop: Any) -> Sequence[Mapping[str, Any]]:
    found = loop.get("/api/webhooks/", project=loop.project)
    assert isinstance(found, list)
    return found


def only(loop: Any) -> Mapping[str, Any]:
    (hook,) = hooks(loop)
    return hook


class TestSubscribe:
    def test_one_webhook_that_says_as_little_as_it_can(self, loop: Any, ear: Any) -> None:
        """Only what the loop needs; no payload, which would hold the project's secrets; and a secret of its own."""
        loop.platform.subscribe(ear.address(loop))
        hook = only(loop)
        assert hook["url"] == f"{ear.url}/loops/{loop.setting.loop}/webhook"
        assert (hook["send_payload"], hook["send_for_all_actions"], hook["is_active"]) == (False, False, True)
        assert set(hook["actions"]) == {
            "ANNOTATION_CREATED",
            "ANNOTATIONS_CREATED",
            "ANNOTATION_UPDATED",
            "ANNOTATIONS_DELETED",
            "TASKS_DELETED",
        }
        secret = (loop.setting.home / "label-studio" / "webhook.secret").read_text()
        assert hook["headers"] == {"X-Alearn-Secret": secret, "X-Alearn-Loop": loop.setting.loop}

    def test_again_changes_nothing(self, loop: Any, ear: Any) -> None:
        """Also from a new process: the secret stays."""
        address = ear.address(loop)
        loop.platform.subscribe(address)
        before = only(loop)
        loop.platform.subscribe(address)
        loop.open().subscribe(address)
        assert only(loop) == before

    def test_another_address_replaces_the_first(self, loop: Any, ear: Any, closed: str) -> None:
        """Nothing calls the old one any more."""
        loop.platform.subscribe(f"{closed}/loops/{loop.setting.loop}")
        loop.platform.subscribe(ear.address(loop))
        assert only(loop)["url"].startswith(ear.url)

    @pytest.mark.parametrize(
        "edit",
        [
            {"actions": ["ANNOTATION_CREATED"]},
            {"send_for_all_actions": True},
            {"send_payload": True},
            {"is_active": False},
            {"headers": {}},
            {"headers": {"X-Alearn-Secret": "other"}},
        ],
    )
    def test_one_that_was_edited_is_put_right(self, loop: Any, ear: Any, edit: Mapping[str, Any]) -> None:
        """By its mark, or where that is gone by where it calls."""
        address = ear.address(loop)
        loop.platform.subscribe(address)
        before = only(loop)
        loop.http.patch(f"/api/webhooks/{before['id']}/", json=edit).raise_for_status()
        loop.platform.subscribe(address)
        after = only(loop)
        assert {name: after[name] for name in edit} == {name: before[name] for name in edit}

    def test_doubles_are_removed_and_those_of_others_are_left(self, loop: Any, ear: Any) -> None:
        """A crash between two requests may leave a double; what others made is theirs, even for another loop."""
        address = ear.address(loop)
        loop.platform.subscribe(address)
        ours = only(loop)
        loop.post("/api/webhooks/", {name: value for name, value in ours.items() if name not in {"id", "organization"}})
        theirs = [
            {"project": loop.project, "url": "http://127.0.0.1:9/hook", "actions": ["ANNOTATION_CREATED"]},
            {
                "project": loop.project,
                "url": "http://127.0.0.1:9/loops/other/webhook",
                "headers": {"X-Alearn-Loop": "o"},
            },
        ]
        kept = [loop.post("/api/webhooks/", hook)["id"] for hook in theirs]
        loop.platform.subscribe(address)
        assert len(hooks(loop)) == 3
        loop.platform.subscribe(None)
        assert [hook["id"] for hook in hooks(loop)] == kept

    def test_none_leaves_nothing_behind_and_again_is_well(self, loop: Any, ear: Any) -> None:
        """Also from a process that has never subscribed."""
        loop.platform.subscribe(ear.address(loop))
        loop.open().subscribe(None)
        assert hooks(loop) == []
        loop.platform.subscribe(None)

    def test_where_there_is_no_project_there_is_nothing_to_remove(self, make: Any) -> None:
        """A loop may end before it was prepared."""
        make(prepare=False).platform.subscribe(None)

    def test_an_option_turns_it_off(self, loop: Any, ear: Any) -> None:
        """And removes what an earlier run left."""
        loop.platform.subscribe(ear.address(loop))
        loop.setting.options["webhook"] = False
        loop.open().subscribe(ear.address(loop))
        assert hooks(loop) == []

    def test_a_host_that_is_no_url_is_refused_with_what_would_be_one(self, loop: Any) -> None:
        """Container names are the usual case."""
        with pytest.raises(Refused, match=r"must be able to call http://alearn:9000/.*a name with a dot"):
            loop.platform.subscribe(f"http://alearn:9000/loops/{loop.setting.loop}")
        assert hooks(loop) == []


class TestCalls:
    def test_what_annotators_do_reaches_the_loop(self, filled: Any, ear: Any) -> None:
        """An answer, a change, a deletion, a skip, a task that is deleted: each is one call that is accepted."""
        loop, keys = filled
        loop.platform.subscribe(ear.address(loop))
        tasks = loop.tasks()
        made = loop.answer(tasks[keys[0]], "cat")
        item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": ["$100"]}}
        loop.http.patch(f"/api/annotations/{made}/", json={"result": [item]}).raise_for_status()
        loop.http.delete(f"/api/annotations/{made}/").raise_for_status()
        loop.answer(tasks[keys[1]], was_cancelled=True)
        loop.action("delete_tasks", [tasks[keys[2]]])
        heard = [(call.body, reply.status) for call, reply in ear.calls]
        actions = ["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "ANNOTATION_CREATED"]
        assert heard == [(f'{{"action": "{name}"}}'.encode(), 200) for name in [*actions, "TASKS_DELETED"]]
        assert ear.listener.woken == 5

    def test_what_alearn_does_itself_is_not_told(self, loop: Any, ear: Any) -> None:
        """Preparing, importing, ordering and pulling wake nobody: it would go in circles."""
        loop.platform.subscribe(ear.address(loop))
        keys = loop.keys_of(3)
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
        loop.open().prepare()
        loop.platform.push([], loop.queue_of(keys[::-1], "q2"))
        loop.platform.pull(None, pushed=keys)
        loop.platform.check()
        assert ear.calls == []

    def test_annotators_work_on_when_nobody_listens(self, filled: Any, closed: str) -> None:
        """Label Studio tries once, inside the submit; the answer is there, and is pulled."""
        loop, keys = filled
        loop.platform.subscribe(f"{closed}/loops/{loop.setting.loop}")
        begun = time.monotonic()
        loop.answer(loop.next()["id"], "cat")
        assert time.monotonic() - begun < 5
        assert list(loop.pulled()) == [keys[0]]


class TestCheck:
    def test_a_webhook_that_works_is_well_and_left_as_it_is(self, loop: Any, ear: Any) -> None:
        """The trial with a webhook that sleeps leaves nothing."""
        loop.platform.subscribe(ear.address(loop))
        before = hooks(loop)
        findings = loop.open().check()
        assert all(finding.ok for finding in findings), findings
        assert any("may call" in finding.what for finding in findings)
        assert hooks(loop) == before

    def test_one_that_was_removed_is_said(self, loop: Any, ear: Any) -> None:
        """Answers still come, later."""
        loop.platform.subscribe(ear.address(loop))
        loop.http.delete(f"/api/webhooks/{only(loop)['id']}/").raise_for_status()
        (wrong,) = [finding for finding in loop.open().check() if not finding.ok]
        assert "removed or changed" in wrong.advice

    def test_when_nobody_listens_that_is_no_fault(self, loop: Any, ear: Any) -> None:
        """The loop is complete without."""
        loop.platform.subscribe(ear.address(loop))
        loop.platform.subscribe(None)
        findings = loop.open().check()
        assert all(finding.ok for finding in findings)
        assert any("No `alearn serve`" in finding.what for finding in findings)
