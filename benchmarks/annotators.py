"""What consensus and trust make of five simulated annotators, one of them careless and one a spammer.

    python benchmarks/annotators.py [--runs 100] [--first 0]

500 items; every fifth, by chance, gets a second opinion, from whoever comes next. One in twenty of a person's answers,
at a random place, is to a test question. Whose turn it is, is drawn anew for each answer. Errors, and the spammer's
answers, are spread evenly over the classes. After each answer everybody's standing is looked at. "By need" is the same
with test questions where they decide something (`trust.question_rate`); "two spammers" has two who always name the
same class. Shares: right labels, by majority, weighted vote and Dawid-Skene; intervals of 95 % that cover the accuracy,
over all annotators and of the one worst served; spammers flagged within 60 answers; good annotators ever flagged, and
still so at the end; test questions among all answers. About a minute on two cores.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from alearn.core.consensus import Label, consensus
from alearn.core.trust import Standing, Tally, question_rate, standings, tally
from alearn.core.votes import dawid_skene, weighted_vote

GOOD = (0.95, 0.92, 0.9)
CARELESS = 0.6
ITEMS, OVERLAP, QUESTIONS, WITHIN = 500, 0.2, 0.05, 60
NEVER = 10**9


@dataclass(frozen=True)
class Vote:
    id: str
    annotator: str
    value: str
    updated_at: str


@dataclass
class Team:
    """A run under way: who answers how, what was said, and who has been flagged after how many answers."""

    rng: np.random.Generator
    classes: int
    accuracies: Sequence[float | None]
    by_need: bool
    truths: dict[str, int] = field(default_factory=dict)
    questions: set[str] = field(default_factory=set)
    said: dict[str, list[Vote]] = field(default_factory=lambda: defaultdict(list))
    waiting: list[str] = field(default_factory=list)
    flagged: dict[str, int] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = len(self.accuracies)
        self.answered = np.zeros(size, dtype=int)
        self.credit, self.place = np.zeros(size), self.rng.random(size)
        self.right, self.asked = np.zeros(size), np.zeros(size)
        self.agreed, self.compared = np.zeros((2, size, size))

    def work(self) -> Team:
        while len(self.truths) - len(self.questions) < ITEMS:
            who = int(self.rng.integers(len(self.accuracies)))
            self.answered[who] += 1
            if self.turn(who):
                self.look()
        return self

    def turn(self, who: int) -> bool:
        """One answer; whether it tells something of somebody."""
        rate = question_rate(self.standings.get(str(who)), QUESTIONS) if self.by_need else QUESTIONS
        self.credit[who] += rate
        if self.credit[who] >= self.place[who]:
            self.credit[who] -= 1
            self.place[who] = self.rng.random()
            self.test(who)
            return True
        key = next((key for key in self.waiting if self.said[key][0].annotator != str(who)), None)
        if key is not None:
            self.waiting.remove(key)
            self.compare(who, key)
            return True
        key = self.draw("item")
        self.answer(who, key)
        if self.rng.random() < OVERLAP:
            self.waiting.append(key)
        return False

    def draw(self, kind: str) -> str:
        key = f"{kind}-{len(self.truths):04d}"
        self.truths[key] = int(self.rng.integers(self.classes))
        return key

    def answer(self, who: int, key: str) -> int:
        truth, accuracy = self.truths[key], self.accuracies[who]
        if accuracy is None:
            value = 0
        elif self.rng.random() < accuracy:
            value = truth
        else:
            value = int(truth + 1 + self.rng.integers(self.classes - 1)) % self.classes
        number = f"{int(self.answered.sum()):06d}"
        self.said[key].append(Vote(number, str(who), str(value), number))
        return value

    def test(self, who: int) -> None:
        key = self.draw("question")
        self.questions.add(key)
        self.asked[who] += 1
        self.right[who] += self.answer(who, key) == self.truths[key]

    def compare(self, who: int, key: str) -> None:
        other, theirs = int(self.said[key][0].annotator), int(self.said[key][0].value)
        same = self.answer(who, key) == theirs
        for pair in ((who, other), (other, who)):
            self.compared[pair] += 1
            self.agreed[pair] += same

    def look(self) -> None:
        names = tuple(str(who) for who in range(len(self.accuracies)))
        counts = Tally(names, self.right, self.asked, self.agreed, self.compared)
        self.standings = standings(counts, self.classes)
        for who, name in enumerate(names):
            if self.standings[name].flagged:
                self.flagged.setdefault(name, int(self.answered[who]))


@dataclass(frozen=True)
class Found:
    """Of one run: the accuracy of each consensus on all items and on those with two opinions; then per annotator."""

    accuracy: list[float]
    overlap: list[float]
    covered: list[bool]
    flagged: list[int]
    flagged_last: list[bool]
    questions: float


def run(seed: int, classes: int, accuracies: Sequence[float | None], by_need: bool) -> Found:
    team = Team(np.random.default_rng([seed, classes]), classes, accuracies, by_need).work()
    truths = {key: str(team.truths[key]) for key in team.questions}
    assert np.allclose(tally(team.said, truths).compared, team.compared)
    weights = {name: one.weight for name, one in team.standings.items()}
    skilled = dawid_skene(team.said, truths, {name: one.mean for name, one in team.standings.items()})
    rules: list[Callable[[str], Label | None]] = [
        lambda key: consensus(team.said[key]),
        lambda key: weighted_vote(team.said[key], weights),
        skilled.get,
    ]
    items = [key for key in team.truths if key not in team.questions]
    twice = [key for key in items if len(team.said[key]) > 1]

    def accuracy(rule: Callable[[str], Label | None], keys: Sequence[str]) -> float:
        labels = [rule(key) for key in keys]
        return float(
            np.mean([label and label.value == str(team.truths[k]) for label, k in zip(labels, keys, strict=True)])
        )

    each = [team.standings[str(who)] for who in range(len(accuracies))]
    true = [1 / classes if accuracy is None else accuracy for accuracy in accuracies]
    return Found(
        [accuracy(rule, items) for rule in rules],
        [accuracy(rule, twice) for rule in rules],
        [one.low <= p <= one.high for one, p in zip(each, true, strict=True)],
        [team.flagged.get(str(who), NEVER) for who in range(len(accuracies))],
        [one.flagged for one in each],
        len(team.questions) / float(team.answered.sum()),
    )


def report(name: str, classes: int, found: Sequence[Found], good: int) -> None:
    def shares(values: Sequence[Sequence[float]]) -> str:
        return " ".join(f"{value:.3f}" for value in np.mean(values, axis=0))

    flagged = np.array([one.flagged for one in found])
    last = np.array([one.flagged_last for one in found])
    covered = np.array([one.covered for one in found])
    cells = [
        f"{name:<13}{classes:>2}  {shares([one.accuracy for one in found])}",
        shares([one.overlap for one in found]),
        f"{covered.mean():.3f} {covered.mean(axis=0).min():.2f}",
        f"{(flagged[:, good + 1 :] <= WITHIN).mean():>7.2f}",
        f"{(flagged[:, :good] < NEVER).mean():.3f}  {last[:, :good].mean():.3f}",
        f"{(flagged[:, good] < NEVER).mean():>8.2f}",
        f"{np.mean([one.questions for one in found]):>9.3f}",
    ]
    print("  ".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    args = parser.parse_args()
    started = time.perf_counter()
    print(
        "                 right, all items   two opinions       interval    spammer  good flagged  careless       test"
    )
    print(
        "              C  maj.  wght. D&S    maj.  wght. D&S    covers min    by 60  ever   at end  flagged  questions"
    )
    with ProcessPoolExecutor() as pool:
        for name, by_need in (("plain", False), ("by need", True), ("two spammers", False)):
            for classes in (2, 5, 10):
                bad = [None, None] if name == "two spammers" else [1 / classes]
                one = partial(run, classes=classes, accuracies=[*GOOD, CARELESS, *bad], by_need=by_need)
                found = list(pool.map(one, range(args.first, args.first + args.runs), chunksize=5))
                report(name, classes, found, len(GOOD))
    print(f"{args.runs} runs each, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
