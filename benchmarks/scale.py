"""Adding a million texts, and what an idle controller costs beside them.

    python benchmarks/scale.py [--items 1000000] [--annotations 10000]

Prints seconds and peak resident memory of `alearn add` on a JSONL file (a child process, as a person would run it), and
the time of one look and plan on a loop with that many items and annotations.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from alearn.config import load
from alearn.core.consensus import consensus
from alearn.loop.plan import plan
from alearn.loop.undertaking import Undertaking, opened

CONFIG = """\
name: scale
items: {path: items.jsonl}
task: {data: text, classes: [a, b]}
platform: {name: files}
home: home
"""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--items", type=int, default=1_000_000)
    asked.add_argument("--annotations", type=int, default=10_000)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = prepared(Path(folder), given.items)
        seconds, megabytes = added(path)
        print(f"alearn add, {given.items:,} texts: {seconds:.1f} s, {megabytes:.0f} MB resident at most")
        with opened(load(path), create=False) as loop:
            annotate(loop, given.annotations)
            times = [looked(loop) for _ in range(20)]
        print(
            f"look + plan, {given.items:,} items, {given.annotations:,} annotations: "
            f"{1000 * statistics.median(times):.1f} ms (first {1000 * times[0]:.1f} ms)"
        )


def prepared(folder: Path, items: int) -> Path:
    """A config and its file of texts."""
    with (folder / "items.jsonl").open("w", encoding="utf-8") as lines:
        for number in range(items):
            lines.write(
                json.dumps({"text": f"A customer writes, for the {number}th time, about a card that does not arrive."})
                + "\n"
            )
    (folder / "scale.yaml").write_text(CONFIG, encoding="utf-8")
    return folder / "scale.yaml"


def added(config: Path) -> tuple[float, float]:
    """Seconds, and megabytes resident at most, of the command."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "alearn", "add", str(config)])
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, "alearn add failed"
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def annotate(loop: Undertaking, count: int) -> None:
    """Pick and answer so many items, as rounds of a real loop would."""
    keys = [one.key for one in loop.store.items.candidates()[:count]]
    picks = [
        {"key": key, "round": 1, "rank": at, "purpose": "query", "strategy": "random", "score": at / count}
        | {"label": None, "confidence": None}
        for at, key in enumerate(keys)
    ]
    loop.store.rounds.choose(picks, {}, version="q", round_=0)
    loop.store.rounds.pushed(keys, {}, queue="q", at=loop.clock.now())
    row = {"annotator": "ann", "value": "a", "skipped": False, "refused": None, "lead_time": 1.0, "updated_at": "2026"}
    loop.store.annotations.collect(
        [(key, [{"id": key, **row}]) for key in keys],
        cursor=None,
        resolve=consensus,
        closing=lambda rows, labeled: "labeled" if labeled else None,
        at=loop.clock.now(),
    )
    loop.store.rounds.prepared("here", platform="files")


def looked(loop: Undertaking) -> float:
    """Seconds of one look and plan."""
    began = time.perf_counter()
    plan(loop.snapshot())
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
