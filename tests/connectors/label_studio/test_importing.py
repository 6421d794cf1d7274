"""Tasks on a live Label Studio: each is made once, whatever is cut short."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from alearn.platform import Queue, Task
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.project import project_of

PUSH = """
import json, sys
from pathlib import Path
from alearn.core.schema import LabelSchema
from alearn.platform import Queue, Setting, Task
from alearn_connectors import label_studio

told = json.loads(Path(sys.argv[1]).read_text())
setting = Setting(told["loop"], LabelSchema(tuple(told["classes"])), "text", Path(told["home"]), told["options"])
label_studio.open(setting).push([Task(key, text=f"the text of {key}") for key in told["keys"]], Queue("q1"))
"""


def _await_sent(folder: Path, chunk: int) -> None:
    """Wait until the `chunk`-th request of an import is on its way: each is noted before it is sent."""
    seen: set[str] = set()
    deadline = time.monotonic() + 60
    while len(seen) < chunk:
        assert time.monotonic() < deadline, f"chunk {chunk} was not sent in 60 seconds"
        time.sleep(0.002)
        for note in folder.glob("*/sending.json"):
            try:
                seen.add(note.read_text())
            except FileNotFoundError:  # done meanwhile
                continue


class TestImport:
    def test_a_task_that_is_there_is_left_alone(self, filled: Any) -> None:
        """Label Studio would import it again."""
        loop, keys = filled
        for platform in (loop.platform, loop.open()):
            assert platform.push(loop.tasks_of(keys), loop.queue_of(keys)) == {}
        assert sorted(loop.tasks()) == sorted(keys)

    def test_an_item_that_cannot_be_kept_is_named_and_the_others_are_there(self, loop: Any) -> None:
        """One bad item never stops a loop."""
        good, bad, empty = loop.keys_of(3)
        refused = loop.platform.push(
            [*loop.tasks_of([good]), Task(bad, text="a\x00b"), Task(empty, text="")], loop.queue_of([good, bad])
        )
        assert set(refused) == {bad, empty}
        assert list(loop.tasks()) == [good]

    def test_an_import_whose_answer_was_lost_is_waited_for(self, loop: Any) -> None:
        """The server may still be at work when we are back: the tasks are adopted, not doubled."""
        keys = loop.keys_of(3)
        notes = Notes(loop.setting.home / "label-studio").of(project_of(loop.raw).scope)
        notes.write("sending", {"keys": keys, "at": time.time()})

        def late() -> None:
            time.sleep(1.5)
            bodies = [convert.task_json(task, "text", str(task.text)) for task in loop.tasks_of(keys)]
            loop.post(f"/api/projects/{loop.project}/import", bodies)

        thread = threading.Thread(target=late)
        thread.start()
        loop.open().push(loop.tasks_of(keys), loop.queue_of(keys))
        thread.join()
        assert sorted(loop.tasks()) == sorted(keys)
        assert loop.served() == keys

    @pytest.mark.parametrize("chunk", [1, 2])
    def test_a_push_that_was_killed_doubles_nothing(self, loop: Any, tmp_path: Path, chunk: int) -> None:
        """Killed hard while the first chunk is on its way, or the second; the next push completes it."""
        keys, setting = loop.keys_of(2500), loop.setting  # three chunks
        told = {"keys": keys, "loop": setting.loop, "home": str(setting.home), "options": dict(setting.options)}
        (tmp_path / "told.json").write_text(json.dumps(told | {"classes": loop.classes}))
        process = subprocess.Popen([sys.executable, "-c", PUSH, str(tmp_path / "told.json")])
        _await_sent(setting.home / "label-studio", chunk)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        loop.open().push(loop.tasks_of(keys), Queue("q1"))
        assert sorted(loop.tasks()) == sorted(keys)

    def test_doubles_are_removed_as_long_as_nobody_answered_them(self, filled: Any) -> None:
        """Somebody imported an export: unanswered copies go, answered ones stay and count."""
        loop, keys = filled
        bodies = [convert.task_json(task, "text", str(task.text)) for task in loop.tasks_of(keys)]
        copies = loop.post(f"/api/projects/{loop.project}/import", bodies, return_task_ids="true")["task_ids"]
        loop.answer(copies[0], "cat")
        loop.platform.push([], loop.queue_of(keys, "q2"))
        found = {key: [] for key in keys}  # type: dict[str, list[int]]
        for task in loop.get("/api/tasks", project=loop.project, page_size=100)["tasks"]:
            found[task["data"]["alearn_id"]].append(task["id"])
        assert found[keys[0]] == [copies[0]]
        assert all(len(ids) == 1 for ids in found.values())

    def test_ids_that_are_used_again_mislead_nobody(self, filled: Any) -> None:
        """SQLite gives the ids of deleted tasks to new ones; keys decide."""
        loop, keys = filled
        loop.action("delete_tasks", [loop.tasks()[key] for key in keys[3:]])
        new = loop.keys_of(3)
        bodies = [convert.task_json(task, "text", str(task.text)) for task in loop.tasks_of(new)]
        loop.post(f"/api/projects/{loop.project}/import", bodies)
        order = [*new, *keys[:3]]
        loop.platform.push(loop.tasks_of(new), loop.queue_of(order, "q2"))
        assert sorted(loop.tasks()) == sorted(order)
        assert loop.served() == order
