"""The scores of a split: each number by another way to compute it, for any answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from sentiment140_bert.evaluation import calibration, comparison, intervals, metrics, slices, three_way
from sentiment140_bert.evaluation.answers import Answers, asked
from sentiment140_bert.evaluation.calibration import Calibration
from sentiment140_bert.evaluation.lift import Baselines
from sentiment140_bert.evaluation.protocol import log_losses, scores_of
from sentiment140_bert.models.labels import LabelMapping
from sentiment140_bert.recipe import SCORES

# Wilson 1927, worked out by hand: (k + z²/2 ± z √(k (n - k) / n + z²/4)) / (n + z²) with z = 1.959964.
LIMITS_OF_TWO_OF_THREE = {"low": pytest.approx(0.207660, abs=1e-6), "high": pytest.approx(0.938508, abs=1e-6)}
LIMITS_OF_ONE_OF_TWO = {"low": pytest.approx(0.094531, abs=1e-6), "high": pytest.approx(0.905469, abs=1e-6)}
SHARES = {"bad": 0.1, "so so": 0.4, "good": 0.7, "fine": 0.2}
SHARE = st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]) | st.floats(0, 1)
ROWS = st.lists(st.tuples(SHARE, st.sampled_from([0, 1, 2])), min_size=1, max_size=30)


def answers(shares: dict[str, float] = SHARES, truth: tuple[int, ...] = (0, 2, 1, 1)) -> Answers:
    def score(texts: list[str]) -> np.ndarray:
        return np.array([[1 - shares[text], shares[text]] for text in texts], dtype=np.float32)

    return asked(list(shares), np.array(truth), score, LabelMapping((0, 1)))


def answers_of(rows: list[tuple[float, int]], neutral: list[bool] | None = None) -> Answers:
    """Make answers whose texts, topics and shown texts all name the row."""
    return Answers(
        [f"text {at}" for at in range(len(rows))],
        np.array([truth for _, truth in rows]),
        np.array([share for share, _ in rows]),
        None if neutral is None else np.array(neutral),
        [f"topic {at}" for at in range(len(rows))],
        [f"shown {at}" for at in range(len(rows))],
    )


def test_by_hand() -> None:
    """Neutral tweets are left out, and counted."""
    found = scores_of(answers(), None, None)
    assert (found["n"], found["neutral_left_out"]) == (3, 1)
    assert found["accuracy"] == {"value": pytest.approx(2 / 3), **LIMITS_OF_TWO_OF_THREE}
    assert found["recall"] == {"value": pytest.approx(1 / 2), **LIMITS_OF_ONE_OF_TWO}
    assert found["roc_auc"]["value"] == pytest.approx(1.0)
    bins = found["calibration"]["bins"]
    assert [(part["n"], part["observed"]) for part in bins] == [(1, 0.0), (1, 1.0), (1, 1.0)]
    assert [part["predicted"] for part in bins] == pytest.approx([0.1, 0.2, 0.7])
    assert found["calibration"]["brier_score"]["value"] == pytest.approx((0.1**2 + 0.3**2 + 0.8**2) / 3)
    assert "three_way" not in found  # nobody said when to abstain
    assert "abstaining" not in found


def f1(counts: np.ndarray) -> np.ndarray:
    """Compute F1 as the harmonic mean of precision and recall."""
    (_, fp), (fn, tp) = np.moveaxis(counts, 0, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(2 / ((tp + fp) / tp + (tp + fn) / tp), nan=0.0)


def matthews(counts: np.ndarray) -> np.ndarray:
    """Compute the correlation of label and answer from their covariance."""
    shares = counts / counts.sum(axis=(1, 2), keepdims=True)
    label, said = shares[:, 1].sum(axis=1), shares[:, :, 1].sum(axis=1)
    spread = np.sqrt(label * (1 - label) * said * (1 - said))
    return (shares[:, 1, 1] - label * said) / np.where(spread > 1e-9, spread, np.inf)


def losses_of(positive: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.array(
        [sk.log_loss([label], [share], labels=[0, 1]) for share, label in zip(positive, truth, strict=True)]
    )


@settings(max_examples=25)
@given(ROWS, st.floats(0.2, 5), st.floats(0.4, 1), st.booleans())
def test_every_part_is_that_of_the_binary_tweets(
    rows: list[tuple[float, int]], temperature: float, neutral_below: float, may_abstain: bool
) -> None:
    learned = Calibration(temperature, neutral_below) if may_abstain else None
    found = scores_of(answers_of(rows), learned, None)
    at = [number for number, (_, label) in enumerate(rows) if label != 2]
    positive, truth = np.array([rows[number][0] for number in at]), np.array([rows[number][1] for number in at])
    assert (found["n"], found["neutral_left_out"]) == (len(at), len(rows) - len(at))
    if len(at) < len(rows) and learned:
        sure = calibration.confidence(calibration.scaled(np.array([share for share, _ in rows]), temperature))
        three = np.where(sure < neutral_below, 2, [share >= 0.5 for share, _ in rows])
        assert found["three_way"] == three_way.scores(three, np.array([label for _, label in rows]))
    else:
        assert "three_way" not in found
    if not at:
        assert found.keys() <= {"n", "neutral_left_out", "three_way"}
        return
    values = metrics.scores(positive, truth)
    assert {name: found[name]["value"] for name in values} == values
    said = positive >= 0.5
    counts = np.array([[((truth == label) & (said == side)).sum() for side in (0, 1)] for label in (0, 1)])
    limits = intervals.of_shares(values) | {
        "f1": intervals.of_counts(counts, f1),
        "matthews_correlation": intervals.of_counts(counts, matthews),
        "log_loss": intervals.of_means(losses_of(positive, truth), truth),
    }
    if len({*truth}) == 2:
        limits["roc_auc"] = intervals.of_ranking(positive, truth)
    for name in values:
        between = {end: found[name][end] for end in ("low", "high") if end in found[name]}
        assert between == pytest.approx(limits.get(name, {}), abs=1e-9), name
    assert found["calibration"] == calibration.reliability(positive, truth)
    assert found["risk_coverage"] == calibration.risk_coverage(positive, truth)
    right = said == (truth == 1)
    members = slices.of_texts([f"shown {number}" for number in at], [f"topic {number}" for number in at])
    assert found["slices"] == slices.scored(right, members)
    assert ("calibrated" in found) == ("abstaining" in found) == may_abstain
    if learned:
        softer = calibration.scaled(positive, temperature)
        losses = losses_of(softer, truth)
        assert found["calibrated"].pop("log_loss") == pytest.approx(
            {"value": losses.mean()} | intervals.of_means(losses, truth)
        )
        assert found["calibrated"] == calibration.reliability(softer, truth)
        answered = np.maximum(softer, 1 - softer) >= neutral_below
        expected = {"answered": answered.sum(), "coverage": intervals.share(int(answered.sum()), len(at))}
        if answered.any():
            expected["accuracy"] = intervals.share(int((right & answered).sum()), int(answered.sum()))
        assert found["abstaining"] == expected


def test_slices_are_those_of_the_texts_as_people_read_them() -> None:
    """Where a text was handed in as a person reads it, it is that one; topics stay with their tweets."""
    truth = np.array([2, 0, 1] * 20)
    texts, shown = ["plain words of some kind here"] * 60, ["why not? a longer text of words"] * 60
    topics = [["left out", "one", "other"][at % 3] for at in range(60)]
    positive = np.full(60, 0.7)
    found = scores_of(Answers(texts, truth, positive, None, topics, shown), None, None)["slices"]
    assert {part["name"]: part["n"] for part in found} == {
        "negation": 40,
        "question": 40,
        "topic: one": 20,
        "topic: other": 20,
    }
    found = scores_of(Answers(texts, truth, positive, None, topics), None, None)["slices"]
    assert [part["name"] for part in found] == ["topic: one", "topic: other"]


def test_every_score_has_an_interval_that_holds_it() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 300)
    positive = np.clip(random.normal(0.3 + 0.4 * truth, 0.3), 0.01, 0.99)
    found = scores_of(Answers(["a tweet"] * 300, truth, positive), Calibration(1.5, 0.7), Baselines(0.5))
    scores = [found[name] for name in SCORES]
    scores += [
        found[kind][name]
        for kind in ("calibration", "calibrated")
        for name in ("brier_score", "expected_calibration_error")
    ]
    scores += [found["calibrated"]["log_loss"], found["abstaining"]["coverage"], found["abstaining"]["accuracy"]]
    scores += [found["baselines"]["majority"][name] for name in ("accuracy", "lift")]
    for score in scores:
        assert score["low"] <= score["value"] <= score["high"]
        assert score["low"] < score["high"]


def test_the_mean_of_the_losses_is_the_log_loss() -> None:
    positive, truth = np.array([0.0, 0.2, 0.9, 1.0]), np.array([0, 1, 1, 1])
    assert log_losses(positive, truth).mean() == pytest.approx(sk.log_loss(truth, positive, labels=[0, 1]))
    assert log_losses(np.array([0.0, 1.0]), np.array([1, 0])) == pytest.approx([-math.log(np.finfo(float).eps)] * 2)


# ---- three answers


def test_the_threshold_makes_a_third_answer() -> None:
    """Of the confidences 0.9, 0.6, 0.7 and 0.8 only that of the neutral tweet lies below 0.65."""
    found = scores_of(answers(), Calibration(1.0, 0.65), None)
    assert found["three_way"]["matrix"] == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert found["three_way"]["accuracy"]["value"] == 0.75
    assert found["three_way"]["macro_recall"]["value"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert found["abstaining"]["answered"] == 3


@given(st.lists(SHARE, min_size=1, max_size=20), st.floats(0.1, 10), st.floats(0.5, 1))
def test_the_threshold_is_that_of_the_calibrated_confidence(
    positive: list[float], temperature: float, below: float
) -> None:
    """A temperature of 2 makes 0.8 a confidence of 2/3; a confidence of exactly the threshold answers."""
    assert three_way.said(np.array([0.8, 0.2, 0.8]), Calibration(2.0, 0.7)).tolist() == [2, 2, 2]
    assert three_way.said(np.array([0.8, 0.2, 0.8]), Calibration(2.0, 0.66)).tolist() == [1, 0, 1]
    assert three_way.said(np.array([0.5, 0.5]), Calibration(1.0, 0.5)).tolist() == [1, 1]
    sure = calibration.confidence(calibration.scaled(np.array(positive), temperature))
    expected = [2 if one < below else int(share >= 0.5) for one, share in zip(sure, positive, strict=True)]
    assert three_way.said(np.array(positive), Calibration(temperature, below)).tolist() == expected


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 2])), min_size=1, max_size=40))
def test_three_way_scores_are_scikit_learn_s(rows: list[tuple[int, int]]) -> None:
    """Over the classes that occur among the labels; whatever was answered."""
    said, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found, there = three_way.scores(said, truth), [label for label in (0, 2, 1) if (truth == label).any()]
    names = {0: "negative", 2: "neutral", 1: "positive"}
    assert found["n"] == len(rows)
    assert found["matrix"] == sk.confusion_matrix(truth, said, labels=[0, 2, 1]).tolist()
    assert found["accuracy"] == intervals.share(int((said == truth).sum()), len(rows))
    assert list(found["recall"]) == [names[label] for label in there]
    for label in there:
        of_class = truth == label
        assert found["recall"][names[label]] == intervals.share(
            int((said[of_class] == label).sum()), int(of_class.sum())
        )
    for name, score in (("macro_recall", sk.recall_score), ("macro_f1", sk.f1_score)):
        expected = score(truth, said, labels=there, average="macro", zero_division=0.0)
        assert found[name]["value"] == pytest.approx(expected), name

    def macro(of_class: Callable[[np.ndarray, int], np.ndarray]) -> dict[str, float]:
        at = [[0, 2, 1].index(label) for label in there]
        return intervals.of_counts(
            np.array(found["matrix"]), lambda many: np.mean([of_class(many, row) for row in at], axis=0)
        )

    def recall(many: np.ndarray, row: int) -> np.ndarray:
        return many[:, row, row] / many[:, row].sum(axis=1)

    def f1_of(many: np.ndarray, row: int) -> np.ndarray:
        return 2 * many[:, row, row] / (many[:, row].sum(axis=1) + many[:, :, row].sum(axis=1))

    for name, of_class in (("macro_recall", recall), ("macro_f1", f1_of)):
        assert {end: found[name][end] for end in ("low", "high")} == pytest.approx(macro(of_class)), name


def test_a_model_with_a_neutral_label_of_its_own_uses_it() -> None:
    def score(texts: list[str]) -> np.ndarray:
        return np.array([[0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.1, 0.5, 0.4]])

    for learned in (None, Calibration(1.0, 0.99)):
        found = scores_of(asked(["a", "b", "c"], np.array([0, 2, 1]), score, LabelMapping((0, 2, 1))), learned, None)
        assert found["three_way"]["matrix"] == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
        assert found["accuracy"]["value"] == 1.0  # of negative and positive the right one was likelier


def test_a_split_of_neutral_tweets_alone_has_no_scores() -> None:
    assert scores_of(answers({"a": 0.1, "b": 0.9}, (2, 2)), None, None) == {"n": 0, "neutral_left_out": 2}


# ---- answers


@given(ROWS, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_chosen_answers_keep_all_that_belongs_to_them(
    rows: list[tuple[float, int]], neutral: bool, topics: bool, shown: bool, data: st.DataObject
) -> None:
    whole = answers_of(rows, [at % 3 == 0 for at in range(len(rows))] if neutral else None)
    whole = Answers(
        whole.texts,
        whole.truth,
        whole.positive,
        whole.neutral,
        whole.topics if topics else None,
        whole.shown if shown else None,
    )
    assert whole.right.tolist() == [label != 2 and (share >= 0.5) == (label == 1) for share, label in rows]
    chosen = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    for part, at in (
        (whole.only(np.array(chosen)), [number for number, taken in enumerate(chosen) if taken]),
        (whole.binary(), [number for number, (_, label) in enumerate(rows) if label != 2]),
    ):
        assert list(part.texts) == [f"text {number}" for number in at]
        assert list(zip(part.positive, part.truth, strict=True)) == [rows[number] for number in at]
        assert (part.neutral is None) == (not neutral)
        assert part.neutral is None or part.neutral.tolist() == [number % 3 == 0 for number in at]
        assert part.topics == ([f"topic {number}" for number in at] if topics else None)
        assert part.shown == ([f"shown {number}" for number in at] if shown else None)


def test_what_is_asked_goes_through() -> None:
    """The side of each label, the model's own neutral answers, and what belongs to the tweets."""
    probabilities = np.array([[0.1, 0.6, 0.3], [0.5, 0.1, 0.4], [0.2, 0.35, 0.45]], dtype=np.float32)
    texts, truth = ["a", "b", "c"], np.array([1, 2, 0])
    found = asked(texts, truth, lambda given: probabilities, LabelMapping((2, 1, 0)), ["x", None, "y"], ["A", "B", "C"])
    assert found.positive == pytest.approx([0.6 / 0.9, 0.1 / 0.5, 0.35 / 0.8], rel=1e-6)
    assert found.neutral is not None
    assert found.neutral.tolist() == [False, True, False]
    assert (found.texts, found.topics, found.shown) == (texts, ["x", None, "y"], ["A", "B", "C"])
    assert (found.truth == truth).all()
    two = asked(texts, truth, lambda given: probabilities[:, :2], LabelMapping((0, 1)))
    assert (two.neutral, two.topics, two.shown) == (None, None, None)


# ---- baselines


@settings(max_examples=20)
@given(ROWS, SHARE, st.lists(SHARE, min_size=30, max_size=30), st.booleans())
def test_baselines_are_compared_on_the_same_tweets(
    rows: list[tuple[float, int]], majority: float, shares: list[float], has_tfidf: bool
) -> None:
    """The commoner class is the constant answer; at one half it is positive, as it is for the model."""
    model = answers_of(rows).binary()
    if not len(model.truth):
        return
    asked_for: list[list[str]] = []

    def tfidf(texts: Any) -> np.ndarray:
        asked_for.append(list(texts))
        return np.array(shares[: len(texts)])

    found = scores_of(answers_of(rows), None, Baselines(majority, tfidf if has_tfidf else None))["baselines"]
    positive = {"majority": [majority] * len(model.truth)} | (
        {"tfidf": shares[: len(model.truth)]} if has_tfidf else {}
    )
    assert list(found) == list(positive)
    assert asked_for == ([list(model.texts)] if has_tfidf else [])
    for name, theirs in positive.items():
        right = np.array([(share >= 0.5) == (label == 1) for share, label in zip(theirs, model.truth, strict=True)])
        both = comparison.compared(model.right, right, model.truth)
        assert found[name] == {
            "accuracy": intervals.share(int(right.sum()), len(right)),
            "lift": both["difference"],
            "p_value": both["p_value"],
        }
