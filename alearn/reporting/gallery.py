"""Items as people see them: a small picture or the beginning of a text, and what the model makes of it.

Invariant: every text is escaped; a picture is only ever one that is in the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from alearn.pages.document import note
from alearn.reporting.words import sentence

Item = Mapping[str, Any]


def hardest(found: Mapping[str, Any], pictures: Mapping[str, str]) -> list[str]:
    """The items whose two likeliest classes are nearest to each other."""
    if "unknown" in found:
        return [note(sentence(found["unknown"]))]
    among = f"{found['looked_at']:,} of the {found['left']:,}" if found["looked_at"] < found["left"] else "the"
    said = (
        f"Among {among} items that have no label the model is least decided on these: its two likeliest answers "
        "are nearly as probable."
    )
    return [note(said), _cards((_card(one, pictures, [_answers(one)]) for one in found["items"]), found["items"])]


def suspects(found: Mapping[str, Any], pictures: Mapping[str, str]) -> list[str]:
    """The labels that are probably wrong, the most suspect first."""
    if "unknown" in found:
        return [note(sentence(found["unknown"]))]
    if not found["unlikely"]:
        return [note(f"All {found['labels']:,} labels are what models that did not see them find likeliest.")]
    said = (
        f"{found['unlikely']:,} of the {found['labels']:,} labels that the model learned from are not what models that "
        f"did not see them find likeliest, {found['doubted']:,} of them clearly so. Shown: the least probable. Not "
        "all are wrong: look before you change one. Labels of the hold-out are left alone here, because correcting "
        "only those that the model disagrees with would make it look better than it is."
    )
    return [note(said), _cards((_suspect(one, pictures) for one in found["items"]), found["items"])]


def _suspect(one: Item, pictures: Mapping[str, str]) -> str:
    people = ", ".join(sorted({str(said["annotator"]) for said in one["said_by"] if said["value"] == one["label"]}))
    label = f"labeled <b>{escape(one['label'])}</b>"
    by = [f"<small>by {escape(people)}</small>"] if people else []
    doubt = f"model: <b>{escape(one['answer'])}</b> {_share(one['confidence'])}, label {_share(one['probability'])}"
    return _card(one, pictures, [label, doubt, *by])


def _answers(one: Item) -> str:
    return "<br>".join(f"{escape(each['class'])} {_share(each['probability'])}" for each in one["answers"])


def _share(value: float) -> str:
    return f"{value:.2f}"


def _cards(cards: Iterable[str], items: Sequence[Item]) -> str:
    kind = "cards texts" if any(one["text"] is not None for one in items) else "cards"
    return f'<ul class="{kind}">{"".join(cards)}</ul>'


def _card(one: Item, pictures: Mapping[str, str], lines: Sequence[str]) -> str:
    """An item: what it is, and lines of HTML about it."""
    said = "".join(f"<p>{line}</p>" for line in lines)
    name = f'<p class="file">{escape(one["name"])}</p>' if one["name"] else ""
    return f"<li>{_content(one, pictures)}{said}{name}</li>\n"


def _content(one: Item, pictures: Mapping[str, str]) -> str:
    if one["text"] is not None:
        return f"<blockquote>{escape(one['text'])}</blockquote>"
    picture, name = pictures.get(one["key"]), one["name"] or one["key"][:12]
    if picture is None:
        return '<div class="lost">cannot be shown: its file cannot be read now</div>'
    kind = ' class="tiny"' if picture.startswith("data:image/png") else ""
    return f'<img{kind} src="{escape(picture)}" alt="{escape(name)}">'
