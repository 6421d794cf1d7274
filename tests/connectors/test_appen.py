"""Appen behind the door, on the stand-in of both generations of its API: money, trust, secrets, and bad days."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.schema import LabelSchema
from alearn.errors import ConfigError, Refused, Unavailable
from alearn.platform import Annotation, Call, Listening, Platform, Setting, Task, connect
from alearn.testing import Appen, Ledger, PlatformCase, PlatformConformance, Worker, entries, texts
from alearn.testing.appen import Job, form
from alearn_connectors import appen as connector
from alearn_connectors.appen.budget import Terms, allow
from alearn_connectors.appen.credentials import Secret
from alearn_connectors.appen.design import cml, moment
from alearn_connectors.appen.options import Options, read_options
from alearn_connectors.appen.signature import genuine

KEY, SECRET = "key-5f1d0c2b", "hook-9a77e31c"
CLASSES = ("cat", "dog", "bird")
APIS = ("v1", "v3")
ORDER = {"v1": r"POST .*/orders\.json", "v3": "POST .*/(send-to-job|launch)"}
UPLOAD = {"v1": r"PUT .*/upload\.json", "v3": r"POST /v3/jobs/upload\.json"}
ROUGH = {"timeout_seconds": 5, "settle_seconds": 0.1}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two secrets, where they belong."""
    monkeypatch.setenv("APPEN_API_KEY", KEY)
    monkeypatch.setenv("APPEN_WEBHOOK_SECRET", SECRET)


@pytest.fixture
def stand() -> Iterator[Appen]:
    with Appen(key=KEY, secret=SECRET) as appen:
        yield appen


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def options(stand: Appen, api: str, **more: Any) -> dict[str, Any]:
    """Options that launch, with much money."""
    least = {"url": stand.url, "api": api, "team": stand.account.team, "cap_cents": 10**9, "payment_cents": 5, "fee": 0}
    least["poll_seconds"] = 0.01
    return {**least, **more}


def setting(stand: Appen, api: str, home: Path, known: Any = None, **more: Any) -> Setting:
    told = {} if known is None else {"known": known}
    return Setting("cells", LabelSchema(CLASSES), "text", home, options(stand, api, **more), seed=3, **told)


TITLE = "alearn cells"


class CrowdCase(PlatformCase):
    """What contributors and Appen's people do, by the stand-in's hands."""

    def __init__(self, folder: Path, stand: Appen, api: str) -> None:
        super().__init__(folder)
        self.stand, self.api = stand, api
        self.account = stand.account

    def _title(self, setting: Setting) -> str:
        return f"alearn {setting.loop}"

    def open(self, setting: Setting) -> Platform:
        mine = options(self.stand, self.api, settle_seconds=5)
        return connect("appen", dataclasses.replace(setting, options={**mine, **setting.options}))

    def tasks(self, setting: Setting) -> list[str]:
        return self.account.keys(self._title(setting))

    def annotate(self, setting: Setting, key: str, value: str, annotator: str = "ann") -> str:
        made = self.account.judge(self._title(setting), key, value, annotator)
        return f"{self.account.job(self._title(setting)).id}-{made.id}"

    def skip(self, setting: Setting, key: str, annotator: str = "ann") -> None:
        self.annotate(setting, key, "cannot tell", annotator)

    def edit(self, setting: Setting, annotation: Annotation, value: str) -> None:
        self.account.edit(self._title(setting), annotation.key, int(annotation.id.rsplit("-", 1)[1]), value)

    def delete_annotation(self, setting: Setting, annotation: Annotation) -> None:
        number = int(annotation.id.rsplit("-", 1)[1])
        self.account.remove_judgment(self._title(setting), annotation.key, number)

    def delete_task(self, setting: Setting, key: str) -> None:
        self.account.remove_unit(self._title(setting), key)

    def annotate_outside(self, setting: Setting, key: str) -> None:
        self.annotate(setting, key, "no such class")

    def content(self, setting: Setting, key: str) -> str:
        return str(self.account.unit(self._title(setting), key).data["text"])

    def image(self, name: str) -> str:
        return f"https://pictures.example/{name}.png"

    def unreachable(self, setting: Setting) -> Platform:
        """Nothing listens on port 1."""
        return self.open(dataclasses.replace(setting, options={"url": "http://127.0.0.1:1"}))


class TestAppenConformance(PlatformConformance):
    """The rules of the door, for both generations."""

    @pytest.fixture
    def platform_case(self, tmp_path: Path, stand: Appen, api: str) -> PlatformCase:
        return CrowdCase(tmp_path, stand, api)


def pushed(platform: Platform, count: int, word: str = "text") -> list[str]:
    """Prepare, and push texts."""
    platform.prepare()
    tasks = texts(count, word)
    keys = [task.key for task in tasks]
    assert platform.push(tasks, entries(keys)) == {}
    return keys


def ordered(stand: Appen) -> int:
    return sum(one.rows for one in stand.account.orders)


# --- rows and orders --------------------------------------------------------------------------------------------------


def test_rows_come_in_the_queues_order_and_are_ordered_once(stand: Appen, api: str, tmp_path: Path) -> None:
    """The key travels in the row; pushing again orders nothing; what is new is ordered."""
    platform = connector.open(setting(stand, api, tmp_path))
    platform.prepare()
    tasks = texts(4)
    queue = [tasks[at].key for at in (2, 0, 3, 1)]
    platform.push(tasks, entries(queue))
    assert stand.account.keys(TITLE) == queue
    assert ordered(stand) == 4
    platform.push(tasks, entries(queue))
    connector.open(setting(stand, api, tmp_path)).push(tasks, entries(queue))
    assert ordered(stand) == 4
    more = texts(2, "more")
    platform.push(more, entries([*queue, *(task.key for task in more)]))
    assert ordered(stand) == 6
    assert stand.account.job(TITLE).state.lower() == "running"


def test_without_a_cap_nothing_is_launched(stand: Appen, api: str, tmp_path: Path) -> None:
    """Rows are there; a person launches them."""
    pushed(connector.open(setting(stand, api, tmp_path, cap_cents=None)), 3)
    assert len(stand.account.keys(TITLE)) == 3
    assert stand.account.orders == []
    assert stand.count(ORDER[api]) == 0


@pytest.mark.parametrize("lost", ["journal", "nothing"])
def test_the_cap_holds_and_nothing_is_sent_beyond_it(stand: Appen, api: str, tmp_path: Path, lost: str) -> None:
    """Three cents a row (3 judgments, 5 cents for a page of 5): 9 rows are 27 cents, the tenth would be 30.

    What is ordered is read from the job, so that it counts without the journal, too.
    """
    platform = connector.open(setting(stand, api, tmp_path, cap_cents=29))
    pushed(platform, 9)
    named: dict[str, Any] = {}
    if lost == "journal":
        (tmp_path / "appen" / "journal.json").unlink()
        named = {"project": stand.account.job(TITLE).project or None}
    platform = connector.open(setting(stand, api, tmp_path, cap_cents=29, **named))
    fresh = texts(1, "fresh")
    with pytest.raises(Refused, match=r"Got 29 US cents; the 9 rows ordered so far cost up to 27, and 1 more .* 30"):
        platform.push(fresh, entries([fresh[0].key]))
    assert len(stand.account.keys(TITLE)) == 9
    raised = connector.open(setting(stand, api, tmp_path, cap_cents=30, **named))
    raised.push(fresh, entries([fresh[0].key]))
    assert ordered(stand) == 10


@pytest.mark.parametrize(
    "theirs",
    [
        {"payment_cents": 500},
        {"judgments_per_unit": 300},
        {"max_judgments_per_unit": 300, "variable_judgments_mode": "auto_confidence"},
        {"judgments_per_unit": 60, "units_per_assignment": 1},
    ],
)
def test_the_job_s_own_price_counts_when_it_is_higher(stand: Appen, tmp_path: Path, theirs: dict[str, Any]) -> None:
    """Somebody raised the pay, the judgments or lowered the rows of a page in Appen: 6 cents became 600."""
    platform = connector.open(setting(stand, "v1", tmp_path, cap_cents=599))
    platform.prepare()
    stand.account.job(TITLE).settings |= theirs
    with pytest.raises(Refused, match="make it 600"):
        platform.push(texts(2), entries([]))
    assert stand.account.orders == []


def test_a_job_that_orders_by_itself_is_refused(stand: Appen, tmp_path: Path) -> None:
    """The cap could not hold."""
    platform = connector.open(setting(stand, "v1", tmp_path))
    platform.prepare()
    stand.account.job(TITLE).settings["auto_order"] = True
    with pytest.raises(Refused, match="auto_order"):
        platform.push(texts(2), entries([]))


def test_what_a_person_paused_stays_paused_and_canceled_is_refused(stand: Appen, api: str, tmp_path: Path) -> None:
    """Rows that wait for it are a reason to say so, and are ordered when it goes on; nothing new is no reason."""
    platform = connector.open(setting(stand, api, tmp_path))
    keys = pushed(platform, 2)
    stand.account.job(TITLE).state = "PAUSED" if api == "v3" else "paused"
    platform.push([], entries(keys))
    with pytest.raises(Unavailable, match=r"1 rows to be ordered\. Somebody paused it"):
        platform.push(texts(1, "late"), entries([]))
    assert ordered(stand) == 2
    assert [one.ok for one in platform.check() if "is paused" in one.what] == [False]
    stand.account.job(TITLE).state = "RUNNING" if api == "v3" else "running"
    platform.push(texts(1, "late"), entries([]))
    assert (len(stand.account.keys(TITLE)), ordered(stand)) == (3, 3)
    stand.account.job(TITLE).state = "CANCELLED" if api == "v3" else "canceled"
    with pytest.raises(Refused, match="canceled"):
        platform.push(texts(1, "later"), entries([]))


def test_rows_that_show_late_are_waited_for(stand: Appen, tmp_path: Path) -> None:
    """An upload is worked off in the background there: neither the list nor the counts have its rows at once."""
    platform = connector.open(setting(stand, "v1", tmp_path))
    platform.prepare()
    late, add = [], stand.account.add
    stand.account.add = lambda holder, rows: late.append((holder, rows))  # type: ignore[method-assign]
    worker = threading.Timer(0.4, lambda: [add(*one) for one in late])
    worker.start()
    platform.push(texts(3), entries([]))
    worker.join()
    assert ordered(stand) == 3


def test_an_order_that_the_counts_do_not_show_yet_is_not_placed_again(stand: Appen, tmp_path: Path) -> None:
    """Counts may lag behind an order that was answered."""
    platform = connector.open(setting(stand, "v1", tmp_path))
    keys = pushed(platform, 3)
    for unit in stand.account.ordered(TITLE):
        unit.ordered = False
    platform.push([], entries(keys))
    assert stand.count(ORDER["v1"]) == 1
    platform.push(texts(2, "more"), entries([]))
    assert [one.rows for one in stand.account.orders] == [3, 2]


WORKER = """
    import json, sys
    from pathlib import Path
    from alearn.core.keys import content_key
    from alearn.core.schema import LabelSchema
    from alearn.platform import Queue, QueueEntry, Setting, Task
    from alearn_connectors import appen
    told = json.loads(sys.argv[1])
    schema = LabelSchema(("cat", "dog", "bird"))
    platform = appen.open(Setting("cells", schema, "text", Path(sys.argv[2]), told, seed=3))
    platform.prepare()
    tasks = [Task(content_key(f"text {at}".encode()), text=f"text {at}") for at in range(6)]
    platform.push(tasks, Queue("v", tuple(QueueEntry(task.key, 0.5) for task in tasks)))
"""

CALLS = {
    "v1": [r"POST /v1/jobs\.json", UPLOAD["v1"], ORDER["v1"]],
    "v3": [
        "POST /v3/project-flow/projects",
        r"POST /v3/jobs/jobs\.json",
        "PUT /v3/jobs/update",
        UPLOAD["v3"],
        "POST .*/send-to-job",
        "POST .*/launch",
    ],
}


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize(("api", "call"), [(api, call) for api in APIS for call in CALLS[api]])
def test_killed_between_intent_and_answer_it_is_done_once(
    stand: Appen, api: str, call: str, after: bool, tmp_path: Path
) -> None:
    """A real SIGKILL in the middle of each call that would hurt when it is repeated; then a new process."""
    killed = setting(stand, api, tmp_path, **ROUGH)
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), json.dumps(dict(killed.options)), str(tmp_path)],
        stderr=subprocess.PIPE,
    )
    struck = threading.Event()

    def strike() -> None:
        os.kill(child.pid, signal.SIGKILL)
        struck.set()

    stand.fail(call, strike, after=after)
    _, words = child.communicate(timeout=60)
    assert struck.is_set(), words.decode()
    assert child.returncode == -signal.SIGKILL
    if (api, call, after) == ("v3", CALLS["v3"][0], True):
        told = dataclasses.replace(killed, options={**killed.options, "project": next(iter(stand.account.projects))})
        with pytest.raises(Refused, match=r"platform\.options\.project"):
            resumed(killed)
        killed = told
    keys = resumed(killed)
    assert Counter(stand.account.keys(TITLE)) == Counter(keys)
    assert ordered(stand) == 6
    assert len(stand.account.ordered(TITLE)) == 6
    assert len(stand.account.jobs) == 1
    assert stand.account.job(TITLE).state.lower() == "running"
    assert not json.loads((tmp_path / "appen" / "journal.json").read_text())["pending"]


def resumed(setting: Setting, tries: int = 60) -> list[str]:
    """What a loop does: the same again, as long as the platform is not available."""
    tasks = texts(6)
    keys = [task.key for task in tasks]
    for left in reversed(range(tries)):
        platform = connector.open(setting)
        try:
            platform.prepare()
            platform.push(tasks, entries(keys))
            return keys
        except Unavailable:
            if not left:
                raise
            threading.Event().wait(0.05)
        finally:
            platform.close()
    raise AssertionError


@pytest.mark.parametrize("harm", ["drop", "hang", 502, 429])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("which", ["order", "upload"])
def test_a_lost_answer_orders_and_uploads_once(
    stand: Appen, api: str, harm: Any, after: bool, which: str, tmp_path: Path
) -> None:
    """Timeouts, resets, 502 and 429, before or after the effect: `Unavailable`, a look, and then what is missing."""
    mine = setting(stand, api, tmp_path, timeout_seconds=0.5, settle_seconds=0.1)
    stand.fail((ORDER if which == "order" else UPLOAD)[api], harm, after=after)
    platform = connector.open(mine)
    platform.prepare()
    tasks = texts(6)
    with pytest.raises(Unavailable):
        platform.push(tasks, entries([task.key for task in tasks]))
    keys = resumed(mine)
    assert Counter(stand.account.keys(TITLE)) == Counter(keys)
    assert ordered(stand) == 6


@pytest.mark.parametrize("what", ["create", "upload", "order"])
def test_a_call_that_may_still_be_at_work_is_waited_for(stand: Appen, what: str, tmp_path: Path) -> None:
    """Not looked at and not repeated before `settle_seconds` have passed, in this process and in the next."""
    now = [1000.0]
    mine = setting(stand, "v1", tmp_path, settle_seconds=60)
    call = {"create": r"POST /v1/jobs\.json", "upload": UPLOAD["v1"], "order": ORDER["v1"]}[what]

    def push() -> None:
        platform = connector.AppenPlatform(mine, read_options(mine), lambda: now[0])
        platform.prepare()
        platform.push(texts(2), entries([]))

    stand.fail(call, "drop")
    with pytest.raises(Unavailable):
        push()
    for seconds in (1, 58):
        now[0] += seconds
        with pytest.raises(Unavailable, match=f"asked to {what} and the answer was lost"):
            push()
    assert stand.count(call) == 1
    now[0] += 2
    push()
    assert stand.count(call) == 2
    assert ordered(stand) == 2


def test_the_journal_is_written_before_the_call(stand: Appen, api: str, tmp_path: Path) -> None:
    """At the moment the order arrives, the intent is on the disk."""
    held: list[Mapping[str, Any]] = []
    path = tmp_path / "appen" / "journal.json"
    stand.fail(ORDER[api], lambda: held.append(json.loads(path.read_text())["pending"]["order"]))
    platform = connector.open(setting(stand, api, tmp_path))
    platform.prepare()
    with pytest.raises(Unavailable):
        platform.push(texts(3), entries([]))
    assert [(one["rows"], one["before"], one["cents"]) for one in held] == [(3, 0, 9)]


def test_a_damaged_journal_stops_before_money_is_spent(stand: Appen, tmp_path: Path) -> None:
    """It is not taken for an empty one."""
    pushed(connector.open(setting(stand, "v1", tmp_path)), 2)
    (tmp_path / "appen" / "journal.json").write_text("{oops")
    platform = connector.open(setting(stand, "v1", tmp_path))
    for call in (platform.prepare, lambda: platform.push(texts(2), entries([])), lambda: platform.pull(None)):
        with pytest.raises(Refused, match=r"journal\.json"):
            call()
    assert not all(one.ok for one in platform.check())


def test_another_machine_finds_the_job_by_its_title(stand: Appen, api: str, tmp_path: Path) -> None:
    """Without the loop's folder; in `v3` within the project that is named."""
    keys = pushed(connector.open(setting(stand, api, tmp_path / "one")), 3)
    project = stand.account.job(TITLE).project or None
    other = connector.open(setting(stand, api, tmp_path / "two", project=project))
    assert pushed(other, 3) == keys
    assert len(stand.account.jobs) == 1
    assert ordered(stand) == 3


def test_a_deleted_job_is_made_anew(stand: Appen, api: str, tmp_path: Path) -> None:
    """Somebody deleted it; the reference is another."""
    platform = connector.open(setting(stand, api, tmp_path))
    before = platform.prepare()
    stand.account.jobs.clear()
    assert platform.prepare() != before
    assert len(stand.account.jobs) == 1


def test_a_template_is_copied_and_a_job_of_ones_own_is_left_alone(stand: Appen, tmp_path: Path) -> None:
    """The pay and the form are theirs."""
    other = Setting("template", LabelSchema(CLASSES), "text", tmp_path / "t", options(stand, "v1", payment_cents=9))
    connector.open(other).prepare()
    template = stand.account.job("alearn template")
    copy = connector.open(setting(stand, "v1", tmp_path / "a", template=template.id))
    assert copy.prepare() == copy.prepare()
    assert stand.account.job(TITLE).settings["payment_cents"] == 9
    before = dict(template.settings)
    own = connector.open(setting(stand, "v1", tmp_path / "b", job=template.id))
    assert own.prepare() == f"Appen v1 job {template.id}"
    assert template.settings == before


def test_pictures_that_contributors_cannot_reach_are_told(stand: Appen, tmp_path: Path) -> None:
    """Under `media_root` they have a URL; others are refused one by one, and stop nothing."""
    more = {"media_root": str(tmp_path / "m"), "media_url": "https://pictures.example/"}
    mine = dataclasses.replace(setting(stand, "v1", tmp_path, **more), data="image")
    platform = connector.open(mine)
    platform.prepare()
    uris = [
        str(tmp_path / "m" / "a b.png"),
        "https://elsewhere.example/c.png",
        str(tmp_path / "m" / ".." / "x"),
        "s3://b/d",
    ]
    refused = platform.push([Task(f"k{at}", uri=uri) for at, uri in enumerate(uris)], entries([]))
    assert set(refused) == {"k2", "k3"}
    there = [unit.data["image"] for unit in stand.account.units[stand.account.job(TITLE).id].values()]
    assert there == ["https://pictures.example/a%20b.png", "https://elsewhere.example/c.png"]


# --- gold and trust ---------------------------------------------------------------------------------------------------


def truth(keys: Sequence[str]) -> dict[str, str]:
    return {key: CLASSES[int(key[0], 16) % 3] for key in keys}


def test_a_share_of_what_is_known_becomes_test_questions(stand: Appen, api: str, tmp_path: Path) -> None:
    """With their answers, for free, the same when pushed again; nothing else is one."""
    keys = [task.key for task in texts(60)]
    known = dict(list(truth(keys).items())[:40])
    mine = setting(stand, api, tmp_path, lambda asked: {key: known[key] for key in asked if key in known}, gold=0.5)
    assert pushed(connector.open(mine), 60) == keys
    pushed(connector.open(mine), 60)
    gold = {unit.key: unit.gold for unit in stand.account.of(stand.account.job(TITLE)).values() if unit.gold}
    assert 8 <= len(gold) <= 32
    assert gold.items() <= known.items()
    assert ordered(stand) == 60 - len(gold)


def test_gold_is_made_when_the_upload_was_cut_off_before_it(stand: Appen, api: str, tmp_path: Path) -> None:
    """Rows that came with an answer do not stay ordinary ones."""
    stand.fail(r"(PUT .*/gold\.json|POST .*/upload-test-question)", "drop")
    mine = setting(stand, api, tmp_path, truth, gold=1.0, **ROUGH)
    platform = connector.open(mine)
    platform.prepare()
    with pytest.raises(Unavailable):
        platform.push(texts(6), entries([]))
    resumed(mine)
    assert all(unit.gold for unit in stand.account.of(stand.account.job(TITLE)).values())
    assert stand.account.orders == []


def test_trust_comes_with_the_judgments_and_the_removed_do_not_count(stand: Appen, tmp_path: Path) -> None:
    """A spammer fails the test questions, is named once, and what they said is not listed; the rest is."""
    mine = setting(stand, "v1", tmp_path, truth, gold=0.4, reject_at=70, judgments=2)
    platform, ledger = connector.open(mine), Ledger()
    keys = pushed(platform, 40)
    crew = [Worker("amy", 1.0), Worker("bob", 0.95), Worker("spam", 0.34)]
    stand.account.work(TITLE, crew, truth(keys), CLASSES)
    notices = ledger.pull(platform).notices
    assert [bool(re.search(r"contributor spam at a trust of 0\.\d\d", one)) for one in notices] == [True]
    assert {one.annotator for said in ledger.states.values() for one in said} == {"amy", "bob"}
    found = platform.trust()
    assert found == {name: stand.account.job(TITLE).trust[name] for name in found}
    assert found["amy"] == 1.0
    assert found["spam"] < 0.7
    assert ledger.pull(connector.open(mine)).notices == ()
    rows = stand.account.ordered(TITLE)
    assert all(len(ledger.states[unit.key]) == 2 for unit in rows)


def test_a_contributor_who_is_removed_later_is_taken_back(stand: Appen, api: str, tmp_path: Path) -> None:
    """Their earlier judgments leave the tasks' states; others' stay."""
    platform, ledger = connector.open(setting(stand, api, tmp_path)), Ledger()
    keys = pushed(platform, 3)
    for key in keys:
        stand.account.judge(TITLE, key, "dog", "amy")
        stand.account.judge(TITLE, key, "cat", "zed")
    ledger.pull(platform)
    assert all(len(ledger.states[key]) == 2 for key in keys)
    stand.account.remove_worker(TITLE, "zed", 0.4)
    notices = ledger.pull(platform).notices
    assert [ledger.one(key).annotator for key in keys] == ["amy"] * 3
    assert len(notices) == 1
    assert platform.trust() == {"amy": 1.0, "zed": 0.4}


def test_the_stand_in_s_confidence_is_the_share_of_trust(stand: Appen) -> None:
    """Appen's own example: 4.4703 of 7.2505 is .6166."""
    account = stand.account
    with_trust = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.8, "e": 0.6703, "f": 1.0, "g": 0.9, "h": 0.8802}
    account.jobs["1"] = Job("1", {"title": "t"})
    account.add("1", [{"alearn_id": "k"}])
    for name in with_trust:
        account.judge("t", "k", "yes" if name in "abcde" else "no", name)
    account.job("t").trust = with_trust
    found = account.aggregate(account.job("t"), account.unit("t", "k"))
    assert (found["agg"], round(found["confidence"], 4)) == ("yes", 0.6166)


def test_the_whole_way_with_robots_and_money(stand: Appen, api: str, tmp_path: Path) -> None:
    """Push, work, pull: as many judgments as asked for, mostly right, and not dearer than the cap said."""
    platform, ledger = connector.open(setting(stand, api, tmp_path, cap_cents=150)), Ledger()
    keys = pushed(platform, 50)
    stand.account.work(TITLE, [Worker(name, 0.9) for name in "abcde"], truth(keys), CLASSES)
    ledger.pull(platform)
    said = [one for key in keys for one in ledger.states[key]]
    assert len(said) == 150
    assert all(one.lead_time == 5.0 and one.updated_at for one in said)
    assert 0.8 < sum(one.value == truth([one.key])[one.key] for one in said) / 150 < 1
    assert stand.account.spent_cents(TITLE) == 150
    assert stand.account.job(TITLE).state in {"finished", "COMPLETED"}


def test_pages_are_read_to_their_end(stand: Appen, tmp_path: Path) -> None:
    """250 judged rows are three pages; 2,300 rows three others."""
    platform, ledger = connector.open(setting(stand, "v1", tmp_path, judgments=1)), Ledger()
    keys = pushed(platform, 2300)
    stand.account.work(TITLE, [Worker("amy", 1.0)], truth(keys), CLASSES, limit=250)
    pull = ledger.pull(platform, pushed=keys)
    assert pull.missing == frozenset()
    assert set(ledger.states) == set(keys[:250])


def test_a_pull_is_not_lost_to_a_rate_limit(stand: Appen, tmp_path: Path) -> None:
    """What was read before a 429 is told, the rest with the next pull; a limit at the first is `Unavailable`."""
    platform, ledger = connector.open(setting(stand, "v1", tmp_path)), Ledger()
    keys = pushed(platform, 5)
    for key in keys:
        stand.account.judge(TITLE, key, "cat", "amy")
    detail = r"GET .*/units/\d+/judgments\.json"
    stand.fail(detail, 429)
    with pytest.raises(Unavailable, match="wait 7 s"):
        ledger.pull(platform)
    stand.fail(detail, 429, spare=3)
    ledger.pull(platform)
    assert len(ledger.states) == 3
    ledger.pull(platform)
    assert set(ledger.states) == set(keys)


# --- webhooks ---------------------------------------------------------------------------------------------------------


class Bell:
    """A host that counts."""

    def __init__(self) -> None:
        self.rung = 0

    def wake(self) -> None:
        self.rung += 1

    def train(self) -> None:
        raise AssertionError

    def version(self) -> str | None:
        raise AssertionError

    def suggest(self, keys: Sequence[str]) -> Mapping[str, Any]:
        raise AssertionError


def hook(body: bytes, path: str = "/webhook", method: str = "POST", **headers: str) -> Call:
    return Call(method, path, {"content-type": "application/x-www-form-urlencoded", **headers}, body)


PAYLOAD = json.dumps({"id": 7, "state": "finalized", "data": {"text": "Größe & 漢字"}}).encode()


@pytest.fixture
def listening(stand: Appen, tmp_path: Path) -> connector.AppenPlatform:
    platform = connector.open(setting(stand, "v1", tmp_path))
    assert isinstance(platform, Listening)
    assert isinstance(platform, connector.AppenPlatform)
    return platform


def test_a_signed_webhook_wakes_once_however_often_it_comes(listening: connector.AppenPlatform) -> None:
    """Replays are answered, or Appen would send them 30 times."""
    bell = Bell()
    body = form("unit_complete", PAYLOAD, SECRET)
    again = re.sub(rb"(?<=signature=)\w+", lambda found: found[0].upper(), body)
    assert [listening.hear(hook(one), bell).status for one in (body, body, again)] == [200] * 3
    assert bell.rung == 1
    listening.hear(hook(form("unit_complete", PAYLOAD + b" ", SECRET)), bell)
    assert bell.rung == 2


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (hook(form("unit_complete", PAYLOAD, "another secret")), 401),
        (hook(form("unit_complete", PAYLOAD, "")), 401),
        (hook(form("unit_complete", PAYLOAD, SECRET).replace(b"signature=", b"signature=0")), 401),
        (hook(form("unit_complete", PAYLOAD, SECRET).replace(b"%22id", b"%22ID")), 401),
        (hook(b"signal=unit_complete&payload={}"), 401),
        (hook(b""), 401),
        (hook(b"\xff\xfe{not a form"), 401),
        (hook(json.dumps({"signal": "x", "payload": "{}"}).encode()), 401),
        (hook(b"&".join(b"a=1" for _ in range(1000))), 401),
        (hook(b"x" * (5 << 20)), 413),
        (hook(form("unit_complete", PAYLOAD, SECRET), method="GET"), 405),
        (hook(form("unit_complete", PAYLOAD, SECRET), path="/webhooks"), 404),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_a_webhook_that_is_not_as_it_should_be_wakes_nobody(
    listening: connector.AppenPlatform, call: Call, status: int
) -> None:
    """Forged, altered, without a signature, no form, oversized, elsewhere."""
    bell = Bell()
    assert listening.hear(call, bell).status == status
    assert bell.rung == 0


def test_without_a_webhook_secret_the_api_key_signs_and_without_both_nobody(
    listening: connector.AppenPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in older accounts; nothing is genuine without a secret."""
    bell = Bell()
    monkeypatch.delenv("APPEN_WEBHOOK_SECRET")
    assert listening.hear(hook(form("x", PAYLOAD, KEY)), bell).status == 200
    monkeypatch.delenv("APPEN_API_KEY")
    assert listening.hear(hook(form("x", PAYLOAD + b" ", "")), bell).status == 401
    assert bell.rung == 1


def test_the_signature_may_come_in_the_header(listening: connector.AppenPlatform) -> None:
    """Some say it does."""
    bell = Bell()
    signature = hashlib.sha1(b"{}" + SECRET.encode()).hexdigest()
    assert listening.hear(hook(b"payload={}", **{"x-cf-signature": signature}), bell).status == 200
    assert bell.rung == 1


@given(st.binary(), st.text(), st.text(min_size=1))
def test_only_the_secret_makes_a_signature_genuine(body: bytes, other: str, secret: str) -> None:
    """The hash of payload and secret is; what is not it, is not; and nothing is without a secret."""
    secret = secret.encode("utf-8", "replace").decode()
    signature = hashlib.sha1(body + secret.encode()).hexdigest()
    assert genuine(body, signature, secret)
    assert not genuine(body + b"x", signature, secret)
    assert genuine(body, other, secret) == (other.strip().lower() == signature)
    assert not genuine(body, hashlib.sha1(body).hexdigest(), "")


def test_webhooks_arrive_and_leave_with_the_subscription(stand: Appen, listening: connector.AppenPlatform) -> None:
    """By real HTTP from the stand-in, each twice: one judgment wakes, its copy does not; unsubscribed, none comes."""
    bell, heard = Bell(), []
    stand.copies = 2

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = listening.hear(hook(body, self.path.removeprefix("/hooks/cells")), bell)
            heard.append(reply.status)
            self.send_response(reply.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        (key,) = pushed(listening, 1)
        listening.subscribe("http://127.0.0.1:1/old")
        address = f"http://127.0.0.1:{server.server_address[1]}/hooks/cells"
        listening.subscribe(address)
        listening.subscribe(address + "/")
        stand.account.judge(TITLE, key, "cat", "amy")
        assert (heard, bell.rung, stand.undelivered) == ([200, 200], 1, [])
        listening.subscribe(None)
        listening.subscribe(None)
        stand.account.judge(TITLE, key, "cat", "bob")
        assert len(heard) == 2
        server.shutdown()
    assert stand.count(r"PUT /v1/jobs/\d+\.json") == 3


def test_the_new_generation_has_no_webhooks(stand: Appen, tmp_path: Path) -> None:
    """Subscribing changes nothing there."""
    platform = connector.open(setting(stand, "v3", tmp_path))
    assert isinstance(platform, Listening)
    platform.prepare()
    before = dict(stand.account.job(TITLE).settings)
    platform.subscribe("http://127.0.0.1:1/x")
    assert stand.account.job(TITLE).settings == before


# --- secrets and bad days ---------------------------------------------------------------------------------------------


def test_secrets_are_shown_nowhere(
    stand: Appen, api: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in messages, even when a server tells the key back, nor tracebacks, reprs, logs, files."""
    caplog.set_level("DEBUG")
    platform = connector.open(setting(stand, api, tmp_path))
    pushed(platform, 2)
    assert isinstance(platform, connector.AppenPlatform)
    platform.hear(hook(form("x", PAYLOAD, SECRET)), Bell())
    told = [repr(platform), repr(vars(platform)), repr(platform._service()), repr(vars(platform._client))]
    stand.account.key = "changed"
    with pytest.raises(Refused, match=r"401.*\*\*\*") as refused:
        platform.prepare()
    told += ["".join(traceback.format_exception(refused.value)), str(platform.check()), str(platform.links())]
    told += [caplog.text, *capsys.readouterr(), *(path.read_text() for path in tmp_path.rglob("*.json"))]
    assert not [words for words in told if KEY in words or SECRET in words]


def test_a_secret_hides_itself() -> None:
    """In every way that text is made of it; it is written nowhere."""
    secret = Secret(KEY)
    assert KEY not in f"{secret} {secret!r} {secret!s} {[secret]}" + secret.masked(f"x{KEY}x")
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_the_key_may_be_in_a_file_and_must_be_somewhere(
    stand: Appen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a sentence says where."""
    monkeypatch.delenv("APPEN_API_KEY")
    with pytest.raises(Refused, match=r"APPEN_API_KEY.*api_key_file"):
        connector.open(setting(stand, "v1", tmp_path)).prepare()
    (tmp_path / "key").write_text(KEY + "\n")
    assert connector.open(setting(stand, "v1", tmp_path, api_key_file=str(tmp_path / "key"))).prepare()
    with pytest.raises(Refused, match="api_key_file"):
        connector.open(setting(stand, "v1", tmp_path, api_key_file=str(tmp_path / "none"))).prepare()
    (tmp_path / "key").write_text("schlüssel")
    with pytest.raises(Refused, match="ASCII") as refused:
        connector.open(setting(stand, "v1", tmp_path, api_key_file=str(tmp_path / "key"))).prepare()
    assert "schlüssel" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "error"), [(429, Unavailable), (502, Unavailable), (503, Unavailable), (402, Refused)]
)
def test_answers_are_told_apart(stand: Appen, api: str, tmp_path: Path, status: int, error: type[Exception]) -> None:
    """What passes is tried again, what does not is told; by every method."""
    platform = connector.open(setting(stand, api, tmp_path))
    keys = pushed(platform, 2)
    for call in (
        platform.prepare,
        lambda: platform.push(texts(2, "other"), entries([])),
        lambda: platform.pull(None),
        lambda: platform.pull(None, pushed=keys),
    ):
        stand.fail(".*", status)
        with pytest.raises(error, match=str(status)):
            call()
    stand.fail(".*", status)
    assert not all(one.ok for one in platform.check())


@pytest.mark.parametrize(
    "answer", [(200, b"<html>hello"), (200, []), (200, {"data": 3}), (302, {}), (200, {"error": "x"})]
)
def test_a_stranger_s_answers_are_refused(stand: Appen, api: str, tmp_path: Path, answer: Any) -> None:
    """Something else answers: a sentence, and nothing else leaves."""
    platform = connector.open(setting(stand, api, tmp_path))
    keys = pushed(platform, 2)
    stand.account.judge(TITLE, keys[0], "cat")
    stand.answer = lambda *asked: answer  # type: ignore[method-assign]
    calls: list[Callable[[], object]] = [platform.prepare, lambda: platform.pull(None, pushed=keys)]
    calls.append(lambda: platform.push(texts(2, "other"), entries([])))
    for call in calls:
        with pytest.raises((Refused, Unavailable)):
            call()


def test_too_many_rows_are_refused(api: str, tmp_path: Path) -> None:
    """422, in Appen's words."""
    with Appen(key=KEY, rows_per_job=3) as stand:
        platform = connector.open(setting(stand, api, tmp_path))
        platform.prepare()
        with pytest.raises(Refused, match=r"422.*maximum amount of units"):
            platform.push(texts(4), entries([]))


# --- options, forms, prices -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"capcents": 5}, "Did you mean `cap_cents`"),
        ({"cap_cents": 5.5, "payment_cents": 1}, "cap_cents"),
        ({"cap_cents": 5}, "payment_cents"),
        ({"api": "v2"}, "one of v1, v3"),
        ({"api": "v3"}, "team"),
        ({"gold": 1.5}, "gold"),
        ({"url": "https://me:secret@x.example"}, "password"),
        ({"url": "api.appen.com"}, "url"),
        ({"field": "Answer me"}, "field"),
        ({"judgments": 3, "max_judgments": 2, "confidence": 0.7}, "max_judgments"),
        ({"media_root": "/x"}, "media_url"),
        ({"job": 1, "template": 2}, "template"),
        ({"job": True}, "job"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    """When the connector is opened, without the network."""
    with pytest.raises(ConfigError, match=words):
        connector.open(Setting("cells", LabelSchema(CLASSES), "text", tmp_path, wrong))


def test_a_job_s_number_may_be_one(tmp_path: Path) -> None:
    """YAML reads digits as a number."""
    assert read_options(Setting("cells", LabelSchema(CLASSES), "text", tmp_path, {"job": 418404})).job == "418404"


def test_neither_texts_nor_class_names_become_mark_up() -> None:
    """Or Liquid tags, which are read before mark-up is."""
    form = cml(LabelSchema(("<b>{{ x }}</b>", '" onload="x', "{% raw %}")), "text", Options())
    outside = form.replace("{{ text | escape }}", "")
    assert not set("{}%") & set(outside)
    assert "<b>" not in form
    assert form.count("<cml:radio ") == 4
    assert "onload=&quot;" in form


@given(
    st.integers(0, 10_000),
    st.integers(1, 100),
    st.integers(1, 100),
    st.floats(0, 5),
    st.integers(0, 500),
    st.booleans(),
)
def test_a_price_is_never_too_low(pay: int, page: int, judgments: int, fee: float, rows: int, gold: bool) -> None:
    """Whole pages with all judgments and the fee; and one more row never makes it less."""
    terms = Terms(pay, page, judgments, fee, gold)
    pages = rows * judgments / max(page - gold, 1)
    assert terms.cents(rows) >= pay * pages * (1 + fee) * (1 - 1e-9) - 1e-9
    assert terms.cents(rows + 1) >= terms.cents(rows)
    assert allow("x", terms.cents(rows), terms, ordered=0, more=rows) == terms.cents(rows)
    with pytest.raises(Refused):
        allow("x", terms.cents(rows) - 1, terms, ordered=rows, more=0)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05+00:00"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"),
        ("1/2/2026 03:04:05", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05+00:00"),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_of_either_generation_are_read(words: str, found: str | None) -> None:
    """In UTC."""
    time = moment(words)
    assert (time.isoformat() if time else None) == found
