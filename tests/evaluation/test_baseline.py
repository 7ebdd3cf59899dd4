"""The TF-IDF baseline: fitted, saved, and kept with the prepared data that it was trained on."""

from __future__ import annotations

import csv
import logging
import os
import subprocess
import sys
from importlib.resources import files
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from command_line import FORKS
from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.data.pipeline import prepare_splits
from sentiment140_bert.errors import DataError, RunError
from sentiment140_bert.evaluation import baseline
from sentiment140_bert.evaluation.baseline import (
    FILE,
    FORMAT,
    MANY_TWEETS,
    Baseline,
    fit_baseline,
    load_baseline,
    load_or_fit_baseline,
    predict_raw,
)
from sentiment140_bert.recipe import DataConfig

Tweets = tuple[list[str], np.ndarray]


def fit_and_save(tweets: str, file: Path) -> None:
    with Path(tweets).open(encoding="latin-1", newline="") as lines:
        rows = list(csv.reader(lines))
    fit_baseline([row[5] for row in rows], np.array([int(row[0] == "4") for row in rows])).save(file)


@pytest.fixture(scope="module")
def sample() -> dict[str, Tweets]:
    splits = prepare_splits(DataConfig(dataset="sample")).splits()
    return {name: (list(split["text"]), np.array(split["label"])) for name, split in splits.items()}


@pytest.fixture(scope="module")
def fitted(sample: dict[str, Tweets]) -> Baseline:
    return fit_baseline(*sample["train"])


def test_it_is_a_pipeline_of_scikit_learn_at_the_optimum(sample: dict[str, Tweets], fitted: Baseline) -> None:
    texts = [*sample["test"][0], "", "zzzz never seen", "日本語 naïve café"]
    for solver, tolerance in ((LogisticRegression(solver="newton-cg"), 1e-12), (LogisticRegression(tol=1e-8), 2e-3)):
        words = TfidfVectorizer(token_pattern=r"\w+(?:['’]\w+)*", ngram_range=(1, 2), sublinear_tf=True)
        expected = make_pipeline(words, solver).fit(*sample["train"]).predict_proba(texts)
        np.testing.assert_allclose(fitted.probabilities(texts), expected, rtol=0, atol=tolerance)
    assert fitted.probabilities([]).shape == (0, 2)


def test_of_three_labels_it_is_a_pipeline_of_scikit_learn(sample: dict[str, Tweets], tmp_path: Path) -> None:
    texts, labels = [*sample["train"][0], *["meeting at noon", "the bus leaves at six"] * 50], sample["train"][1]
    labels = np.concatenate([labels, np.full(100, 2)])
    words = TfidfVectorizer(token_pattern=r"\w+(?:['’]\w+)*", ngram_range=(1, 2), sublinear_tf=True)
    expected = make_pipeline(words, LogisticRegression(solver="newton-cg")).fit(texts, labels).predict_proba(texts)
    model = fit_baseline(texts, labels)
    np.testing.assert_allclose(model.probabilities(texts), expected, rtol=0, atol=1e-12)
    model.save(tmp_path / FILE)
    assert (load_baseline(tmp_path / FILE).probabilities(texts) == model.probabilities(texts)).all()
    assert model.probabilities([]).shape == (0, 3)


def test_its_accuracy_on_the_packaged_tweets(sample: dict[str, Tweets], fitted: Baseline) -> None:
    texts, labels = sample["test"]
    assert 0.62 < np.mean((fitted.probabilities(texts)[:, 1] >= 0.5) == labels) < 0.82
    assert 0.4 < np.mean(sample["train"][1]) < 0.6


@pytest.mark.realdata
def test_its_accuracy_on_real_tweets(real_data: Path) -> None:
    data = DataConfig(dataset=str(real_data / "original_format_random.csv"), max_samples=22_000, manual_test="none")
    splits = prepare_splits(data).splits()
    model = fit_baseline(list(splits["train"]["text"]), np.array(splits["train"]["label"]))
    accuracy = np.mean(
        (model.probabilities(list(splits["test"]["text"]))[:, 1] >= 0.5) == np.array(splits["test"]["label"])
    )
    assert 0.74 < accuracy < 0.82


def test_any_number_of_cores_gives_the_same_file(tmp_path: Path) -> None:
    """Start new processes: the libraries read the number of their threads while they are imported."""
    tweets = str(files("sentiment140_bert.data") / "sample" / "tweets.csv")
    cores = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "4")
    fit_and_save(tweets, tmp_path / "here")
    program = f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}; import test_baseline as this; "
    program += f"this.fit_and_save({tweets!r}, this.Path({str(tmp_path / 'there')!r}))"
    subprocess.run([sys.executable, "-c", program], env=os.environ | cores, check=True)
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()


def test_words_keep_their_apostrophes_and_rare_ones_count_where_tweets_are_few() -> None:
    terms = fit_baseline(["I don't like it", "i do like it", "we don’t", "4 u"] * 3, np.array([0, 1, 0, 1] * 3)).terms
    assert {"don't", "i don't", "don't like", "don’t", "i", "u", "4 u"} <= {*terms} - {"don"} == {*terms}
    texts, labels = [f"word{at} {'good' if at % 2 else 'bad'}" for at in range(MANY_TWEETS)], np.arange(MANY_TWEETS) % 2
    assert list(fit_baseline(texts, labels).terms) == ["bad", "good"]
    assert "word7" in fit_baseline(texts[:100], labels[:100]).terms


def test_terms_of_a_text_are_counted() -> None:
    model = fit_baseline(["very good", "very bad"], np.array([1, 0]))
    assert model.terms_in(["very good", "good, good", "unknown", ""]).tolist() == [3, 1, 0, 0]


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["good", "fine"], [1, 1], "all have the same label"),
        (["!!!", "??"], [0, 1], "no words to learn: empty vocabulary"),
    ],
)
def test_texts_without_anything_to_learn_are_refused(texts: list[str], labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_baseline(texts, np.array(labels))


def test_a_saved_baseline_is_loaded_bit_for_bit_or_refused(
    sample: dict[str, Tweets], fitted: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / FILE
    fitted.save(file)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (load_baseline(file).probabilities(sample["test"][0]) == fitted.probabilities(sample["test"][0])).all()
    with pytest.raises(RunError, match="cannot be written"):
        fitted.save(file / FILE)
    whole = file.read_bytes()
    for damaged in (b"", b"not parquet", whole[: len(whole) // 2], whole[:5000] + b"\0\0\0\0" + whole[5004:], None):
        file.write_bytes(damaged) if damaged is not None else file.unlink()
        with pytest.raises(DataError, match="is not a baseline"):
            load_baseline(file)
    file.write_bytes(whole)
    monkeypatch.setattr(baseline, "FORMAT", FORMAT + 1)
    with pytest.raises(DataError, match="another version"):
        load_baseline(file)


# ---- kept with prepared data


@pytest.fixture
def prepared(cache: Path) -> Prepared:
    return prepare_splits(DataConfig(dataset="sample"))


def test_it_is_fitted_once_and_again_if_it_is_damaged(prepared: Prepared, caplog: pytest.LogCaptureFixture) -> None:
    train, texts = prepared.splits()["train"], list(prepared.splits()["test"]["text"])
    expected = fit_baseline(list(train["text"]), np.array(train["label"])).probabilities(texts)
    fits = "baseline: TF-IDF and logistic regression on 1,293 tweets"
    with caplog.at_level(logging.INFO, "sentiment140_bert"):
        for _ in range(2):
            assert (load_or_fit_baseline(prepared).probabilities(texts) == expected).all()
        assert caplog.text.count(fits) == 1
        file = prepared.folder / FILE
        file.write_bytes(file.read_bytes()[:100])
        assert (load_or_fit_baseline(prepared).probabilities(texts) == expected).all()
    assert "is not a baseline" in caplog.text
    assert "It is fitted again." in caplog.text
    assert caplog.text.count(fits) == 2
    assert (load_baseline(file).probabilities(texts) == expected).all()
    again = prepare_splits(DataConfig(dataset="sample"))
    assert again.cached
    assert again.splits()["train"]["text"][:] == train["text"][:]


def test_a_read_only_folder_is_not_an_error(prepared: Prepared, caplog: pytest.LogCaptureFixture) -> None:
    (prepared.folder / FILE).mkdir()  # a folder is in its way
    with caplog.at_level(logging.WARNING, "sentiment140_bert"):
        assert len(load_or_fit_baseline(prepared).probabilities(["good"])) == 1
    assert "baseline: not saved:" in caplog.text


def fit_at_once(cache: str, both: Barrier, intercepts: SimpleQueue[float]) -> None:
    os.environ["S140_CACHE"] = cache
    data = prepare_splits(DataConfig(dataset="sample"))
    both.wait()
    intercepts.put(float(load_or_fit_baseline(data).intercepts[0]))


def test_two_processes_fit_it_at_once(prepared: Prepared, cache: Path) -> None:
    both, intercepts = FORKS.Barrier(2), FORKS.SimpleQueue()
    processes = [FORKS.Process(target=fit_at_once, args=(str(cache), both, intercepts)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert [intercepts.get() for _ in processes] == [float(load_baseline(prepared.folder / FILE).intercepts[0])] * 2
    assert not list(prepared.folder.glob(f".{FILE}*"))


def test_raw_texts_get_the_cleaning_of_the_training_split(prepared: Prepared) -> None:
    model = load_or_fit_baseline(prepared)
    raw, clean = "@someone I love it &amp; http://example.com/x", "@user I love it & http"
    expected = model.probabilities([clean]).tolist()
    assert predict_raw(model, prepared, [raw]).tolist() == predict_raw(model, prepared, [clean]).tolist() == expected
    assert expected != model.probabilities([raw]).tolist()
    assert predict_raw(model, prepared, []).shape == (0, 2)
