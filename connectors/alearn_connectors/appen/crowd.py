"""Appen behind the door of `alearn.platform`: what a loop asks for, in calls of either generation.

Invariant: a call that would hurt when it is repeated (a new job, an upload, an order) is announced in the journal, and
nothing but a look decides whether it is made again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from alearn.errors import PlatformError, Refused, Unavailable
from alearn.platform import Call, Finding, Host, Pull, Queue, Reply, Setting, Task, TaskState
from alearn_connectors.appen import design
from alearn_connectors.appen.checks import findings
from alearn_connectors.appen.classic import Classic
from alearn_connectors.appen.client import Client, Missing
from alearn_connectors.appen.credentials import api_key, webhook_secret
from alearn_connectors.appen.journal import Journal
from alearn_connectors.appen.launching import Launcher
from alearn_connectors.appen.options import Options
from alearn_connectors.appen.projects import Projects
from alearn_connectors.appen.seen import Seen
from alearn_connectors.appen.service import Place, Row, Service
from alearn_connectors.appen.signature import HEADER, genuine, signed

HOOK = "/webhook"
"""Where webhooks are heard, below the loop's address."""

LARGEST_HOOK = 4 << 20
"""Bytes of a webhook that is looked at; a row with all its judgments is far smaller."""

REMEMBERED = 1024
"""Webhooks that are known again when they are sent twice."""

TOLD = 500
"""At most so many rows in one pull; the cursor says where the next one goes on."""


class AppenPlatform:
    """Appen's contributors; see the package. `clock` gives the time in seconds since 1970."""

    def __init__(self, setting: Setting, options: Options, clock: Callable[[], float] = time.time) -> None:
        self._setting, self._options, self._clock = setting, options, clock
        self._home = setting.home / "appen"
        self._journal = Journal(self._home / "journal.json", f"{options.api} {options.url}")
        self._launcher = Launcher(setting.loop, options, self._journal, clock)
        self._client: Client | None = None
        self._opened: Service | None = None
        self._known: frozenset[str] | None = None
        self._heard: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def _service(self) -> Service:
        if self._opened is None or self._client is None:
            options = self._options
            self._client = Client(options.url, api_key(options.api_key_file), options.timeout_seconds)
            title = options.title_of(self._setting.loop)
            wanted = design.settings(self._setting.schema, self._setting.data, options, title)
            mark = design.fingerprint(wanted)
            classic = options.api == "v1"
            made: Service = (Classic if classic else Projects)(self._client, options, wanted, mark)
            self._opened = made
        return self._opened

    # --- the job ------------------------------------------------------------------------------------------------------

    def prepare(self) -> str:
        """Create the job or adopt the one that is there."""
        service, place = self._service(), self._noted()
        if place is not None:
            try:
                return self._adopted(service, place)
            except Missing:
                if self._options.job is not None:
                    raise
                self._journal.note(Place(project=place.project) if place.project else None)
        return self._adopted(service, self._found(service) or self._created(service))

    def _noted(self) -> Place | None:
        """The job that is named or noted; None when there is none yet."""
        place = self._journal.place
        if self._options.job is not None and (place is None or place.job != self._options.job):
            return Place(self._options.job, self._options.project or "")
        return place if place is not None and place.job else None

    def _found(self, service: Service) -> Place | None:
        self._journal.settle("create", self._clock(), self._options.settle_seconds)
        return service.find(self._journal.place)

    def _created(self, service: Service) -> Place:
        self._journal.begin("create", self._clock())
        return service.create(self._journal.place, self._journal.note)

    def _adopted(self, service: Service, place: Place) -> str:
        adopted = service.adopt(place)
        self._journal.note(adopted)
        self._journal.done("create")
        return f"Appen {self._options.api} job {place.job}"

    def _place(self) -> Place:
        place = self._noted() or self._found(self._service())
        if place is None:
            raise Refused(
                f"Loop {self._setting.loop} must have a job in Appen. Got none called "
                f"{self._options.title_of(self._setting.loop)!r}. Start the loop again, which creates it."
            )
        self._journal.note(place)
        return place

    # --- rows and orders ----------------------------------------------------------------------------------------------

    def push(self, tasks: Sequence[Task], queue: Queue) -> Mapping[str, str]:
        """Upload the rows that are not there, in the queue's order, and order them; rows keep the order they came in.

        Raises Refused, before anything is sent, when the rows would cost more than the cap.
        """
        place, (rows, refused) = self._place(), self._rows(tasks, queue)
        total = self._upload(place, rows)
        self._launcher.launch(self._service(), place, total)
        return refused

    def _rows(self, tasks: Sequence[Task], queue: Queue) -> tuple[list[Row], dict[str, str]]:
        ranks = {entry.key: at for at, entry in enumerate(queue.entries)}
        gold = self._gold([task.key for task in tasks])
        rows, refused = [], {}
        for task in design.in_order(tasks, ranks):
            content = design.content(task, self._options)
            if content is None:
                refused[task.key] = (
                    f"{task.uri} is not where contributors reach it; give http(s) URLs, or set "
                    "`platform.options.media_root` and `media_url`"
                )
            else:
                rows.append(Row(task.key, content, gold.get(task.key)))
        return rows, refused

    def _gold(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The answers of those that become test questions."""
        share, setting = self._options.gold, self._setting
        if not share or not keys:
            return {}
        known = setting.known(keys).items()
        chosen = {key: said for key, said in known if design.is_gold(key, share, setting.seed, setting.loop)}
        return {key: said for key, said in chosen.items() if said in setting.schema.classes}

    def _upload(self, place: Place, rows: Sequence[Row]) -> int:
        """Make the rows exist; one that is there is left alone. Returns how many the job must show, where it is known.

        Test questions are not counted.
        """
        self._journal.settle("upload", self._clock(), self._options.settle_seconds)
        service, begun = self._service(), self._journal.pending("upload") is not None
        if not rows and not begun:
            return 0
        total = 0
        known = service.keys(place) if self._known is None or begun else self._known
        fresh = [row for row in rows if row.key not in known]
        gold = [row for row in rows if row.answer is not None]
        if fresh:
            total = self._launcher.afford(service, place, sum(row.answer is None for row in fresh))
            self._journal.begin("upload", self._clock(), job=place.job, rows=len(fresh))
            self._known = None
            service.add(place, fresh)
        if gold and (fresh or begun):
            service.set_gold(place, gold)
        self._journal.done("upload")
        self._known = known.union(row.key for row in fresh)
        return total

    # --- judgments ----------------------------------------------------------------------------------------------------

    def pull(self, cursor: str | None, *, pushed: Sequence[str] | None = None) -> Pull:
        """The rows whose judgments changed, at most TOLD at a time; those of removed contributors are not listed."""
        place, service = self._place(), self._service()
        missing: frozenset[str] = frozenset()
        if pushed is not None:
            self._known = service.keys(place)
            missing = frozenset(pushed) - self._known
        seen = self._seen(place)
        seen.take(service.look(place))
        states, notices, here = self._states(service, place, seen, seen.since(cursor)[:TOLD])
        return Pull(states, seen.cursor if here is None else seen.at(here), missing, notices)

    def _states(
        self, service: Service, place: Place, seen: Seen, changes: Sequence[tuple[int, str]]
    ) -> tuple[tuple[TaskState, ...], tuple[str, ...], int | None]:
        """The states of these rows, notices, and behind which change this ends (None: nothing had changed).

        A server that wants to be left alone in the middle ends it early: what was read is told, the rest next time.
        """
        states: list[TaskState] = []
        removed: list[str] = []
        here = None
        for number, key in changes:
            try:
                said = service.judgments(place, key)
            except Unavailable:
                if here is None:
                    raise
                break
            removed += seen.hear(said)
            counted = [one for one in said if not one.tainted]
            states.append(
                TaskState(key, tuple(design.annotation(place.job, key, one, self._setting.schema) for one in counted))
            )
            here = number
        if here is not None:
            seen.save()
        return tuple(states), tuple(_removal(name, seen.trust.get(name)) for name in removed), here

    def _seen(self, place: Place) -> Seen:
        return Seen(self._home / "seen.json", place.job)

    def trust(self) -> Mapping[str, float]:
        """{contributor: share of test questions answered rightly}, as of the newest judgment pulled of each."""
        place = self._noted()
        return {} if place is None else dict(self._seen(place).trust)

    # --- webhooks -----------------------------------------------------------------------------------------------------

    def subscribe(self, address: str | None) -> bool:
        """Set the job's webhook; its only one, so that an earlier address is gone. `v3` has none."""
        return self._service().subscribe(self._place(), None if address is None else address.rstrip("/") + HOOK)

    def hear(self, call: Call, host: Host) -> Reply:
        """Wake the host for a webhook that is signed; one that is sent again is answered and wakes nobody."""
        if call.path != HOOK:
            return Reply(404, {"detail": "not here"})
        if call.method != "POST":
            return Reply(405, {"detail": "POST only"})
        if len(call.body) > LARGEST_HOOK:
            return Reply(413, {"detail": "too large"})
        payload, signature = signed(call.body, call.headers.get(HEADER, ""))
        if not genuine(payload, signature, self._webhook_secret()):
            return Reply(401, {"detail": "not signed as it should be"})
        if self._is_new(signature.strip().lower()):
            host.wake()
        return Reply(200, {})

    def _webhook_secret(self) -> str:
        """The webhooks' token; in older accounts it is the API key. Empty when neither can be read."""
        try:
            secret = webhook_secret(self._options.webhook_secret_file) or api_key(self._options.api_key_file)
        except PlatformError:
            return ""
        return secret.reveal()

    def _is_new(self, signature: str) -> bool:
        with self._lock:
            new = signature not in self._heard
            self._heard[signature] = None
            self._heard.move_to_end(signature)
            while len(self._heard) > REMEMBERED:
                self._heard.popitem(last=False)
        return new

    # --- the rest -----------------------------------------------------------------------------------------------------

    def links(self) -> Mapping[str, str]:
        """The job's page."""
        place = self._noted()
        return {"project": design.page(self._options, place)}

    def check(self) -> Sequence[Finding]:
        """Whether Appen answers, and how the job stands."""
        try:
            return list(findings(self._service, self._noted(), self._options))
        except PlatformError as error:
            return [Finding(f"{self._home} can be read", ok=False, advice=str(error))]

    def close(self) -> None:
        """Close the connections; they are opened again when they are used again."""
        if self._client is not None:
            self._client.close()
        self._client, self._opened, self._known = None, None, None


def _removal(name: str, trust: float | None) -> str:
    share = "" if trust is None else f" at a trust of {trust:.2f}"
    return f"Appen removed contributor {name}{share}; what they said does not count and is asked again."
