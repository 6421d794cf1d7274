"""Commands that only read a loop."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from alearn.cli.console import emit, facts, table
from alearn.config import load
from alearn.core.metrics import METRICS
from alearn.errors import ConfigError
from alearn.loop.drawing import counts_for
from alearn.loop.export import export_model_of
from alearn.loop.plan import Step
from alearn.loop.spending import by_round
from alearn.loop.status import certified, numbers, promise, status_of
from alearn.loop.undertaking import Undertaking, opened
from alearn.store.blobs import write_whole
from alearn.store.tables import AutomaticRow, ChoiceRow, ItemRow, LabelRow, SelectionRow, VersionRow

IN_WORDS = {
    Step.PREPARE: "prepare: create the annotators' project",
    Step.PUSH: "push: show annotators the new queue",
    Step.EVALUATE: "evaluate: measure the newest version",
    Step.DECIDE: "decide: whether to stop",
    Step.CHOOSE: "choose: a pretrained network, on the labels there are",
    Step.TRAIN: "train: learn from the new labels",
    Step.SELECT: "select: choose what to ask about",
    Step.WAIT: "wait: for annotators",
    Step.DONE: "done: nothing is left to do",
}


def show_status(path: Path, *, as_json: bool) -> None:
    """`alearn status`."""
    with opened(load(path), create=False) as loop:
        found = status_of(loop)
    if as_json:
        emit(found)
        return
    facts(
        [
            ("loop", f"{found['loop']} in {found['home']}"),
            ("items", f"{found['items']:,}, of which {found['selectable']:,} may still be asked about"),
            ("labels", f"{found['labels']:,}, of which {found['holdout_labels']:,} measure and are never trained on"),
            ("open", f"{found['open']:,} wait for annotators"),
            ("rounds", found["rounds"]),
            *((name, written(name, row)) for name, row in found["metrics"].items()),
            *([("cost", found["costs"]["words"])] if found["costs"] else []),
            *([("forecast", found["forecast"]["words"])] if found["forecast"] else []),
            *([("automatic", _automatic(found["automatic"]))] if found["automatic"] else []),
            ("decision", found["decision"]["reason"] if found["decision"] else "none yet"),
            ("next", IN_WORDS[Step(found["next"])]),
            *(("annotator", f"{name}: {count}") for name, count in found["annotators"].items()),
        ]
    )
    _put_aside(found["quarantined"])
    for text in found["notices"]:
        facts([("notice", text)])


def written(name: str, row: Mapping[str, Any]) -> str:
    """A metric in words, with the bound on the side that is worse."""
    if row["value"] is None:
        return "not measurable yet"
    bound = f"at least {row['low']:.3f}" if METRICS[name].higher_is_better else f"at most {row['high']:.3f}"
    return f"{row['value']:.3f} ({bound} with {row['confidence']:.0%} confidence, {row['n']} labels)"


def _put_aside(rows: list[dict[str, str]], most: int = 20) -> None:
    if not rows:
        return
    table(f"{len(rows)} put aside", ["what", "why"], [(row["place"], row["reason"]) for row in rows[:most]])
    if len(rows) > most:
        facts([("", f"… and {len(rows) - most} more; --json has them all")])


def show_history(path: Path, *, as_json: bool) -> None:
    """`alearn history`."""
    config = load(path)
    with opened(config, create=False) as loop:
        rounds = loop.store.rounds.history()
        used = _strategies(loop)
        versions = {row.key: row for row in loop.store.rounds.versions()}
        choice = loop.store.rounds.choice()
        asked = {row.round: row for row in loop.store.rounds.selections()}
        certificates = [certified(row) for row in loop.store.automatic.certificates()]
        costs = by_round(config, loop.store, [row.number for row, _ in rounds])
    points: list[dict[str, Any]] = [
        {"round": row.number, "labels": row.labels, "holdout_labels": row.holdout_labels, "version": row.version}
        | _version(versions[row.version])
        | {"placed": row.placed, "spent": {**spent, "currency": config.costs.currency}}
        | {"strategies": used.get(row.number, []), "metrics": numbers(metrics), "at": row.at, "seconds": row.seconds}
        | {"next": _selection(asked.get(row.number))}
        | {"automatic": [one for one in certificates if one["round"] == row.number]}
        | {"decision": row.kind, "reason": row.reason, "libraries": json.loads(row.libraries)}
        for (row, metrics), spent in zip(rounds, costs, strict=True)
    ]
    if as_json:
        emit(points)
        return
    name = config.target.metric if config.target else "accuracy"
    columns = ["round", "trained on", "hold-out", name, "low", "high", "chosen by", "version", "trained", "decision"]
    table(config.name, columns, [_line(point, name) for point in points])
    for text in _remarks(points, choice):
        facts([text])


def _automatic(found: Mapping[str, Any]) -> str:
    return f"{found['labels']:,} labels now; {promise(found)}"


def _version(row: VersionRow) -> dict[str, Any]:
    """What a version is, as JSON types."""
    network = json.loads(row.recipe).get("network")
    return {"rung": row.rung, "network": network, "parent": row.parent, "facts": json.loads(row.facts)}


def _selection(row: SelectionRow | None) -> dict[str, Any] | None:
    """With what was asked after a round, and why, as JSON types; without the answers that are kept to be compared."""
    if row is None:
        return None
    facts = {name: value for name, value in json.loads(row.facts).items() if name != "answers"}
    return {"strategy": row.strategy, "reason": row.reason, **facts}


def _remarks(points: Sequence[Mapping[str, Any]], choice: ChoiceRow | None) -> Iterator[tuple[str, str]]:
    """The last decision, why the network was chosen, and what the ladder and pruning found, newest first."""
    decided = next((point["reason"] for point in reversed(points) if point["reason"]), None)
    if decided:
        yield "decision", decided
    if choice is not None:
        yield "network", choice.reason
    yield from (("automatic", promise(one)) for point in reversed(points) for one in reversed(point["automatic"]))
    asked = [one for point in points if (one := point["next"])]
    changes = [one for at, one in enumerate(asked) if not at or asked[at - 1]["strategy"] != one["strategy"]]
    yield from (("asked with", f"{one['strategy']}: {one['reason']}") for one in reversed(changes[-3:]))
    said = [text for point in reversed(points) for text in point["facts"].get("verdicts", [])]
    yield from (("training", text) for text in dict.fromkeys(said[:6]))


def _line(point: Mapping[str, Any], metric: str) -> list[object]:
    found = point["metrics"].get(metric, {"value": None, "low": None, "high": None})
    numbers_ = [_short(found[key]) for key in ("value", "low", "high")]
    chosen, version = ", ".join(point["strategies"]), point["version"][:8]
    pruned, placed = ", pruned" if point["facts"].get("pruned") else "", ", placed" if point["placed"] else ""
    return [
        point["round"],
        point["labels"],
        point["holdout_labels"],
        *numbers_,
        chosen,
        version,
        point["rung"] + pruned + placed,
        point["decision"] or "",
    ]


def _strategies(loop: Undertaking) -> dict[int, list[str]]:
    """{round: the strategies that chose its items}."""
    found: dict[int, Counter[str]] = {}
    for pick in loop.store.rounds.picks():
        found.setdefault(pick.round, Counter())[pick.strategy] += 1
    return {number: [f"{name} {count}" for name, count in sorted(counts.items())] for number, counts in found.items()}


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def export_results(
    path: Path, *, labels: Path | None, model: Path | None, version: str, as_json: bool, automatic: bool = True
) -> None:
    """`alearn export`."""
    if version and model is None:
        raise ConfigError(f"--version says which model --model FOLDER writes. Got {version!r} alone. Add --model.")
    if labels is None and model is None:
        raise ConfigError("`alearn export` needs --labels FILE, --model FOLDER, or both. Got neither. Add one.")
    if labels is not None and labels.suffix not in {".jsonl", ".csv"}:
        raise ConfigError(f"--labels must end in .jsonl or .csv. Got {labels}. Rename it.")
    with opened(load(path), create=False) as loop:
        written_to: dict[str, Any] = {}
        if labels is not None:
            count, by_itself = write_labels(loop, labels, automatic=automatic)
            written_to["labels"] = {"file": str(labels.resolve()), "count": count, "automatic": by_itself}
        if model is not None:
            written_to["model"] = {"folder": str(export_model_of(loop, model, version).resolve())}
    if as_json:
        emit(written_to)
        return
    facts([(name, _written_to(found)) for name, found in written_to.items()])


def _written_to(found: Mapping[str, Any]) -> str:
    """What was written where, in words."""
    if "folder" in found:
        return str(found["folder"])
    by_itself = f", of which {found['automatic']} automatic" if found["automatic"] else ""
    return f"{found['file']}, {found['count']}{by_itself}"


LABEL_COLUMNS = (
    "key",
    "uri",
    "text",
    "label",
    "agreement",
    "annotators",
    "holdout",
    "weight",
    "updated_at",
    "source",
    "confidence",
)


def write_labels(loop: Undertaking, path: Path, *, automatic: bool = True) -> tuple[int, int]:
    """Write every label with its item; returns how many, and how many of them are automatic.

    `automatic`: those, too. `holdout` says on which side an item is, so that what is split by it keeps groups together;
    `weight`, for how much a label of the hold-out counts when a model is measured with it.
    """
    given = loop.store.automatic.labels() if automatic else []  # first: they give way to people's
    people = loop.store.annotations.labels()
    weights = counts_for(loop, [item for _, item in people if item.holdout])
    rows = {item.key: _by_person(label, item, weights) for label, item in people}
    rows = {item.key: _by_itself(label, item) for label, item in given} | rows
    ordered = [{name: rows[key][name] for name in LABEL_COLUMNS} for key in sorted(rows)]
    text = io.StringIO(newline="")
    if path.suffix == ".csv":
        writer = csv.DictWriter(text, LABEL_COLUMNS)
        writer.writeheader()
        writer.writerows(ordered)
    else:
        text.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in ordered)
    write_whole(path, text.getvalue().encode())
    return len(ordered), sum(row["source"] == "automatic" for row in ordered)


def _by_person(label: LabelRow, item: ItemRow, weights: Mapping[str, float]) -> dict[str, Any]:
    said = {"label": label.value, "agreement": label.agreement, "annotators": label.annotators}
    said |= {"weight": weights.get(item.key)}
    return _item(item) | said | {"updated_at": label.updated_at, "source": "person", "confidence": None}


def _by_itself(label: AutomaticRow, item: ItemRow) -> dict[str, Any]:
    said = {"label": label.label, "agreement": None, "annotators": 0, "weight": None}
    return _item(item) | said | {"updated_at": label.at, "source": "automatic", "confidence": label.confidence}


def _item(item: ItemRow) -> dict[str, Any]:
    return {"key": item.key, "uri": item.uri, "text": item.text, "holdout": item.holdout}
