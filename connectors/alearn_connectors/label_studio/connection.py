"""The platform that a loop sees: a project, what it holds, and how it is filled and read.

Invariant: nothing is kept here that a new process would not find again; a method may be killed anywhere and called
again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from alearn.errors import ConfigError, Refused, Unavailable
from alearn.platform import Call, Finding, Host, Proposal, Proposed, Pull, Queue, Reply, Setting, Task
from alearn_connectors.label_studio import backend, checks, convert, opinions, place, webhook
from alearn_connectors.label_studio import project as projects
from alearn_connectors.label_studio.adopting import Adopted, Adopter
from alearn_connectors.label_studio.client import Client, Missing, Unauthorised
from alearn_connectors.label_studio.contents import Contents, Pictures, Texts
from alearn_connectors.label_studio.hearing import Hearing, note_asked
from alearn_connectors.label_studio.importing import Importer
from alearn_connectors.label_studio.media import Media
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.options import Options
from alearn_connectors.label_studio.ordering import Ordering
from alearn_connectors.label_studio.project import Project
from alearn_connectors.label_studio.pull import changes, states
from alearn_connectors.label_studio.suggesting import Memory, Suggestions
from alearn_connectors.label_studio.tasks import TaskIndex
from alearn_connectors.label_studio.versions import Versions

PATIENCE_AT_CLOSE = 5.0
"""How long `close` waits for the deletion of old predictions, seconds; what is left is due again at the next push."""


@dataclass
class Open:
    """A project that is open: the parts that fill it and read it."""

    client: Client
    project: Project
    notes: Notes
    index: TaskIndex
    importer: Importer
    ordering: Ordering
    adopter: Adopter
    suggestions: Suggestions


class LabelStudio:
    """A loop's project on Label Studio (see `alearn.platform`: Platform, Listening, Suggesting)."""

    def __init__(self, setting: Setting, options: Options, now: Callable[[], float] = time.time) -> None:
        self._setting = setting
        self._now = now
        self._options = options
        self._notes = Notes(setting.home / "label-studio")
        self._hearing = Hearing(setting.schema.classes, options, self._notes)
        self._client: Client | None = None
        self._media: Media | None = None
        self._opened: Open | None = None

    def prepare(self) -> str:
        """Create or adopt the project; returns its address."""
        with self._at_work() as client:
            checks.judge_version(client)
            found = projects.find(client, self._setting, self._options, self._notes)
            if found is None:
                project = projects.create(client, self._setting, self._options, self._notes)
            else:
                project = projects.adopt(client, found, self._setting, self._options)
            self._opened = self._open(client, project)
        return self._address(project)

    def push(self, tasks: Sequence[Task], queue: Queue) -> Mapping[str, str]:
        """Make the tasks exist and give them their order; see `importing` and `ordering`."""
        with self._at_work() as client:
            opened = self._open_project(client)
            self._await_config(opened)
            refused = opened.importer.run(tasks)
            opinions.ask(client, opened.notes, opened.index, queue.entries)
            opened.project = opened.ordering.show(opened.project, queue)
        return refused

    def pull(self, cursor: str | None, *, pushed: Sequence[str] | None = None) -> Pull:
        """What changed since `cursor`; see `pull`."""
        with self._at_work() as client:
            opened = self._open_project(client)
            opened.adopter.confirm()
            changed = changes(client, opened.project.id, cursor)
            if not changed.tasks and pushed is None and not opened.adopter.busy:
                return Pull((), changed.cursor)
            opened.project = projects.read(client, opened.project.id)
            opened.project = opened.suggestions.take_turn(opened.project)
            if self._options.overlap > 1:
                opened.suggestions.close(changed.tasks)
            missing = self._missing(opened, pushed)
            adopted = self._adopt(opened, pushed)
            offer = opened.project.offer
            found = states(
                client,
                opened.project.id,
                opened.index,
                [*changed.tasks, *adopted.tasks],
                scope=opened.project.scope,
                controls={convert.CONTROL, offer.control if offer else convert.CONTROL},
                classes=self._setting.schema.classes,
            )
            notices = (*self._notices(opened), *adopted.notices(opened.project))
            return Pull(tuple(found), changed.cursor, missing, notices, opened.adopter.tell(adopted))

    def propose(
        self,
        proposals: Sequence[Proposal],
        *,
        version: str,
        asked: Collection[str],
        progress: Callable[[int, int], None],
    ) -> Proposed:
        """Show these labels, and no others, behind the queue; see `suggesting`."""
        if proposals and not self._options.suggests:
            raise ConfigError(
                "`platform.options.suggestions` must not be false where labels are to be suggested. Got false: "
                "annotators would not see them. Remove the line, or leave --suggest out."
            )
        with self._at_work() as client:
            opened = self._open_project(client)
            self._await_config(opened)
            opened.project = projects.read(client, opened.project.id)
            return opened.suggestions.show(opened.project, proposals, version=version, asked=asked, progress=progress)

    def proposed(self) -> int:
        """How many tasks this machine knows to be suggested."""
        scope = projects.remembered_scope(self._notes)
        memory = None if scope is None else Memory.read(self._notes.of(scope))
        return 0 if memory is None else len(memory.keys)

    def subscribe(self, address: str | None) -> bool:
        """Let the project call `address`; see `webhook` and `backend`. The webhook is there when the backend fails."""
        with self._at_work() as client:
            if address is None:
                self._unsubscribe(client)
                return False
            project = self._open_project(client).project
            self._notes.write(checks.ADDRESS, address)
            if self._options.webhook:
                secret = self._notes.secret(webhook.SECRET)
                webhook.register(client, project.id, self._setting.loop, address, secret)
            else:
                webhook.remove(client, project.id, self._setting.loop)
            if self._options.ml_backend:
                note_asked(self._notes, project.offer)
                backend.attach(client, project, self._setting.loop, address, self._notes.secret(backend.SECRET))
            else:
                backend.detach(client, project.id, self._setting.loop)
        return self._options.webhook

    def hear(self, call: Call, host: Host) -> Reply:
        """Answer a call of Label Studio; see `hearing`."""
        return self._hearing.answer(call, host)

    def links(self) -> Mapping[str, str]:
        """The project's page, where the button that begins labeling is."""
        known = self._opened.project.id if self._opened else projects.remembered_number(self._notes)
        return {} if known is None else {"project": f"{self._base()}/projects/{known}/data"}

    def check(self) -> Sequence[Finding]:
        """Probe what the loop relies on; see `checks`."""
        return checks.findings(self._setting, self._options, self._notes)

    def close(self) -> None:
        """Close the connections and stop serving pictures."""
        if self._opened is not None:
            self._opened.ordering.settle(PATIENCE_AT_CLOSE)
        if self._media is not None:
            self._media.close()
            self._media = None
        self._disconnect()

    def _unsubscribe(self, client: Client) -> None:
        """Leave nothing behind that would call us; where there is no project, nothing does."""
        project = projects.find(client, self._setting, self._options, self._notes)
        if project is not None:
            webhook.remove(client, project.id, self._setting.loop)
            backend.detach(client, project.id, self._setting.loop)
        self._notes.write(checks.ADDRESS, None)

    def _await_config(self, opened: Open) -> None:
        """Raise Unavailable while the project asks something else: somebody edits it, and will put it back."""
        if not projects.fits(opened.project.offer, self._setting):
            opened.project = projects.read(opened.client, opened.project.id)
        if not projects.fits(opened.project.offer, self._setting):
            raise Unavailable(projects.misfit(opened.project, self._setting))

    def _missing(self, opened: Open, pushed: Sequence[str] | None) -> frozenset[str]:
        if pushed is None:
            return frozenset()
        opened.index.refresh()
        return frozenset(key for key in pushed if key not in opened.index)

    def _adopt(self, opened: Open, pushed: Sequence[str] | None) -> Adopted:
        """Make items of tasks that people added by hand, as long as the project asks what the loop asks."""
        if not projects.fits(opened.project.offer, self._setting):
            return Adopted()
        aside = () if pushed is None else opened.suggestions.keys(opened.project)
        return opened.adopter.look(opened.project, pushed, aside)

    def _notices(self, opened: Open) -> Iterator[str]:
        """What the people who run the loop should know, when something has changed anyway."""
        yield from projects.drift(opened.project, self._setting)
        shown = Versions.read(self._notes.of(opened.project.scope)).current
        served = {shown, opened.suggestions.version() or shown}
        if shown and opened.project.model_version not in served:
            yield (
                f"Project {opened.project.title!r} ({opened.project.id}) serves its tasks by chance: its model "
                f"version is {opened.project.model_version!r}, not {shown!r}. The next push puts it back."
            )

    def _open_project(self, client: Client) -> Open:
        """The open project; found, and never made, by the first caller of a process."""
        if self._opened is None:
            project = projects.find(client, self._setting, self._options, self._notes)
            if project is None:
                raise Refused(
                    f"Loop {self._setting.loop} must have a project on {client.url}. Got none with the title "
                    f"{self._options.title_of(self._setting.loop)!r} and its mark. Prepare the loop again."
                )
            self._opened = self._open(client, project)
        return self._opened

    def _open(self, client: Client, project: Project) -> Open:
        notes = self._notes.of(project.scope)
        index = TaskIndex(client, project.id, notes)
        shows = self._shows()
        shows.attach(client, project.id)
        importer = Importer(client, project.id, self._setting.data, shows, notes, index, self._now)
        return Open(
            client=client,
            project=project,
            notes=notes,
            index=index,
            importer=importer,
            ordering=Ordering(
                client,
                notes,
                index,
                suggest=self._options.suggests,
                least=self._options.least_confidence,
                now=self._now,
            ),
            adopter=Adopter(
                client,
                self._setting.data,
                contents=self._contents(client),
                media=shows,
                notes=notes,
                index=index,
            ),
            suggestions=Suggestions(client, notes, index, importer),
        )

    def _contents(self, client: Client) -> Contents:
        if self._setting.data == "text":
            return Texts()
        bases = [base for base in (client.url, self._options.public_url) if base]
        return Pictures(client, bases, self._setting.home / "label-studio" / "found")

    def _shows(self) -> Media:
        if self._media is None:
            self._media = place.media(self._setting, self._options)
        return self._media

    @contextmanager
    def _at_work(self) -> Iterator[Client]:
        """A connection; after a failure the next call connects anew, and looks where things are."""
        if self._client is None:
            self._client = place.connect(self._options)
        try:
            yield self._client
        except (Unavailable, Missing, Unauthorised):  # the token may be another by then
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._opened is not None:
            self._opened.ordering.abandon()
        self._opened = None
        if self._client is not None:
            self._client.close()
        self._client = None

    def _address(self, project: Project) -> str:
        return f"{self._base()}/projects/{project.id}"

    def _base(self) -> str:
        """Where people find Label Studio."""
        if self._options.public_url or self._options.url:
            return str(self._options.public_url or self._options.url)
        if self._client is not None:
            return self._client.url
        return str((place.private_server() or {}).get("url", ""))
