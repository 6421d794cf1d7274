"""Robot annotators, live: they answer what Label Studio serves, as configured, and outlive what passes."""

import dataclasses
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from alearn.core.annotators import Profile, answer
from alearn.core.schema import LabelSchema
from alearn.errors import Refused
from alearn.platform import Queue, QueueEntry, Setting, Task, connect, robots
from alearn_connectors.label_studio.accounts import Seat, accounts, seats
from alearn_connectors.label_studio.convert import Offer
from alearn_connectors.label_studio.crew import RobotAnnotators
from alearn_connectors.label_studio.private import PrivateServer
from alearn_connectors.label_studio.robot import result

CLASSES = ("cat", "dog", "bird")
CONFIG = """<View><Text name="item" value="$text"/><Choices name="answer" toName="item" choice="single">
<Choice value="cat"/><Choice value="a dog" alias="dog"/><Choice value="bird"/></Choices></View>"""


class Project:
    """A project made by raw REST: `count` tasks, asked in the reverse order of their import."""

    def __init__(self, client: httpx.Client, title: str, count: int, config: str = CONFIG) -> None:
        self.client = client
        self.truths = {f"key-{at}": CLASSES[at % 3] for at in range(count)}
        self.id = self._post(
            "/api/projects/", {"title": title, "label_config": config, "sampling": "Uncertainty sampling"}
        )["id"]
        if count:
            self._fill()

    def find(self, client: httpx.Client) -> int:
        return int(self.id)

    def annotations(self) -> list[dict[str, Any]]:
        """All of them, with their task's key, in the order they were made."""
        tasks = self.client.get(f"/api/projects/{self.id}/export", params={"exportType": "JSON"}).json()
        found = [{"key": task["data"]["alearn_id"], **made} for task in tasks for made in task["annotations"]]
        return sorted(found, key=lambda made: made["id"])

    def answers(self) -> list[tuple[str, str | None]]:
        """(key, answer; None: skipped), in the order they were made."""
        return [(made["key"], _value(made)) for made in self.annotations()]

    def _fill(self) -> None:
        tasks = [{"text": f"this is {key}", "alearn_id": key} for key in self.truths]
        where = f"/api/projects/{self.id}/import"
        ids = self._post(f"{where}?return_task_ids=true", tasks)["task_ids"]
        region = {"from_name": "answer", "to_name": "item", "type": "choices", "value": {"choices": ["cat"]}}
        order = [
            {"task": task, "score": 1 - at / len(ids), "model_version": "v1", "result": [region]}
            for at, task in enumerate(ids)
        ]
        self._post(f"{where}/predictions", order)
        self.client.patch(f"/api/projects/{self.id}/", json={"model_version": "v1"}).raise_for_status()

    def _post(self, path: str, body: Any) -> Any:
        return self.client.post(path, json=body).raise_for_status().json()


def _value(made: Mapping[str, Any]) -> str | None:
    return None if made["was_cancelled"] else str(made["result"][0]["value"]["choices"][0])


def setting(home: Path, truths: Mapping[str, str]) -> Setting:
    def known(keys: Sequence[str]) -> Mapping[str, str]:
        return {key: truths[key] for key in keys if key in truths}

    return Setting("loop", LabelSchema(CLASSES), "text", home, known=known)


def owner(label_studio: Any) -> Seat:
    return lambda: httpx.Client(
        base_url=label_studio.url, headers=label_studio.client.headers, trust_env=False, timeout=30
    )


def work(robots: RobotAnnotators, label_studio: Any, count: int) -> None:
    """Let them answer `count` tasks, and see that they find nothing more."""
    with robots:
        label_studio.wait_for(lambda: robots.answered() >= count, 120, f"{count} answers")
        time.sleep(0.5)
    assert robots.answered() == count


@pytest.fixture
def project(label_studio: Any) -> Callable[..., Project]:
    return lambda count, config=CONFIG: Project(label_studio.client, label_studio.new_title("robots"), count, config)


def test_one_robot_answers_everything_in_the_order_of_the_queue(
    label_studio: Any, project: Callable[..., Project], tmp_path: Path
) -> None:
    """The lowest score first; the answers are the profile's, with its seconds as lead time; wrong ones included."""
    made = project(12)
    profile = Profile(accuracy=0.6, seconds=7, seed=3)
    seat = {"robot-1": owner(label_studio)}
    work(RobotAnnotators(setting(tmp_path, made.truths), profile, seat, made.find), label_studio, 12)
    expected = {key: answer(profile, "robot-1", key, truth, CLASSES) for key, truth in made.truths.items()}
    assert made.answers() == [(key, expected[key].value) for key in reversed(made.truths)]
    assert 1 <= sum(said.value != made.truths[key] for key, said in expected.items()) <= 9
    times = {annotation["key"]: annotation["lead_time"] for annotation in made.annotations()}
    assert times == pytest.approx({key: said.seconds for key, said in expected.items()})


def test_two_robots_are_two_annotators(label_studio: Any, project: Callable[..., Project], tmp_path: Path) -> None:
    """Each has an account of its own, both work, nothing is left; SQLite may hand a task to both."""
    made = project(16)
    robots = RobotAnnotators(
        setting(tmp_path, made.truths),
        Profile(),
        seats(owner(label_studio), tmp_path / "robots.json", 2),
        made.find,
    )
    with robots:
        label_studio.wait_for(lambda: {key for key, _ in made.answers()} == made.truths.keys(), 120, "all answers")
    found = made.annotations()
    me = label_studio.client.get("/api/current-user/whoami").json()["id"]
    assert len({annotation["completed_by"] for annotation in found} - {me}) == 2
    assert all(_value(annotation) == made.truths[annotation["key"]] for annotation in found)
    assert len(found) == len({(annotation["key"], annotation["completed_by"]) for annotation in found})


def test_robots_come_back_as_the_same_annotators(label_studio: Any, tmp_path: Path) -> None:
    """The accounts are remembered in a file for its owner alone; passwords are not shown."""
    file = tmp_path / "deep" / "robots.json"

    def emails() -> list[str]:
        found = []
        for seat in seats(owner(label_studio), file, 2).values():
            with closing(seat()) as client:
                found.append(client.get("/api/current-user/whoami").json()["email"])
        return found

    assert emails() == emails() == [account.email for account in accounts(file, label_studio.url, 2)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "password" not in repr(accounts(file, label_studio.url, 1))


def test_skips(label_studio: Any, project: Callable[..., Project], tmp_path: Path) -> None:
    """Skipped: what the profile skips, and what has no known truth or one outside the schema. Nothing comes twice."""
    made = project(10)
    truths = {**made.truths, "key-0": "a stranger"}
    del truths["key-1"]
    profile = Profile(skip_rate=0.3, seed=1)
    label_studio.client.patch(f"/api/projects/{made.id}/", json={"skip_queue": "REQUEUE_FOR_ME"}).raise_for_status()
    seat = {"robot-1": owner(label_studio)}
    work(RobotAnnotators(setting(tmp_path, truths), profile, seat, made.find), label_studio, 10)
    by_profile = {
        key for key, truth in made.truths.items() if answer(profile, "robot-1", key, truth, CLASSES).value is None
    }
    assert by_profile
    assert {key for key, said in made.answers() if said is None} == by_profile | {"key-0", "key-1"}


def test_robots_wait_for_a_project_and_for_tasks(label_studio: Any, tmp_path: Path) -> None:
    """They may be there before the loop has made anything, and go on when it adds to the queue."""
    made: list[Project] = []
    truths = {f"key-{at}": "cat" for at in range(3)}
    seat = {"robot-1": owner(label_studio)}
    find = lambda client: made[0].id if made else None  # noqa: E731
    with RobotAnnotators(setting(tmp_path, truths), Profile(), seat, find) as robots:
        time.sleep(0.3)
        made.append(Project(label_studio.client, label_studio.new_title("late"), 0))
        for at in range(3):
            task = [{"text": "late", "alearn_id": f"key-{at}"}]
            label_studio.client.post(f"/api/projects/{made[0].id}/import", json=task).raise_for_status()
            label_studio.wait_for(lambda done=at + 1: robots.answered() == done)


def test_robots_stop_promptly(label_studio: Any, project: Callable[..., Project], tmp_path: Path) -> None:
    """Also one that takes a person's time over an item; what it was about to say is not said."""
    made = project(2)
    thinking = threading.Event()

    def known(keys: Sequence[str]) -> Mapping[str, str]:
        thinking.set()
        return {key: made.truths[key] for key in keys}

    slow = Setting("loop", LabelSchema(CLASSES), "text", tmp_path, known=known)
    seat = {"robot-1": owner(label_studio)}
    with RobotAnnotators(slow, Profile(seconds=3600), seat, made.find, real_time=True):
        assert thinking.wait(30)
        left = time.monotonic()
    assert time.monotonic() - left < 2
    assert made.answers() == []


def test_what_will_not_pass_is_reported(label_studio: Any, project: Callable[..., Project], tmp_path: Path) -> None:
    """When all robots have given up, whoever asks how far they are is told why; so is whoever leaves."""
    made = project(0, '<View><Text name="item" value="$text"/><TextArea name="answer" toName="item"/></View>')
    robots = RobotAnnotators(setting(tmp_path, {}), Profile(), {"robot-1": owner(label_studio)}, made.find)
    with pytest.raises(Refused, match="Choices"), robots:
        label_studio.wait_for(lambda: robots.answered() < 0)
    with pytest.raises(Refused, match="Choices"):
        robots.__exit__(None, None, None)


def test_a_wrong_token_is_believed_in_the_end(
    label_studio: Any, project: Callable[..., Project], tmp_path: Path
) -> None:
    """A session that has ended is opened again, but not for ever."""
    made = project(0)
    wrong = {"Authorization": "Token wrong"}
    seat = {"robot-1": lambda: httpx.Client(base_url=label_studio.url, headers=wrong, trust_env=False)}
    robots = RobotAnnotators(setting(tmp_path, {}), Profile(), seat, made.find)
    with pytest.raises(Refused, match="401"), robots:
        label_studio.wait_for(lambda: robots.answered() < 0)


@pytest.mark.parametrize("count", [1, 2])
def test_robots_of_a_loop(label_studio: Any, tmp_path: Path, count: int) -> None:
    """Through the one door: they find the loop's project by its options, and the loop reads what they said."""
    (tmp_path / "token").write_text(label_studio.token)
    title = label_studio.new_title()
    options = {"url": label_studio.url, "token_file": str(tmp_path / "token"), "title": title}
    truths = {f"{at:032x}": CLASSES[at % 3] for at in range(6)}
    loop = dataclasses.replace(setting(tmp_path, truths), options=options)
    with robots("label-studio", loop, Profile(), count) as crew:
        platform = connect("label-studio", loop)
        platform.prepare()
        queue = Queue("v1", tuple(QueueEntry(key, at / 6) for at, key in enumerate(truths)))
        assert platform.push([Task(key, text=f"this is {key}") for key in truths], queue) == {}
        label_studio.wait_for(lambda: crew.answered() >= 6, what="six answers")
        label_studio.wait_for(lambda: all(state.annotations for state in platform.pull(None).states))
    said = {state.key: {made.value for made in state.annotations} for state in platform.pull(None).states}
    platform.close()
    assert said == {key: {truth} for key, truth in truths.items()}


def test_a_class_that_is_not_offered_is_refused() -> None:
    """It would be taken by Label Studio, and be a stranger to the loop."""
    asked = Offer("answer", "item", frozenset({"text"}), CLASSES)
    assert result("dog", asked)[0]["value"] == {"choices": ["dog"]}
    with pytest.raises(Refused, match="wolf"):
        result("wolf", asked)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[PrivateServer]:
    server = PrivateServer(tmp_path / "own")
    server.up(print)
    yield server
    server.down()


@pytest.mark.label_studio
def test_robots_outlive_a_restart_of_label_studio(own: PrivateServer, tmp_path: Path) -> None:
    """Ended in the middle of their work and started again, it is answered to the end, each task once."""
    state = own.status()
    assert state is not None
    headers = {"Authorization": f"Token {Path(state['token_file']).read_text()}"}

    def seat() -> httpx.Client:
        return httpx.Client(base_url=state["url"], headers=headers, trust_env=False, timeout=30)

    with seat() as client:
        made = Project(client, "restart", 10)
        with RobotAnnotators(setting(tmp_path, made.truths), Profile(), {"robot-1": seat}, made.find) as robots:
            while robots.answered() < 3:
                time.sleep(0.05)
            own.down()
            assert own.up(print)["url"] == state["url"]
            while robots.answered() < 9:  # one answer may have been taken without being heard of
                time.sleep(0.05)
            time.sleep(1)
        assert sorted(key for key, _ in made.answers()) == sorted(made.truths)
