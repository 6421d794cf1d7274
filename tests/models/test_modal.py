"""modAL's loops on digits, with its learners mended and with the product's head."""

from __future__ import annotations

import numpy as np
import pytest
from modAL import models as theirs
from modAL.batch import uncertainty_batch_sampling
from modAL.disagreement import consensus_entropy_sampling, max_std_sampling
from modAL.multilabel import SVM_binary_minimum
from modAL.uncertainty import margin_sampling, uncertainty_sampling
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB

from alearn.models.estimator import HeadClassifier
from alearn.models.modal import ActiveLearner, Committee

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)
NAMES = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[Y]


def first_of_each() -> np.ndarray:
    """A row of each digit."""
    return np.unique(Y, return_index=True)[1]


def rest_of(rows: np.ndarray) -> np.ndarray:
    return np.setdiff1d(np.arange(len(X)), rows)


def test_the_reason_for_this_file_is_still_there() -> None:
    """modAL's own `teach` fails beside current libraries; when it no longer does, ours can go."""
    rows = first_of_each()
    learner = theirs.ActiveLearner(GaussianNB(), X_training=X[rows], y_training=Y[rows])
    with pytest.raises(TypeError, match="force_all_finite"):
        learner.teach(X[:3], Y[:3])


@pytest.mark.parametrize("strategy", [uncertainty_sampling, margin_sampling, uncertainty_batch_sampling])
def test_a_loop_of_modal_learns_digits_with_our_head(strategy: object) -> None:
    """Query, teach, query: 60 labels, named by words, and most of the rest are right."""
    rows = first_of_each()
    learner = ActiveLearner(HeadClassifier(strength=0.03), strategy, X[rows], NAMES[rows])
    before = learner.score(X[rest_of(rows)], NAMES[rest_of(rows)])
    for _ in range(5):
        left = rest_of(rows)
        picks, asked = learner.query(X[left], n_instances=10)
        np.testing.assert_array_equal(asked, X[left[picks]])
        learner.teach(asked, NAMES[left[picks]])
        rows = np.append(rows, left[picks])
    assert len(learner.X_training) == len(learner.y_training) == len(set(rows)) == 60
    assert learner.score(X[rest_of(rows)], NAMES[rest_of(rows)]) > max(before + 0.1, 0.7)
    assert "HeadClassifier" in repr(learner)


@pytest.mark.parametrize("estimator", [LogisticRegression(max_iter=500), RandomForestClassifier(20, random_state=0)])
def test_estimators_of_scikit_learn_are_taught_as_before(estimator: object) -> None:
    """The learner is for any estimator, as modAL's was."""
    learner = ActiveLearner(estimator, margin_sampling, X[:50], Y[:50])
    before = learner.score(X[1000:], Y[1000:])
    learner.teach(X[50:500], Y[50:500])
    assert learner.score(X[1000:], Y[1000:]) > before


def test_only_new_forgets_and_does_not_keep() -> None:
    """As documented: trained on these alone, which are not added to what is known."""
    learner = ActiveLearner(HeadClassifier(), margin_sampling, X[:40], NAMES[:40])
    few = np.flatnonzero(Y < 2)[:20]
    learner.teach(X[few], NAMES[few], only_new=True)
    assert set(learner.predict(X[:200])) == {"zero", "one"}
    assert len(learner.X_training) == 40


def test_a_learner_begins_without_data_and_is_fitted_anew() -> None:
    """No labels at first; `fit` replaces, `teach` adds, and draws of the data are for bagging."""
    learner = ActiveLearner(GaussianNB())
    learner.teach(X[:100], Y[:100])
    learner.teach(X[100:200], Y[100:200], bootstrap=True)
    assert len(learner.X_training) == 200
    assert learner.fit(X[:30], Y[:30]) is learner
    assert len(learner.X_training) == 30


def test_what_does_not_fit_is_refused_and_not_kept() -> None:
    """Other features, other lengths, values that are no numbers; the learner stays as it was."""
    learner = ActiveLearner(HeadClassifier(), margin_sampling, X[:40], Y[:40])
    for x, y in ((X[:5, :10], Y[:5]), (X[:5], Y[:4]), (np.full((2, 64), np.nan), Y[:2])):
        with pytest.raises(ValueError, match=r"features|inconsistent|NaN"):
            learner.teach(x, y)
    assert len(learner.X_training) == len(learner.y_training) == 40


def test_data_frames_are_taught() -> None:
    """pandas has no `append` any more."""
    pd = pytest.importorskip("pandas")
    frame, answers = pd.DataFrame(X[:200]), pd.Series(NAMES[:200])
    learner = ActiveLearner(HeadClassifier(), margin_sampling, frame[:50], answers[:50])
    picks, asked = learner.query(frame[50:], n_instances=4)
    learner.teach(asked, answers[50:].iloc[picks])
    assert learner.X_training.shape == (54, 64)


class TestQuery:
    def test_scores_come_along_when_asked_for(self) -> None:
        """Picks, rows, scores."""
        learner = ActiveLearner(GaussianNB(), uncertainty_sampling, X[:100], Y[:100])
        picks, _, scores = learner.query(X[100:], n_instances=5, return_metrics=True)
        np.testing.assert_allclose(scores, 1 - learner.predict_proba(X[100:])[picks].max(axis=1))

    def test_two_picks_are_two_picks(self) -> None:
        """modAL takes an array of two picks for a pick and its score."""
        learner = ActiveLearner(GaussianNB(), lambda model, x: np.array([4, 7]), X[:100], Y[:100])
        assert learner.query(X[100:])[0].tolist() == [4, 7]
        with pytest.warns(UserWarning, match="without scores"):
            assert learner.query(X[100:], return_metrics=True)[2] is None

    def test_a_strategy_that_fails_is_called_once(self) -> None:
        """And its error is what the caller sees."""
        calls = []

        def failing(model: object, x: np.ndarray) -> None:
            calls.append(x)
            raise RuntimeError("mine")

        for asker in (ActiveLearner(GaussianNB(), failing, X[:100], Y[:100]), committee_of(2, strategy=failing)):
            calls.clear()
            with pytest.raises(RuntimeError, match="mine"):
                asker.query(X[100:])
            assert len(calls) == 1

    def test_a_strategy_that_names_one_row_is_understood(self) -> None:
        """modAL's multilabel strategy for SVMs returns a number."""
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.svm import SVC

        several = np.stack([Y % 2 == 0, Y < 5, Y > 6], axis=1).astype(int)
        learner = ActiveLearner(OneVsRestClassifier(SVC()), SVM_binary_minimum, X[:100], several[:100])
        pick, row = learner.query(X[100:200])
        np.testing.assert_array_equal(row, X[100:200][pick])
        learner.teach(row[None], several[100:200][[pick]])


def committee_of(members: int, y: np.ndarray = NAMES, strategy: object = consensus_entropy_sampling) -> Committee:
    """Heads that were each taught other labels."""
    draws = np.random.default_rng(0).permutation(300)[: members * 40].reshape(members, 40)
    return Committee(
        [ActiveLearner(HeadClassifier(strength=0.03), X_training=X[d], y_training=y[d]) for d in draws], strategy
    )


class TestCommittee:
    def test_a_loop_by_committee_learns_digits(self) -> None:
        """Query by disagreement, teach all members, draw anew: better than at the start."""
        committee, left = committee_of(3), np.arange(300, len(X))
        before = committee.score(X[1000:], NAMES[1000:])
        for _ in range(3):
            picks, asked = committee.query(X[left], n_instances=10)
            committee.teach(asked, NAMES[left[picks]])
            left = np.delete(left, picks)
        assert committee.score(X[1000:], NAMES[1000:]) > max(before, 0.7)
        assert all(len(learner.X_training) == 70 for learner in committee)
        committee.rebag()
        assert committee.vote_proba(X[:5]).shape == (5, 3, 10)

    def test_votes_are_classes_of_any_kind(self) -> None:
        """Words are no numbers, and a vote for a word is that word."""
        votes = committee_of(3).vote(X[:50])
        assert votes.shape == (50, 3)
        assert set(votes.ravel()) <= set(NAMES)

    def test_vote_entropy_is_that_of_the_words(self) -> None:
        """modAL counts the votes of each class by its name."""
        from modAL.disagreement import vote_entropy

        from alearn.core.uncertainty import vote_entropy as ours

        committee = committee_of(4)
        votes = committee.vote_proba(X[:80]).swapaxes(0, 1)
        np.testing.assert_allclose(vote_entropy(committee, X[:80]), ours(votes), atol=1e-12)

    def test_members_that_lose_a_class_when_drawn_anew_still_vote(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every member's draw misses the same class: the committee knows one class less."""
        rows = np.append(np.flatnonzero(Y < 2)[:30], np.flatnonzero(Y == 2)[:1])
        members = [ActiveLearner(GaussianNB(), X_training=X[rows], y_training=Y[rows]) for _ in range(2)]
        committee = Committee(members)
        monkeypatch.setattr(np.random, "choice", lambda among, size, replace: np.arange(size) % 30)
        committee.rebag()
        assert committee.predict_proba(X[:4]).shape == (4, 2)

    def test_only_new_trains_every_member_on_it(self) -> None:
        """As modAL's committee does."""
        committee = committee_of(2, y=Y)
        few = np.flatnonzero(Y < 2)[:20]
        committee.teach(X[few], Y[few], only_new=True)
        assert set(committee.predict(X[:100])) == {0, 1}

    def test_regressors_stay_modals(self) -> None:
        """Its CommitteeRegressor, over learners of ours."""
        learners = [ActiveLearner(Ridge(), X_training=X[i : i + 50], y_training=Y[i : i + 50]) for i in (0, 50)]
        committee = theirs.CommitteeRegressor(learners, max_std_sampling)
        picks, asked = committee.query(X[200:], n_instances=3)
        committee.teach(asked, Y[200:][picks])
        assert committee.predict(X[:7]).shape == (7,)
