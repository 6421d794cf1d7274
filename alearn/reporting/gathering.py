"""From a loop to the numbers of its report: one JSON value.

Invariant: total; what is not known is `{"unknown": why}`, and never stops the rest. NaN does not occur.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import alearn
from alearn.config.secrets import masked_text
from alearn.errors import AlearnError, ModelError
from alearn.loop.status import status_of
from alearn.loop.team import team_of
from alearn.loop.undertaking import Undertaking
from alearn.reporting.course import ahead_of, curve_of, rounds_of
from alearn.reporting.doubts import hardest_of, suspects_of
from alearn.reporting.events import automatic_of, events_of
from alearn.reporting.holdout import holdout_of
from alearn.reporting.recipe import recipe_of
from alearn.reporting.savings import saved_of, simulated_of, spent_of
from alearn.reporting.standing import Held, Standing, held_of, standing

Found = TypeVar("Found")


def gather(loop: Undertaking, file: str) -> dict[str, Any]:
    """Every number of the report of a loop whose config is in `file`."""
    history, status = loop.store.rounds.history(), status_of(loop)
    now = _known(partial(standing, loop, history))
    held = _then(now, partial(held_of, loop))
    rounds = rounds_of(loop, history)
    return {
        "loop": loop.config.name,
        "question": loop.config.task.question,
        "data": loop.config.task.data,
        "classes": list(loop.schema.classes),
        "made": {"at": loop.clock.now(), "alearn": alearn.__version__},
        "status": {name: status[name] for name in ("items", "selectable", "rounds", "next", "decision", "notices")},
        "curve": curve_of(loop, history),
        "forecast": ahead_of(loop, history, status["selectable"]),
        "holdout": _both(now, held, partial(holdout_of, loop)),
        "spent": spent_of(loop),
        "saved": _both(now, held, partial(saved_of, loop)),
        "simulated": simulated_of(loop),
        "team": team_of(loop),
        "hardest": _told(_then(now, partial(hardest_of, loop))),
        "suspects": _told(_known(partial(suspects_of, loop))),
        "automatic": automatic_of(loop),
        "events": events_of(loop, history),
        "quarantined": status["quarantined"],
        "rounds": rounds,
        "recipe": recipe_of(loop, rounds, now if isinstance(now, Standing) else None, file),
    }


def shown_items(numbers: dict[str, Any]) -> list[str]:
    """The keys of the items that the report shows."""
    return [one["key"] for part in ("hardest", "suspects") for one in numbers[part].get("items", [])]


def _known(find: Callable[[], Found]) -> Found | AlearnError:
    """What is found, or why it cannot be."""
    try:
        return find()
    except AlearnError as error:
        return error
    except FileNotFoundError:  # a running loop clears away what its older versions predicted
        return ModelError("The loop trained a newer model while this report was made. Make the report again")


def _then(now: Standing | AlearnError, find: Callable[[Standing], Found]) -> Found | AlearnError:
    return now if isinstance(now, AlearnError) else _known(partial(find, now))


def _both(
    now: Standing | AlearnError, held: Held | AlearnError, find: Callable[[Standing, Held], dict[str, Any]]
) -> dict[str, Any]:
    """What follows from the model and the hold-out together."""
    if isinstance(now, AlearnError) or isinstance(held, AlearnError):
        return _told(now if isinstance(now, AlearnError) else held)
    return _told(_known(partial(find, now, held)))


def _told(found: dict[str, Any] | Held | Standing | AlearnError) -> dict[str, Any]:
    """As JSON types."""
    if isinstance(found, AlearnError):
        return {"unknown": masked_text(str(found))}
    assert isinstance(found, dict), "what is told are numbers"
    return found
