from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sentiment140_bert.data import split
from sentiment140_bert.data.prepare import prepare
from sentiment140_bert.errors import DataError, MissingExtra
from sentiment140_bert.evaluation import noise
from sentiment140_bert.settings import DataConfig
from sentiment140_bert.workflows.cross_validation import by_baseline


def priorities(texts: list[str], seed: int) -> np.ndarray:
    return split.priorities(pa.chunked_array([pa.array(texts, pa.string())]), seed)


def test_folds_are_stratified_and_equal_texts_stay_together() -> None:
    texts = [f"text {number % 90}" for number in range(150)]  # 60 of them twice
    labels = np.array([int(number % 90 < 40) for number in range(150)])
    labels[95] = 1 - labels[5]  # one of the pairs carries both labels
    folds = noise.folds(priorities(texts, 1), labels, 4)
    assert set(folds) == {0, 1, 2, 3}
    for number in range(60):
        assert folds[number] == folds[number + 90]
    distinct = folds[:90]
    for label in (0, 1):
        sizes = np.bincount(distinct[labels[:90] == label])
        assert sizes.max() - sizes.min() <= 1 + (label == labels[5])


def test_folds_depend_on_texts_and_seed_alone() -> None:
    texts, labels = [f"text {number}" for number in range(100)], np.arange(100) % 2
    folds = noise.folds(priorities(texts, 1), labels, 5)
    order = np.random.default_rng(0).permutation(100)
    shuffled = noise.folds(priorities([texts[at] for at in order], 1), labels[order], 5)
    assert (shuffled == folds[order]).all()
    assert (noise.folds(priorities(texts, 2), labels, 5) != folds).any()


def test_more_folds_than_texts_of_a_label_are_refused() -> None:
    with pytest.raises(DataError, match=r"4 folds need 4 texts or more of each label; one label has 3\."):
        noise.folds(np.arange(10, dtype=np.uint64), np.array([1] * 3 + [0] * 7), 4)


def planted(n: int, rates: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, of which a share of each given label is wrong; the answers of one who knows; and which are wrong."""
    random = np.random.default_rng(3)
    given = np.arange(n) % 2
    wrong = random.random(n) < np.array(rates)[given]
    truth = np.where(wrong, 1 - given, given)
    return given, np.clip(random.normal(np.where(truth == 1, 0.9, 0.1), 0.01), 0.01, 0.99), wrong


def test_the_share_of_wrong_labels_is_estimated() -> None:
    labels, positive, wrong = planted(20_000, (0.05, 0.15))
    found = noise.find(labels, positive)
    assert found.rates == pytest.approx((0.05, 0.15), abs=0.005)
    assert set(found.suspects) == set(np.flatnonzero(wrong))
    assert (np.diff(found.quality[found.suspects]) >= 0).all()
    np.testing.assert_allclose(found.quality, np.where(labels == 1, positive, 1 - positive))


def test_where_nothing_is_contradicted_nobody_is_suspect() -> None:
    labels = np.arange(100) % 2
    found = noise.find(labels, np.where(labels == 1, 0.9, 0.1))
    assert len(found.suspects) == 0
    assert found.rates == (0, 0)


def test_without_cleanlab_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    with pytest.raises(MissingExtra, match=r"Looking for wrong labels needs the optional extra \[noise\]"):
        noise.find(np.array([0, 1]), np.array([0.1, 0.9]))


def lift(data: DataConfig, share: float) -> tuple[float, float, float]:
    """Flips a share of the training labels: how many times as frequent the flipped ones are among the suspects, and
    among the first ones of the list, as in all; and what share of them is found."""
    train = prepare(data).splits()["train"]
    labels = np.array(train["label"])
    flipped = np.zeros(len(labels), dtype=bool)
    flipped[np.random.default_rng(1).choice(len(labels), round(share * len(labels)), replace=False)] = True
    given = np.where(flipped, 1 - labels, labels)
    folds = noise.folds(priorities(list(train["text"]), 1), given, 5)
    found = noise.find(given, by_baseline({"text": train["text"], "label": given}, folds)).suspects
    precision, at_the_top = flipped[found].mean(), flipped[found[: flipped.sum() // 5]].mean()
    return precision / flipped.mean(), at_the_top / flipped.mean(), flipped[found].sum() / flipped.sum()


def test_flipped_labels_of_the_packaged_tweets_are_found() -> None:
    among_all, at_the_top, found = lift(DataConfig(dataset="sample"), 0.05)
    assert among_all > 2
    assert at_the_top > 3
    assert found > 0.4


def test_hardly_a_known_word_is_no_answer() -> None:
    texts = [f"{word} {at} very much" for word in ("good", "bad") for at in range(8)] + ["good", "unheard"]
    labels = np.array([1] * 8 + [0] * 8 + [1, 0])
    answers = by_baseline({"text": texts, "label": labels}, np.arange(18) % 2)
    assert answers[-2:].tolist() == [0.5, 0.5]
    assert (answers[:8] > 0.5).all()
    assert (answers[8:16] < 0.5).all()


@pytest.mark.realdata
def test_flipped_labels_of_real_tweets_are_found(real_data: Path) -> None:
    data = DataConfig(
        dataset=str(real_data / "original_format_random.csv"),
        max_samples=22_222,
        manual_test="none",
    )
    among_all, at_the_top, found = lift(data, 0.05)
    assert among_all > 3.5
    assert at_the_top > 7
    assert found > 0.45
