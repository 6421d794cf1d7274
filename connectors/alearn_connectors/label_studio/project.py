"""The project on Label Studio: made once, found again after any crash, and kept as the loop needs it.

A project is ours when it has our title and our mark in its description, or when this machine remembers it by its id
*and* the moment it was made. What people change by hand is kept wherever the loop can live with it, and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from alearn.errors import Refused, Unavailable
from alearn.platform import Setting
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.client import Client, Missing
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.options import Options, read_options

SAMPLING = "Uncertainty sampling"
"""Serves the lowest score first. The Community edition does it too, though its settings page says otherwise."""

_NAME = "project"


@dataclass(frozen=True)
class Project:
    """A project as Label Studio described it last. `controls` says in words what it asks.

    `scope` names it for good: its id and the moment it was made, and not its address, which may change.
    """

    id: int
    created: str
    title: str
    label_config: str
    offer: convert.Offer | None
    controls: tuple[str, ...]
    sampling: str
    model_version: str
    suggestions: bool
    annotations: int
    tasks: int

    @property
    def scope(self) -> str:
        """What is unique to this project over all servers and all time."""
        return scope_of(self.id, self.created)


def scope_of(number: int, created: str) -> str:
    """The name of the project with this id that was made then."""
    return f"{number}.{convert.compact(created)}"


def mark(loop: str) -> str:
    """What our projects carry in their description."""
    return f"[alearn:{loop}]"


def project_of(raw: Mapping[str, Any]) -> Project:
    """A project out of Label Studio's JSON."""
    parsed: Mapping[str, Mapping[str, Any]] = raw.get("parsed_label_config") or {}
    return Project(
        id=int(raw["id"]),
        created=convert.exact(raw["created_at"]),
        title=str(raw["title"]),
        label_config=str(raw.get("label_config") or ""),
        offer=convert.offer(parsed),
        controls=tuple(f"{control.get('type')} {name!r}" for name, control in parsed.items()),
        sampling=str(raw.get("sampling") or ""),
        model_version=str(raw.get("model_version") or ""),
        suggestions=bool(raw.get("show_collab_predictions")),
        annotations=int(raw.get("total_annotations_number") or 0) + int(raw.get("skipped_annotations_number") or 0),
        tasks=int(raw.get("task_number") or 0),
    )


def read(client: Client, number: int) -> Project:
    """The project with this id; `Missing` when there is none."""
    return project_of(client.get(f"/api/projects/{number}/"))


def change(client: Client, project: Project, settings: Mapping[str, Any]) -> Project:
    """Change settings; returns the project as it is then."""
    return project_of(client.patch(f"/api/projects/{project.id}/", dict(settings)))


def find(client: Client, setting: Setting, options: Options, notes: Notes) -> Project | None:
    """The loop's project, or None when there is none yet. Of several with our mark the first one made is taken."""
    if known := notes.read(_NAME):
        project = _remembered(client, int(known["id"]), str(known["created"]))
        if project is not None:
            return project
    found = _marked(client, options.title_of(setting.loop), mark(setting.loop))
    project = None if found is None else read(client, found)
    if project is not None:
        _remember(project, notes)
    return project


def find_number(http: httpx.Client, setting: Setting) -> int | None:
    """The project's id as any annotator's own connection sees it; None when there is none yet.

    Raises:
        Unavailable, httpx.RequestError: it cannot be seen now.
    """

    def ask(page: int) -> Mapping[str, Any]:
        answer = http.get("/api/projects/", params=_search(title, page))
        if not answer.is_success:
            raise Unavailable(
                f"Label Studio answered /api/projects/ with {answer.status_code}. Wait, or look into its log."
            )
        found: Mapping[str, Any] = answer.json()
        return found

    title = read_options(setting).title_of(setting.loop)
    return min(_matching(map(ask, _numbers()), title, mark(setting.loop)), default=None)


def remembered_number(notes: Notes) -> int | None:
    """The project's id as this machine remembers it, without looking."""
    known = notes.read(_NAME)
    return int(known["id"]) if known else None


def remembered_scope(notes: Notes) -> str | None:
    """The scope of the project as this machine remembers it, without looking."""
    known = notes.read(_NAME)
    return scope_of(int(known["id"]), str(known["created"])) if known else None


def _remembered(client: Client, number: int, created: str) -> Project | None:
    try:
        project = read(client, number)
    except Missing:
        return None
    return project if project.created == created else None  # else another server's project has this id


def _remember(project: Project, notes: Notes) -> None:
    notes.write(_NAME, {"id": project.id, "created": project.created})


def _marked(client: Client, title: str, wanted: str) -> int | None:
    pages = (client.get("/api/projects/", _search(title, page)) for page in _numbers())
    return min(_matching(pages, title, wanted), default=None)


def _numbers() -> Iterator[int]:
    yield from range(1, 10_000)


def _search(title: str, page: int) -> Mapping[str, Any]:
    return {"title": title, "include": "id,title,description", "page": page, "page_size": 500}


def _matching(pages: Iterator[Mapping[str, Any]], title: str, wanted: str) -> Iterator[int]:
    """Label Studio's title filter finds parts of titles; ours must be the whole, and the mark must be there."""
    for page in pages:
        for project in page["results"]:
            if project["title"] == title and wanted in (project["description"] or ""):
                yield int(project["id"])
        if not page["next"]:
            return


def create(client: Client, setting: Setting, options: Options, notes: Notes) -> Project:
    """Make the project. A crash before it is remembered is harmless: it is found by its mark."""
    body = {
        "title": options.title_of(setting.loop),
        "description": f"Filled and read by alearn, which finds it by this mark: {mark(setting.loop)}",
        "label_config": convert.label_config(setting.schema, setting.data, options.question),
        **wanted_settings(setting, options),
    }
    project = project_of(client.post("/api/projects/", body))
    _remember(project, notes)
    return project


def wanted_settings(setting: Setting, options: Options) -> dict[str, Any]:
    """What the loop relies on, beside the label config and the model version.

    Where one skip puts an item aside, nobody else is to be asked about it: their answer would be one label too many.
    """
    return {
        "sampling": SAMPLING,
        "maximum_annotations": options.overlap,
        "show_skip_button": options.skip,
        "skip_queue": "IGNORE_SKIPPED" if setting.skips == 1 else "REQUEUE_FOR_OTHERS",
        "enable_empty_annotation": False,
        "expert_instruction": options.instructions,
        "show_instruction": bool(options.instructions),
        "min_annotations_to_start_training": 0,  # else every n-th submit waits for a training
        "evaluate_predictions_automatically": False,
    }


def adopt(client: Client, project: Project, setting: Setting, options: Options) -> Project:
    """Make a project that was there already ask what the loop asks.

    Its label config is changed only where classes are missing, or where nobody has answered yet.

    Raises:
        Refused: it asks something else, and has answers that would be lost.
    """
    settings = wanted_settings(setting, options)
    if project.suggestions != options.suggests:  # resets the order, unless the same request sets it
        settings |= {"show_collab_predictions": options.suggests, "model_version": _served(client, project)}
    config = _mended(project, setting, options)
    if config is not None:
        settings["label_config"] = config
    return change(client, project, settings)


def _served(client: Client, project: Project) -> str:
    """The version that is served, if it still has predictions: a version without them is not accepted."""
    there = client.get(f"/api/projects/{project.id}/model-versions/")
    return project.model_version if project.model_version in there else ""


def _mended(project: Project, setting: Setting, options: Options) -> str | None:
    """The label config to set; None where the one that is there will do."""
    if not shows(project.offer, setting):
        if project.annotations:
            raise Refused(misfit(project, setting))
        return convert.label_config(setting.schema, setting.data, options.question)
    assert project.offer is not None, "what shows our tasks is an offer"
    missing, _ = _changed(project.offer, setting)
    return convert.with_choices(project.label_config, project.offer.control, missing) if missing else None


def shows(offer: convert.Offer | None, setting: Setting) -> bool:
    """Whether our tasks can be shown with what the project asks."""
    return offer is not None and offer.fields <= {setting.data, convert.KEY}


def fits(offer: convert.Offer | None, setting: Setting) -> bool:
    """Whether our tasks can be shown, and answered with at least one class."""
    return offer is not None and shows(offer, setting) and not set(offer.choices).isdisjoint(setting.schema.classes)


def misfit(project: Project, setting: Setting) -> str:
    """The sentence for a label config that our tasks do not fit, with what differs."""
    return (
        f"The label config of project {project.title!r} ({project.id}) must hold one Choices control about "
        f"${setting.data} that offers `task.classes`. Got {_difference(project, setting)}. Put it back in the "
        "project's settings, and the loop goes on; or give it a new title."
    )


def _difference(project: Project, setting: Setting) -> str:
    if project.offer is None:
        return _listed(list(project.controls)) if project.controls else "no control"
    missing, extra = _changed(project.offer, setting)
    about = " and ".join(f"${name}" for name in sorted(project.offer.fields))
    return f"a question about {about}" + "".join(
        f", {word} {_listed([repr(name) for name in names])}"
        for word, names in (("without", missing), ("with", extra))
        if names
    )


def _changed(offer: convert.Offer, setting: Setting) -> tuple[list[str], list[str]]:
    """The classes that it does not offer, and the choices that are none."""
    missing = [name for name in setting.schema.classes if name not in offer.choices]
    return missing, [name for name in offer.choices if name not in setting.schema.classes]


def drift(project: Project, setting: Setting) -> Iterator[str]:
    """Sentences about what people have changed by hand and the loop can live with, or cannot."""
    if not fits(project.offer, setting):
        yield misfit(project, setting)
        return
    assert project.offer is not None, "what fits is an offer"
    where = f"project {project.title!r} ({project.id})"
    missing, extra = (_listed([repr(name) for name in names]) for names in _changed(project.offer, setting))
    if extra:
        yield f"The label config of {where} offers {extra}, not in `task.classes`: such answers are not used."
    if missing:
        yield f"The label config of {where} lacks {missing} of `task.classes`: nobody can answer that now."
    if project.offer.control != convert.CONTROL:
        yield f"The label config of {where} calls its question {project.offer.control!r} now: answers to it are used."
    if project.sampling != SAMPLING:
        yield (
            f"The task sampling of {where} is {project.sampling!r}, so annotators do not get the most useful items "
            f"first. The next push sets it back to {SAMPLING!r}."
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
