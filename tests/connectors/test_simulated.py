"""Simulated annotators: the rules of the door, and the same answers whatever happens to the process."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from alearn.core.schema import LabelSchema
from alearn.errors import ConfigError, Refused
from alearn.platform import Annotation, Platform, Queue, Setting, connect
from alearn.testing import Ledger, PlatformCase, PlatformConformance, entries, texts
from alearn_connectors import simulated
from alearn_connectors.simulated.state import Answered

CLASSES = ("cat", "dog", "bird")


class QuietCase(PlatformCase):
    """Nobody answers by themselves (`per_pull: 0`); a person's hand does."""

    def open(self, setting: Setting) -> Platform:
        return connect("simulated", dataclasses.replace(setting, options={"per_pull": 0, **setting.options}))

    def _people(self, setting: Setting) -> simulated.State:
        platform = self.open(setting)
        assert isinstance(platform, simulated.SimulatedPlatform)
        return platform.people

    def tasks(self, setting: Setting) -> list[str]:
        return list(self._people(setting).keys())

    def annotate(self, setting: Setting, key: str, value: str, annotator: str = "ann") -> str:
        return self._people(setting).submit([Answered(key, annotator, value, lead_time=2.0)])[0]

    def skip(self, setting: Setting, key: str, annotator: str = "ann") -> None:
        self._people(setting).submit([Answered(key, annotator, skipped=True)])

    def edit(self, setting: Setting, annotation: Annotation, value: str) -> None:
        self._people(setting).edit(annotation.id, value)

    def delete_annotation(self, setting: Setting, annotation: Annotation) -> None:
        self._people(setting).delete_annotation(annotation.id)

    def delete_task(self, setting: Setting, key: str) -> None:
        self._people(setting).delete_task(key)

    def annotate_outside(self, setting: Setting, key: str) -> None:
        self._people(setting).submit([Answered(key, "ann", refused="'fish' is not one of the classes")])

    def queue(self, setting: Setting) -> list[str]:
        return [key for key, _ in self._people(setting).queue()]

    def suggestions(self, setting: Setting) -> Mapping[str, str]:
        return {key: label for key, label in self._people(setting).queue() if label is not None}

    def unreachable(self, setting: Setting) -> Platform:
        """A file stands where the state's folder should be."""
        blocked = self.folder / "blocked"
        (blocked / "simulated").parent.mkdir()
        (blocked / "simulated").write_text("")
        return self.open(dataclasses.replace(setting, home=blocked))


class TestSimulatedConformance(PlatformConformance):
    """The rules of the door."""

    @pytest.fixture
    def platform_case(self, tmp_path: Path) -> PlatformCase:
        return QuietCase(tmp_path)


def truth(keys: Sequence[str]) -> Mapping[str, str]:
    """The known answer of every key: a class by its first digit."""
    return {key: CLASSES[int(key[0], 16) % 3] for key in keys}


def setting(home: Path, known: object = truth, **options: object) -> Setting:
    return Setting("cells", LabelSchema(CLASSES), "text", home, options, seed=1, known=known)  # type: ignore[arg-type]


def answers(
    home: Path, number: int = 60, known: object = truth, **options: object
) -> dict[str, tuple[Annotation, ...]]:
    """Push, pull until nothing more comes, and tell what was said."""
    platform, ledger, tasks = simulated.open(setting(home, known, **options)), Ledger(), texts(number)
    platform.prepare()
    platform.push(tasks, entries([task.key for task in tasks]))
    while ledger.pull(platform).states:
        pass
    platform.close()
    return ledger.states


def test_all_that_is_open_is_answered_at_the_first_pull(tmp_path: Path) -> None:
    """Rightly, when nothing else was asked for, with the time it took."""
    platform, ledger, tasks = simulated.open(setting(tmp_path, seconds=4)), Ledger(), texts(40)
    keys = [task.key for task in tasks]
    platform.push(tasks, entries(keys[:30]))
    ledger.pull(platform)
    assert {key: ledger.one(key).value for key in keys} == truth(keys)
    assert 2 < sorted(ledger.one(key).lead_time or 0 for key in keys)[20] < 8


def test_answers_come_in_the_order_of_the_queue_so_many_a_pull(tmp_path: Path) -> None:
    """`per_pull`, as if somebody worked between two looks; what left the queue is not answered."""
    platform, ledger, tasks = simulated.open(setting(tmp_path, per_pull=4)), Ledger(), texts(12)
    keys = [task.key for task in tasks]
    platform.push(tasks, entries(keys[::-1]))
    ledger.pull(platform)
    assert set(ledger.states) == set(keys[::-1][:4])
    platform.push([], entries(keys[:6]))
    ledger.pull(platform)
    assert set(ledger.states) == {*keys[::-1][:4], *keys[:4]}
    while ledger.pull(platform).states:
        pass
    assert set(ledger.states) == {*keys[::-1][:4], *keys[:6]}


def test_an_older_cursor_only_repeats(tmp_path: Path) -> None:
    """The loop fell before it wrote down what it had pulled: the same pull tells the same, and no more."""
    platform, tasks = simulated.open(setting(tmp_path, per_pull=3)), texts(9)
    platform.push(tasks, entries([task.key for task in tasks]))
    first = platform.pull(None)
    second = platform.pull(first.cursor)
    again = simulated.open(setting(tmp_path, per_pull=3))
    assert again.pull(first.cursor) == second
    assert {state.key for state in again.pull(None).states} == {state.key for state in first.states + second.states}
    assert len(again.pull(second.cursor).states) == 3


@pytest.mark.parametrize("options", [{}, {"accuracy": 0.6, "skip_rate": 0.2, "annotators": 4, "overlap": 2}])
def test_the_same_seed_gives_the_same_annotations(tmp_path: Path, options: dict[str, object]) -> None:
    """Ids, people, values, times and all, whatever the size of the pulls; another seed gives others."""
    first = answers(tmp_path / "1", **options)
    assert answers(tmp_path / "2", **options) == first
    pieces = answers(tmp_path / "3", per_pull=7, **options)
    assert pieces == first
    assert not options or answers(tmp_path / "4", seed=9, **options) != first


def test_faults_have_the_shares_that_were_asked_for(tmp_path: Path) -> None:
    """Accuracy and skips, over 2000 answers."""
    said = [one for states in answers(tmp_path, 2000, accuracy=0.8, skip_rate=0.1).values() for one in states]
    skipped = [one for one in said if one.skipped]
    right = [one for one in said if one.value == truth([one.key])[one.key]]
    assert 0.08 < len(skipped) / len(said) < 0.12
    assert 0.77 < len(right) / (len(said) - len(skipped)) < 0.83


def test_confusion_names_which_faults(tmp_path: Path) -> None:
    """Cats are taken for dogs, nothing else is mistaken."""
    said = answers(tmp_path, 300, confusion={"cat": {"dog": 0.5}})
    pairs = Counter((truth([key])[key], states[0].value) for key, states in said.items())
    assert {pair for pair in pairs if pair[0] != pair[1]} == {("cat", "dog")}
    assert 0.3 < pairs["cat", "dog"] / (pairs["cat", "dog"] + pairs["cat", "cat"]) < 0.7


def test_several_annotators_share_the_work(tmp_path: Path) -> None:
    """Each item is asked of `overlap` of them, none twice, and everybody has about as much to do."""
    said = answers(tmp_path, 300, annotators=3, overlap=2)
    assert all(len({one.annotator for one in states}) == len(states) == 2 for states in said.values())
    work = Counter(one.annotator for states in said.values() for one in states)
    assert sorted(work) == ["annotator-1", "annotator-2", "annotator-3"]
    assert min(work.values()) > 150


def test_what_has_no_known_answer_is_skipped_with_a_notice(tmp_path: Path) -> None:
    """Once; the loop goes on with the others."""
    platform, ledger, tasks = simulated.open(setting(tmp_path, lambda keys: truth(keys[:3]))), Ledger(), texts(5)
    platform.push(tasks, entries([task.key for task in tasks]))
    (notice,) = ledger.pull(platform).notices
    assert "skipped 2 tasks" in notice
    assert [ledger.one(task.key).skipped for task in tasks] == [False, False, False, True, True]
    assert ledger.pull(platform).notices == ()


def test_a_known_answer_outside_the_schema_is_refused(tmp_path: Path) -> None:
    """In words."""
    said = answers(tmp_path, 2, known=lambda keys: dict.fromkeys(keys, "fish"))
    assert all("'fish'" in (one.refused or "") and one.value is None for states in said.values() for one in states)


@pytest.mark.parametrize(
    "options",
    [
        {"acuracy": 1},
        {"accuracy": 2},
        {"accuracy": "high"},
        {"skip_rate": -1},
        {"seconds": None},
        {"annotators": 0},
        {"annotators": 1.5},
        {"overlap": 2},
        {"per_pull": -1},
        {"per_pull": True},
        {"confusion": {"cat": {"fish": 0.5}}},
        {"confusion": {"fish": {"cat": 0.5}}},
        {"confusion": {"cat": {"dog": 1.5}}},
        {"confusion": {"cat": {"dog": "often"}}},
        {"confusion": 3},
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, object]) -> None:
    """When the platform is opened, before anything is asked."""
    with pytest.raises(ConfigError, match="|".join(options)):
        simulated.open(setting(tmp_path, **options))


def test_opening_touches_nothing(tmp_path: Path) -> None:
    """No file before `prepare`; `check` makes none either."""
    platform = simulated.open(setting(tmp_path))
    assert all(one.ok for one in platform.check())
    platform.close()
    assert list(tmp_path.iterdir()) == []


def test_a_state_made_anew_is_told_from_the_old_one(tmp_path: Path) -> None:
    """A cursor of a file that was removed is as good as none."""
    platform, tasks = simulated.open(setting(tmp_path)), texts(3)
    queue = entries([task.key for task in tasks])
    platform.push(tasks, queue)
    cursor = platform.pull(None).cursor
    platform.close()
    (tmp_path / "simulated" / "state.sqlite").unlink()
    again = simulated.open(setting(tmp_path))
    again.push(tasks, queue)
    assert len(again.pull(cursor).states) == 3


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    """The file is named."""
    path = tmp_path / "simulated" / "state.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"words" * 1000)
    with pytest.raises(Refused, match=r"state\.sqlite"):
        simulated.open(setting(tmp_path)).pull(None)


def test_a_state_that_is_in_use_is_unavailable_or_waited_for(tmp_path: Path) -> None:
    """Another process holds the file for a moment."""
    import threading

    platform = simulated.open(setting(tmp_path))
    platform.prepare()
    other = sqlite3.connect(tmp_path / "simulated" / "state.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    platform.push(texts(1), Queue("v"))
    release.join()
    other.close()


WORKER = """
    import json, sys
    from pathlib import Path
    from alearn.core.schema import LabelSchema
    from alearn.platform import Setting
    from alearn.testing import entries, texts
    from alearn_connectors import simulated

    CLASSES = ("cat", "dog", "bird")
    truth = lambda keys: {key: CLASSES[int(key[0], 16) % 3] for key in keys}
    options = {"per_pull": 5, "accuracy": 0.7, "annotators": 3, "overlap": 2, "skip_rate": 0.1}
    home, count = Path(sys.argv[1]), int(sys.argv[2])
    platform = simulated.open(Setting("cells", LabelSchema(CLASSES), "text", home, options, seed=1, known=truth))
    kept = home / "cursor.json"
    cursor = json.loads(kept.read_text()) if kept.exists() else None
    print("ready", flush=True)
    tasks = texts(count)
    platform.push(tasks, entries([task.key for task in tasks]))
    while True:
        pulled = platform.pull(cursor)
        if not pulled.states:
            break
        cursor = pulled.cursor
        aside = home / "aside.json"
        aside.write_text(json.dumps(cursor))
        aside.replace(kept)
"""


def test_killed_and_started_again_the_answers_are_the_same(tmp_path: Path) -> None:
    """SIGKILL again and again while answers are written: the same annotations as in a calm run, none doubled."""
    number, kills = 400, 0
    for moment in (0.01, 0.03, 0.06, 0.1, 0.2, None):
        command = [sys.executable, "-c", textwrap.dedent(WORKER), str(tmp_path / "killed"), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            if moment is not None:
                time.sleep(moment)
                child.send_signal(signal.SIGKILL)
        kills += child.returncode == -signal.SIGKILL
        assert child.returncode in {0, -signal.SIGKILL}
    assert kills >= 3
    assert json.loads((tmp_path / "killed" / "cursor.json").read_text())
    options = {"accuracy": 0.7, "annotators": 3, "overlap": 2, "skip_rate": 0.1}
    killed = simulated.open(setting(tmp_path / "killed", per_pull=0, **options)).pull(None)
    assert {state.key: state.annotations for state in killed.states} == answers(tmp_path / "calm", number, **options)


def work_until_killed(home: Path, statement: int) -> bool:
    """Push and pull in a child that is killed when it begins its n-th SQL statement; False when it came to its end."""
    child = os.fork()
    if child == 0:
        connect_, left = sqlite3.connect, iter(range(statement - 1, -1, -1))

        def deadly(*args: Any, **how: Any) -> sqlite3.Connection:
            db = connect_(*args, **how)
            db.set_trace_callback(lambda _: None if next(left, 1) else os.kill(os.getpid(), signal.SIGKILL))
            return db

        sqlite3.connect = deadly  # type: ignore[assignment]
        try:
            pull_to_the_end(home)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def pull_to_the_end(home: Path) -> dict[str, tuple[Annotation, ...]]:
    """What a loop does: push, then pull from the cursor it wrote down last."""
    platform, ledger, tasks = simulated.open(setting(home, per_pull=2, annotators=2, overlap=2)), Ledger(), texts(2)
    kept = home / "cursor"
    platform.push(tasks, entries([task.key for task in tasks]))
    ledger.cursor = kept.read_text() if kept.exists() else None
    while ledger.pull(platform).states:
        kept.write_text(ledger.cursor or "")
    ledger.cursor = None
    ledger.pull(platform)
    platform.close()
    return ledger.states


def test_killed_at_any_statement_the_answers_are_the_same(tmp_path: Path) -> None:
    """Whatever was being written: no answer is lost, none doubled, none changed."""
    (tmp_path / "calm").mkdir()
    calm = pull_to_the_end(tmp_path / "calm")
    assert sum(len(said) for said in calm.values()) == 4
    for statement in count(1):
        home = tmp_path / str(statement)
        home.mkdir()
        killed = work_until_killed(home, statement)
        assert pull_to_the_end(home) == calm, f"killed at statement {statement}"
        if not killed:
            break
    assert statement > 30
