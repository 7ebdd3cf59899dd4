"""The scores of a split: worked by hand, and by the definitions for any predictions."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from sentiment140_bert.errors import RunError
from sentiment140_bert.evaluation import calibration, intervals, slices
from sentiment140_bert.evaluation.baseline import Baselines
from sentiment140_bert.evaluation.calibration import Calibration, compute_log_losses
from sentiment140_bert.evaluation.metrics import compute_scores, compute_trainer_metrics
from sentiment140_bert.evaluation.predictions import Predictions, predict_split
from sentiment140_bert.evaluation.scores import abstain_below, score_split, score_three_way
from sentiment140_bert.schemas.metrics import THREE_LABEL_PARTS

# Wilson 1927, worked out by hand: (k + z²/2 ± z √(k (n - k) / n + z²/4)) / (n + z²) with z = 1.959964.
LIMITS_OF_TWO_OF_THREE = {"low": pytest.approx(0.207660, abs=1e-6), "high": pytest.approx(0.938508, abs=1e-6)}
LIMITS_OF_ONE_OF_TWO = {"low": pytest.approx(0.094531, abs=1e-6), "high": pytest.approx(0.905469, abs=1e-6)}
# One half and equal probabilities occur often, as they do among rounded ones.
SHARE = st.floats(0, 1) | st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0])
ROWS = st.lists(st.tuples(SHARE, st.sampled_from([0, 1, 2])), min_size=1, max_size=30)


def make(positive: list[float], truth: list[int], **more: object) -> Predictions:
    """Make predictions whose texts, topics and shown texts all name the row."""
    names = {name: [f"{name} {at}" for at in range(len(truth))] for name in ("text", "topic", "shown")}
    fields = {"texts": names["text"], "topics": names["topic"], "shown": names["shown"]} | more
    return Predictions(truth=np.array(truth), positive=np.array(positive), **fields)


def select(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    binary = predictions.truth != 2
    return predictions.positive[binary], predictions.truth[binary]


# ---- negative and positive


def compute_by_definition(positive: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Compute every score from its definition, in plain Python."""
    rows = list(zip(positive.tolist(), truth.tolist(), strict=True))
    tp, fp, fn, tn = (
        sum((share >= 0.5) == side and label == actual for share, label in rows)
        for side, actual in ((True, 1), (True, 0), (False, 1), (False, 0))
    )
    below = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    scores = {
        "accuracy": (tp + tn) / len(rows),
        "precision": tp / (tp + fp) if tp + fp else 0,
        "recall": tp / (tp + fn) if tp + fn else 0,
        "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0,
        "matthews_correlation": (tp * tn - fp * fn) / below if below else 0,
        **{"true_negative": tn, "false_positive": fp, "false_negative": fn, "true_positive": tp},
        "log_loss": compute_losses(positive, truth).mean(),
    }
    f1s = [2 * hits / (2 * hits + fp + fn) for hits, n in ((tn, tn + fp), (tp, tp + fn)) if n]
    scores["macro_f1"] = sum(f1s) / len(f1s)
    ones, zeros = ([share for share, label in rows if label == side] for side in (1, 0))
    if ones and zeros:
        pairs = [(one > zero) + (one == zero) / 2 for one in ones for zero in zeros]
        scores["roc_auc"] = sum(pairs) / len(pairs)
    return scores


def compute_losses(positive: np.ndarray, truth: np.ndarray) -> np.ndarray:
    tiny = np.finfo(float).eps
    shares = [share if label else 1 - share for share, label in zip(positive.tolist(), truth.tolist(), strict=True)]
    return np.array([-math.log(min(max(share, tiny), 1 - tiny)) for share in shares])


def compute_f1(counts: np.ndarray) -> np.ndarray:
    """Compute F1 as the harmonic mean of precision and recall."""
    (_, fp), (fn, tp) = np.moveaxis(counts, 0, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(2 / ((tp + fp) / tp + (tp + fn) / tp), nan=0.0)


def compute_macro_f1(counts: np.ndarray) -> np.ndarray:
    """Compute the mean of the F1 of each class that there is."""
    flipped = counts[:, ::-1, ::-1]
    present = counts[0].sum(axis=1) > 0
    f1s = [compute_f1(matrix) for matrix, there in zip((flipped, counts), present, strict=True) if there]
    return np.mean(f1s, axis=0)


def compute_correlation(counts: np.ndarray) -> np.ndarray:
    """Compute the correlation of label and prediction from their covariance."""
    shares = counts / counts.sum(axis=(1, 2), keepdims=True)
    label, side = shares[:, 1].sum(axis=1), shares[:, :, 1].sum(axis=1)
    spread = np.sqrt(label * (1 - label) * side * (1 - side))
    return (shares[:, 1, 1] - label * side) / np.where(spread > 1e-9, spread, np.inf)


@pytest.mark.filterwarnings("error")
@settings(max_examples=30)
@given(ROWS)
def test_every_score_and_interval_is_that_of_its_definition(rows: list[tuple[float, int]]) -> None:
    predictions = make(*map(list, zip(*rows, strict=True)))
    positive, truth = select(predictions)
    scores = score_split(predictions, None, None)
    assert (scores["n"], scores["neutral_left_out"]) == (len(truth), len(rows) - len(truth))
    if not len(truth):
        assert scores.keys() == {"n", "neutral_left_out"}
        return
    values = compute_by_definition(positive, truth)
    computed = compute_scores(positive, truth)
    assert computed == pytest.approx(values, rel=1e-9, abs=1e-9)
    assert all(type(value) in (int, float) and math.isfinite(value) for value in computed.values())
    assert compute_log_losses(positive, truth) == pytest.approx(compute_losses(positive, truth))
    counts = np.array([[((truth == label) & ((positive >= 0.5) == side)).sum() for side in (0, 1)] for label in (0, 1)])
    limits = intervals.bound_shares(computed) | {
        "macro_f1": intervals.bootstrap_counts(counts, compute_macro_f1),
        "f1": intervals.bootstrap_counts(counts, compute_f1),
        "matthews_correlation": intervals.bootstrap_counts(counts, compute_correlation),
        "log_loss": intervals.bootstrap_means(compute_losses(positive, truth), truth),
    }
    if "roc_auc" in values:
        limits["roc_auc"] = intervals.bootstrap_roc_auc(positive, truth)
    for name in values:
        assert scores[name] == pytest.approx({"value": values[name]} | limits.get(name, {}), abs=1e-9), name
    assert scores["calibration"] == calibration.measure_reliability(positive, truth)
    assert scores["risk_coverage"] == calibration.trace_risk_coverage(positive, truth)
    at = [row for row, (_, label) in enumerate(rows) if label != 2]
    members = slices.find_slices([f"shown {row}" for row in at], [f"topic {row}" for row in at])
    assert scores["slices"] == slices.score_slices((positive >= 0.5) == (truth == 1), members)


def test_a_split_by_hand() -> None:
    scores = score_split(make([0.1, 0.4, 0.7, 0.2], [0, 2, 1, 1]), None, None)
    assert scores["accuracy"] == {"value": pytest.approx(2 / 3), **LIMITS_OF_TWO_OF_THREE}
    assert scores["recall"] == {"value": pytest.approx(1 / 2), **LIMITS_OF_ONE_OF_TWO}
    bins = scores["calibration"]["bins"]
    assert [(part["n"], part["observed"]) for part in bins] == [(1, 0.0), (1, 1.0), (1, 1.0)]
    assert [part["predicted"] for part in bins] == pytest.approx([0.1, 0.2, 0.7])
    assert scores["calibration"]["brier_score"]["value"] == pytest.approx((0.1**2 + 0.3**2 + 0.8**2) / 3)
    assert scores.keys().isdisjoint({"three_way", "abstaining", "calibrated", "baselines"})


@settings(max_examples=20)
@given(ROWS, st.floats(0.2, 5), st.floats(0.4, 1))
def test_calibration_adds_calibrated_and_abstaining_scores(rows, temperature: float, neutral_below: float) -> None:
    predictions = make(*map(list, zip(*rows, strict=True)))
    scores = score_split(predictions, Calibration(temperature, neutral_below), None)
    assert ("three_way" in scores) == (2 in predictions.truth)
    positive, truth = select(predictions)
    if not len(truth):
        return
    softer = calibration.apply_temperature(positive, temperature)
    losses = compute_losses(softer, truth)
    log_loss = {"value": losses.mean()} | intervals.bootstrap_means(losses, truth)
    assert scores["calibrated"].pop("log_loss") == pytest.approx(log_loss)
    assert scores["calibrated"] == calibration.measure_reliability(softer, truth)
    answered = np.maximum(softer, 1 - softer) >= neutral_below
    expected = {"answered": answered.sum(), "coverage": intervals.measure_share(int(answered.sum()), len(truth))}
    if answered.any():
        right = (((positive >= 0.5) == (truth == 1)) & answered).sum()
        expected["accuracy"] = intervals.measure_share(int(right), int(answered.sum()))
    assert scores["abstaining"] == expected


def test_slices_are_those_of_the_texts_as_people_read_them() -> None:
    truth, positive = [2, 0, 1] * 20, [0.7] * 60
    topics = [["left out", "one", "other"][at % 3] for at in range(60)]
    more = {"texts": ["plain words of some kind here"] * 60, "topics": topics}
    shown = ["why not? a longer text of words"] * 60
    for texts, kinds in ((shown, {"negation": 40, "question": 40}), (None, {})):
        parts = score_split(make(positive, truth, **more, shown=texts), None, None)["slices"]
        assert {part["name"]: part["n"] for part in parts} == kinds | {"topic: one": 20, "topic: other": 20}


# ---- the trainer


@settings(max_examples=15)
@given(st.lists(st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.integers(0, 1)), min_size=1, max_size=30))
def test_logits_of_the_trainer_give_the_same_scores(rows: list[tuple[float, float, int]]) -> None:
    logits, truth = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    expected = compute_scores(np.exp(logits[:, 1]) / np.exp(logits).sum(1), truth)
    scores = compute_trainer_metrics(SimpleNamespace(predictions=logits, label_ids=truth))
    is_tied = np.isclose(logits[:, 0], logits[:, 1]).any()  # by the last digit on either side of one half
    names = ["log_loss"] if is_tied else [*expected]
    assert {name: scores[name] for name in names} == pytest.approx({name: expected[name] for name in names}, rel=1e-6)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_single_logit_that_is_not_finite_stops_the_training(broken: float) -> None:
    for at in range(4):
        logits = np.array([[0.1, 0.2], [0.3, -0.4]])
        logits.flat[at] = broken
        with pytest.raises(RunError, match="the model's predictions are no longer finite numbers"):
            compute_trainer_metrics(SimpleNamespace(predictions=logits, label_ids=np.array([0, 1])))


# ---- negative, neutral and positive


def test_the_threshold_makes_a_third_label() -> None:
    """Use the confidences 0.9, 0.6, 0.7 and 0.8, of which only that of the neutral tweet is below 0.65."""
    scores = score_split(make([0.1, 0.4, 0.7, 0.2], [0, 2, 1, 1]), Calibration(1.0, 0.65), None)
    assert scores["three_way"]["matrix"] == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert scores["three_way"]["macro_recall"]["value"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert scores["abstaining"]["answered"] == 3
    # A temperature of 2 makes 0.8 a confidence of 2/3; a confidence of exactly the threshold is answered.
    for positive, temperature, threshold, labels in (
        ([0.8, 0.2, 0.8], 2.0, 0.7, [2, 2, 2]),
        ([0.8, 0.2, 0.8], 2.0, 0.66, [1, 0, 1]),
        ([0.5, 0.5], 1.0, 0.5, [1, 1]),
    ):
        assert abstain_below(np.array(positive), Calibration(temperature, threshold)).tolist() == labels


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 2])), min_size=1, max_size=40))
def test_three_way_scores_are_those_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    """Macro scores are means over the classes that occur among the labels."""
    labels, truth = np.array(rows).T
    scores, present = score_three_way(labels, truth), [label for label in (0, 2, 1) if (truth == label).any()]
    names = {0: "negative", 2: "neutral", 1: "positive"}
    matrix = sk.confusion_matrix(truth, labels, labels=[0, 2, 1])
    assert (scores["n"], scores["matrix"]) == (len(rows), matrix.tolist())
    assert scores["accuracy"] == intervals.measure_share(int((labels == truth).sum()), len(rows))
    assert scores["recall"] == {
        names[label]: intervals.measure_share(int((labels[truth == label] == label).sum()), int((truth == label).sum()))
        for label in present
    }
    at = [[0, 2, 1].index(label) for label in present]

    def compute_recalls(counts: np.ndarray) -> np.ndarray:
        return np.mean([counts[:, row, row] / counts[:, row].sum(axis=1) for row in at], axis=0)

    def compute_f1s(counts: np.ndarray) -> np.ndarray:
        both = counts.sum(axis=1) + counts.sum(axis=2)
        return np.mean([2 * counts[:, row, row] / both[:, row] for row in at], axis=0)

    for name, score, statistic in (
        ("macro_recall", sk.recall_score, compute_recalls),
        ("macro_f1", sk.f1_score, compute_f1s),
    ):
        value = {"value": score(truth, labels, labels=present, average="macro", zero_division=0.0)}
        assert scores[name] == pytest.approx(value | intervals.bootstrap_counts(matrix, statistic)), name


# ---- predictions


def test_a_model_with_a_neutral_label_uses_it() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.1, 0.5, 0.4]], dtype=np.float32)
    names = ["negative", "neutral", "positive"]
    classifier = SimpleNamespace(labels=names, probabilities=lambda texts: probabilities)
    table = pa.table({"text": ["a", "b", "c"], "label": [0, 2, 1], "topic": ["x", None, "y"]})
    predictions = predict_split(classifier, table, "test")
    assert predictions.positive == pytest.approx([0.2 / 0.7, 0.2 / 0.4, 0.4 / 0.5], rel=1e-6)
    assert predictions.neutral == pytest.approx([0.3, 0.6, 0.5], rel=1e-6)
    assert predictions.labels.tolist() == [0, 2, 2]
    assert predictions.confidence == pytest.approx([0.5, 0.6, 0.5], rel=1e-6)
    assert (predictions.topics, predictions.shown) == (["x", None, "y"], ["a", "b", "c"])
    for learned in (None, Calibration(1.0, 0.99)):
        scores = score_split(predictions, learned, None)
        assert scores["three_way"]["matrix"] == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
        assert scores["accuracy"] == scores["three_way"]["accuracy"] == intervals.measure_share(2, 3)
        assert scores["macro_f1"] == scores["three_way"]["macro_f1"]
        assert (scores["n"], scores["neutral_left_out"]) == (3, 0)
        assert scores.keys() == {*THREE_LABEL_PARTS} - {"baselines"}
    assert predictions.drop_neutral().labels.tolist() == [0, 1]  # of negative and positive the right one is likelier
    assert "f1" in score_split(predictions.drop_neutral(), None, None)
    two = SimpleNamespace(labels=["negative", "positive"], probabilities=lambda texts: probabilities[:1, :2])
    assert predict_split(two, table.slice(0, 1), "test").neutral is None


@given(ROWS, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_selected_predictions_keep_all_their_fields(rows, neutral: bool, topics: bool, shown: bool, data) -> None:
    positive, truth = map(list, zip(*rows, strict=True))
    more = {"neutral": np.arange(len(rows)) % 3 / 4 if neutral else None}
    more |= ({} if topics else {"topics": None}) | ({} if shown else {"shown": None})
    predictions = make(positive, truth, **more)
    expected = [int(share >= 0.5) for share, _ in rows]
    if neutral and 2 in truth:
        shares = [(1 - at % 3 / 4) * max(share, 1 - share) for at, (share, _) in enumerate(rows)]
        expected = [
            2 if at % 3 / 4 > share else side for at, (share, side) in enumerate(zip(shares, expected, strict=True))
        ]
    assert predictions.labels.tolist() == expected
    assert predictions.correct.tolist() == [side == label for side, label in zip(expected, truth, strict=True)]
    chosen = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    for part, at in (
        (predictions.select(np.array(chosen)), np.flatnonzero(chosen).tolist()),
        (predictions.drop_neutral(), [row for row, label in enumerate(truth) if label != 2]),
    ):
        assert list(zip(part.positive, part.truth, strict=True)) == [rows[row] for row in at]
        for name, has, field in (
            ("text", True, part.texts),
            ("topic", topics, part.topics),
            ("shown", shown, part.shown),
        ):
            assert field == ([f"{name} {row}" for row in at] if has else None)
        assert (part.neutral is None) == (not neutral)
        assert part.neutral is None or part.neutral.tolist() == [row % 3 / 4 for row in at]


@settings(max_examples=20)
@given(ROWS, SHARE, st.lists(SHARE, min_size=30, max_size=30))
def test_baselines_are_compared_on_the_same_tweets(rows, majority: float, shares: list[float]) -> None:
    predictions = make(*map(list, zip(*rows, strict=True)))
    binary = predictions.drop_neutral()
    if not len(binary.truth):
        return
    calls: list[list[str]] = []

    def predict(texts: list[str]) -> np.ndarray:
        calls.append(texts)
        positive = np.array(shares[: len(texts)])
        return np.column_stack([1 - positive, positive])

    class_shares = np.array([1 - majority, majority])
    assert [*score_split(predictions, None, Baselines(class_shares))["baselines"]] == ["majority"]
    lifts = score_split(predictions, None, Baselines(class_shares, predict))["baselines"]
    assert calls == [binary.texts]
    for name, positive in (("majority", [majority] * len(binary.truth)), ("tfidf", shares[: len(binary.truth)])):
        correct = (np.array(positive) >= 0.5) == (binary.truth == 1)
        both = intervals.compare_accuracy(binary.correct, correct, binary.truth)
        accuracy = intervals.measure_share(int(correct.sum()), len(correct))
        assert lifts[name] == {"accuracy": accuracy, "lift": both["difference"], "p_value": both["p_value"]}


def test_baselines_of_three_labels_are_compared_on_neutral_tweets_too() -> None:
    neutral = np.array([0.1, 0.9, 0.8, 0.1])
    predictions = make([0.1, 0.5, 0.5, 0.9], [0, 2, 2, 1], neutral=neutral)
    shares = np.array([[0.5, 0.2, 0.3], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2], [0.1, 0.3, 0.6]])
    baselines = score_split(predictions, None, Baselines(np.array([0.2, 0.3, 0.5]), lambda _: shares))["baselines"]
    assert (baselines["majority"]["accuracy"]["value"], baselines["tfidf"]["accuracy"]["value"]) == (0.5, 0.5)
    sides = predictions.drop_neutral()  # scored as negative or positive, whatever the share of neutral
    assert score_split(sides, None, Baselines(shares[0], lambda _: shares[[0, 3]]))["baselines"]["tfidf"]["accuracy"][
        "value"
    ] == pytest.approx(1.0)
