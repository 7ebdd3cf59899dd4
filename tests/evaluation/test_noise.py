"""Folds that keep texts together, and labels that out-of-sample answers contradict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.data import clean
from sentiment140_bert.data.pipeline import prepare_splits
from sentiment140_bert.errors import DataError
from sentiment140_bert.experiments.label_issues import suspects as label_issues
from sentiment140_bert.experiments.label_issues.cross_validation import predict_by_baseline
from sentiment140_bert.recipe import DataConfig


def priorities(texts: list[str], seed: int) -> np.ndarray:
    return clean.hash_keys(pa.chunked_array([pa.array(texts, pa.string())]), seed)


@given(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 1)), max_size=60), st.integers(2, 5))
def test_texts_are_dealt_out_by_priority_within_their_stratum(rows: list[tuple[int, int]], count: int) -> None:
    """Stratify by texts of one label, of the other, and of both; keep equal texts together."""
    labels_of: dict[int, set[int]] = {}
    for priority, label in rows:
        labels_of.setdefault(priority, set()).add(label)
    strata = [sorted(text for text, labels in labels_of.items() if labels == kind) for kind in ({0}, {1}, {0, 1})]
    priorities, labels = (np.array([row[at] for row in rows], dtype=kind) for at, kind in ((0, np.uint64), (1, int)))
    fewest = next((len(texts) for texts in strata[:2] if len(texts) < count), None)
    if fewest is not None:
        message = rf"{count} folds need {count} texts or more of each label; one label has {fewest}\."
        with pytest.raises(DataError, match=message):
            label_issues.split_folds(priorities, labels, count)
        return
    expected = {text: at % count for texts in strata for at, text in enumerate(texts)}
    assert label_issues.split_folds(priorities, labels, count).tolist() == [expected[priority] for priority, _ in rows]


def test_folds_depend_on_texts_and_seed_alone() -> None:
    texts, labels = [f"text {number}" for number in range(100)], np.arange(100) % 2
    folds = label_issues.split_folds(priorities(texts, 1), labels, 5)
    order = np.random.default_rng(0).permutation(100)
    shuffled = label_issues.split_folds(priorities([texts[at] for at in order], 1), labels[order], 5)
    assert (shuffled == folds[order]).all()
    assert (label_issues.split_folds(priorities(texts, 2), labels, 5) != folds).any()


def planted(n: int, rates: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels of which a share is wrong, the answers of a model that knows the truth, and which are wrong."""
    random = np.random.default_rng(3)
    labels = np.arange(n) % 2
    wrong = random.random(n) < np.array(rates)[labels]
    truth = np.where(wrong, 1 - labels, labels)
    return labels, np.clip(random.normal(np.where(truth == 1, 0.9, 0.1), 0.01), 0.01, 0.99), wrong


def test_the_share_of_wrong_labels_is_estimated() -> None:
    labels, positive, wrong = planted(20_000, (0.05, 0.15))
    issues = label_issues.find_label_issues(labels, positive)
    assert issues.rates == pytest.approx((0.05, 0.15), abs=0.005)
    assert set(issues.rows) == set(np.flatnonzero(wrong))
    assert (np.diff(issues.quality[issues.rows]) >= 0).all()
    np.testing.assert_allclose(issues.quality, np.where(labels == 1, positive, 1 - positive))


@pytest.mark.parametrize("seed", range(4))
def test_confident_learning_by_its_definition(seed: int) -> None:
    """Draw answers as unsure as real ones: the threshold of a label is the mean answer of the rows that have it.

    A row is counted for the likelier one of the labels whose thresholds it reaches (Northcutt, Jiang and Chuang 2021,
    equations 1 and 2); the rates are those of these counts.
    """
    random = np.random.default_rng(seed)
    n = 4_000
    labels = (random.random(n) < (0.3, 0.5, 0.5, 0.8)[seed]).astype(int)
    truth = np.where(random.random(n) < 0.1, 1 - labels, labels)
    positive = 1 / (1 + np.exp(-random.normal(np.where(truth == 1, 0.8, -0.6), 1.0)))
    answers = np.column_stack([1 - positive, positive])
    thresholds = [answers[labels == label, label].mean() for label in (0, 1)]
    joint, suspects = np.zeros((2, 2)), []
    for row, label in enumerate(labels):
        reached = [side for side in (0, 1) if answers[row, side] >= thresholds[side] - 1e-6]
        if reached:
            side = max(reached, key=lambda one: answers[row, one])
            joint[label, side] += 1
            if side != label and answers[row, side] > answers[row, label]:
                suspects.append(row)
    issues = label_issues.find_label_issues(labels, positive)
    quality = np.where(labels == 1, positive, 1 - positive)
    assert issues.rows.tolist() == sorted(suspects, key=lambda row: quality[row])
    np.testing.assert_allclose(issues.quality, quality)
    assert issues.rates == pytest.approx([joint[label, 1 - label] / joint[label].sum() for label in (0, 1)], abs=2e-3)


def test_finds_no_suspects_where_no_label_is_contradicted() -> None:
    labels = np.arange(100) % 2
    issues = label_issues.find_label_issues(labels, np.where(labels == 1, 0.9, 0.1))
    assert len(issues.rows) == 0
    assert issues.rates == (0, 0)


def lift(data: DataConfig, share: float) -> tuple[float, float, float]:
    """Flip a share of the training labels and search for them.

    Return how many times as frequent the flipped ones are among all suspects, and among the first of the list, as in
    all labels; and the share of them that is found.
    """
    train = prepare_splits(data).splits()["train"]
    labels = np.array(train["label"])
    flipped = np.zeros(len(labels), dtype=bool)
    flipped[np.random.default_rng(1).choice(len(labels), round(share * len(labels)), replace=False)] = True
    noisy = np.where(flipped, 1 - labels, labels)
    folds = label_issues.split_folds(priorities(list(train["text"]), 1), noisy, 5)
    suspects = label_issues.find_label_issues(
        noisy, predict_by_baseline({"text": train["text"], "label": noisy}, folds)
    ).rows
    precision, at_the_top = flipped[suspects].mean(), flipped[suspects[: flipped.sum() // 5]].mean()
    return precision / flipped.mean(), at_the_top / flipped.mean(), flipped[suspects].sum() / flipped.sum()


def test_flipped_labels_of_the_packaged_tweets_are_found() -> None:
    among_all, at_the_top, recall = lift(DataConfig(dataset="sample"), 0.05)
    assert among_all > 2
    assert at_the_top > 3
    assert recall > 0.4


def test_a_text_without_known_words_is_undecided() -> None:
    texts = [f"{word} {at} very much" for word in ("good", "bad") for at in range(8)] + ["good", "unheard"]
    labels = np.array([1] * 8 + [0] * 8 + [1, 0])
    answers = predict_by_baseline({"text": texts, "label": labels}, np.arange(18) % 2)
    assert answers[-2:].tolist() == [0.5, 0.5]
    assert (answers[:8] > 0.5).all()
    assert (answers[8:16] < 0.5).all()


@pytest.mark.long
@pytest.mark.realdata
def test_flipped_labels_of_real_tweets_are_found(real_data: Path) -> None:
    data = DataConfig(dataset=str(real_data / "original_format_random.csv"), max_samples=22_222, manual_test="none")
    among_all, at_the_top, recall = lift(data, 0.05)
    assert among_all > 3.5
    assert at_the_top > 7
    assert recall > 0.45
