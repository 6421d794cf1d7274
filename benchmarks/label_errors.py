"""Wrong labels put among right ones, and how many of them `alearn health` finds.

    python benchmarks/label_errors.py ours FOLDER OUT      about five minutes
    python benchmarks/label_errors.py cleanlab OUT         the same probabilities, in any environment that has cleanlab

FOLDER holds digits.npz, intents.npz and elpv.npz (x, y), made by benchmarks/feature_sets.py. Of 500 and of 2,000
random labels (of digits: 1,700) 5 % and 10 % are made wrong: "uniform", any other class; "by class", the one that each
class is taken for. OUT gets the labels and what heads that have not seen them say. "list" is how many labels are
suspected, with its precision and recall; "top" the share of wrong ones among the first so many as there are wrong ones,
which is also the recall there. Means of five draws. Labels that were wrong in the data set itself count as right ones
that are suspected.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.intp]

SETS, SIZES, SHARES, KINDS, DRAWS = ("digits", "intents", "elpv"), (500, 2000), (0.05, 0.1), ("uniform", "by class"), 5
Ranked = Callable[[Labels, NDArray[np.floating]], Labels]
"""From labels and probabilities to the rows that are suspected, the most suspect first."""


def wrong(y: Labels, classes: int, share: float, kind: str, rng: np.random.Generator) -> Labels:
    """The labels with a share of them made wrong."""
    rows = rng.choice(len(y), round(share * len(y)), replace=False)
    order = rng.permutation(classes)
    taken_for = np.empty(classes, dtype=np.intp)
    taken_for[order] = np.roll(order, 1)
    found = y.copy()
    any_other = (y[rows] + rng.integers(1, classes, size=len(rows))) % classes
    found[rows] = any_other if kind == "uniform" else taken_for[y[rows]]
    return found


def cases() -> Iterator[tuple[str, int, float, str]]:
    """Every data set, size, share and kind."""
    for name in SETS:
        for size in SIZES:
            for share in SHARES:
                for kind in KINDS:
                    yield name, size, share, kind


def place(out: Path, name: str, size: int, share: float, kind: str, draw: int) -> Path:
    return out / f"{name}-{size}-{share:g}-{kind.replace(' ', '-')}-{draw}.npz"


def ours(folder: Path, out: Path) -> None:
    """Fit, keep what is needed to compare, and print."""
    from alearn.core.health import suspects
    from alearn.core.opinions import doubted
    from alearn.models import fit_head, unseen_proba

    out.mkdir(parents=True, exist_ok=True)
    for name, size, share, kind in cases():
        data = np.load(folder / f"{name}.npz")
        classes = int(data["y"].max()) + 1
        for draw in range(DRAWS):
            path = place(out, name, size, share, kind, draw)
            if path.exists():
                continue
            rng = np.random.default_rng([draw, size])
            rows = rng.choice(len(data["y"]), min(size, 1700) if name == "digits" else size, replace=False)
            x, truth = data["x"][rows].astype(np.float32), data["y"][rows].astype(np.intp)
            y = wrong(truth, classes, share, kind, rng)
            head = fit_head(x, y, classes, seed=draw)
            np.savez(path, truth=truth, y=y, proba=unseen_proba(head, x, y, seed=draw))

    def probable(y: Labels, proba: NDArray[np.floating]) -> Labels:
        doubts = doubted(y, proba)
        return np.array([row for row in suspects(y, proba) if doubts[row]], dtype=np.intp)

    report(out, {"alearn": suspects, "alearn, probable": probable})


def cleanlab(out: Path) -> None:
    """cleanlab's own list of the same labels, by its default and by the off-diagonal of the confident joint."""
    from cleanlab.filter import find_label_issues  # type: ignore[import-not-found]

    def peer(by: str, ranked: str) -> Ranked:
        return lambda y, proba: find_label_issues(y, proba, return_indices_ranked_by=ranked, filter_by=by, n_jobs=1)

    report(
        out,
        {
            "cleanlab": peer("prune_by_noise_rate", "self_confidence"),
            "cleanlab, joint": peer("confident_learning", "normalized_margin"),
        },
    )


def report(out: Path, methods: dict[str, Ranked]) -> None:
    print(f"{'':34s}{'':18s}list  precision  recall    top")
    for name, size, share, kind in cases():
        for method, ranked in methods.items():
            found = [judged(np.load(place(out, name, size, share, kind, draw)), ranked) for draw in range(DRAWS)]
            length, precision, recall, top = np.mean(found, axis=0)
            what = f"{name:8s}{size:5d}  {share:4.0%}  {kind:10s}"
            print(f"{what:34s}{method:17s}{length:5.0f} {precision:9.1%} {recall:8.1%} {top:7.1%}", flush=True)


def judged(case: np.lib.npyio.NpzFile, ranked: Ranked) -> tuple[float, float, float, float]:
    """How many are suspected, how many of those rightly, how many of the wrong ones, and of as many as are wrong."""
    bad = case["y"] != case["truth"]
    proba = case["proba"].astype(np.float64)
    rows = np.asarray(ranked(case["y"], proba / proba.sum(axis=1, keepdims=True)))
    right, all_ = bad[rows], bad.sum()
    precision = float(right.mean()) if len(rows) else 0.0
    return len(rows), precision, right.sum() / all_, right[:all_].sum() / all_


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="what", required=True)
    first = commands.add_parser("ours")
    first.add_argument("folder", type=Path)
    first.add_argument("out", type=Path)
    commands.add_parser("cleanlab").add_argument("out", type=Path)
    chosen = parser.parse_args()
    if chosen.what == "ours":
        ours(chosen.folder, chosen.out)
    else:
        cleanlab(chosen.out)


if __name__ == "__main__":
    main()
