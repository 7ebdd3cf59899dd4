from __future__ import annotations

import csv
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment140_bert.data.prepare import prepare
from sentiment140_bert.errors import DataError, RunError
from sentiment140_bert.evaluation import baseline
from sentiment140_bert.recipe import DataConfig

Tweets = tuple[list[str], np.ndarray]


def fit_and_save(tweets: str, to: Path) -> None:
    with Path(tweets).open(encoding="latin-1", newline="") as file:
        rows = list(csv.reader(file))
    baseline.fit([row[5] for row in rows], np.array([int(row[0] == "4") for row in rows])).save(to)


@pytest.fixture(scope="module")
def sample() -> dict[str, Tweets]:
    splits = prepare(DataConfig(dataset="sample")).splits()
    return {name: (list(split["text"]), np.array(split["label"])) for name, split in splits.items()}


@pytest.fixture(scope="module")
def fitted(sample: dict[str, Tweets]) -> baseline.Baseline:
    return baseline.fit(*sample["train"])


def test_it_answers_as_a_pipeline_of_scikit_learn(sample: dict[str, Tweets], fitted: baseline.Baseline) -> None:
    words = TfidfVectorizer(token_pattern=r"\w+(?:['’]\w+)*", ngram_range=(1, 2), sublinear_tf=True)
    pipeline = make_pipeline(words, LogisticRegression(solver="newton-cg")).fit(*sample["train"])
    texts = [*sample["test"][0], "", "zzzz never seen", "日本語 naïve café"]
    np.testing.assert_allclose(fitted.positive(texts), pipeline.predict_proba(texts)[:, 1], rtol=0, atol=1e-12)


def test_its_optimum_is_that_of_another_solver(sample: dict[str, Tweets], fitted: baseline.Baseline) -> None:
    words = TfidfVectorizer(token_pattern=r"\w+(?:['’]\w+)*", ngram_range=(1, 2), sublinear_tf=True)
    pipeline = make_pipeline(words, LogisticRegression(solver="lbfgs", tol=1e-8)).fit(*sample["train"])
    found = pipeline.predict_proba(sample["test"][0])[:, 1]
    np.testing.assert_allclose(fitted.positive(sample["test"][0]), found, atol=2e-3)


def test_its_accuracy_on_the_packaged_tweets(sample: dict[str, Tweets], fitted: baseline.Baseline) -> None:
    texts, labels = sample["test"]
    assert 0.62 < np.mean((fitted.positive(texts) >= 0.5) == labels) < 0.82
    assert 0.4 < baseline.majority(sample["train"][1]) < 0.6


def test_what_is_loaded_answers_as_what_was_saved(
    sample: dict[str, Tweets], fitted: baseline.Baseline, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "baseline.parquet")
    loaded = baseline.load(tmp_path / "baseline.parquet")
    texts = sample["test"][0]
    assert (loaded.positive(texts) == fitted.positive(texts)).all()
    assert [each.name for each in tmp_path.iterdir()] == ["baseline.parquet"]


def test_any_number_of_cores_gives_the_same(tmp_path: Path) -> None:
    """In a new process: the libraries read how many threads they may start while they are imported."""
    tweets = str(files("sentiment140_bert.data") / "sample" / "tweets.csv")
    cores = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "4")
    fit_and_save(tweets, tmp_path / "here")
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_baseline as this; "
    program += f"this.fit_and_save({tweets!r}, this.Path({str(tmp_path / 'there')!r}))"
    subprocess.run([sys.executable, "-c", program], env=os.environ | cores, check=True)
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()


def test_words_keep_their_apostrophes() -> None:
    texts = ["I don't like it", "i do like it", "we don’t", "4 u"] * 3
    terms = baseline.fit(texts, np.array([0, 1, 0, 1] * 3)).terms
    assert {"don't", "i don't", "don't like", "don’t", "i", "u", "4 u"} <= set(terms)
    assert "don" not in terms


def test_what_an_answer_rests_on_is_counted() -> None:
    fitted = baseline.fit(["very good", "very bad"], np.array([1, 0]))
    assert fitted.terms_in(["very good", "good, good", "unknown", ""]).tolist() == [3, 1, 0, 0]


def test_rare_terms_count_only_where_tweets_are_few() -> None:
    texts = [f"word{number} {'good' if number % 2 else 'bad'}" for number in range(baseline.MANY)]
    labels = np.arange(baseline.MANY) % 2
    assert list(baseline.fit(texts, labels).terms) == ["bad", "good"]
    assert "word7" in baseline.fit(texts[:100], labels[:100]).terms


def test_no_texts_no_answers(fitted: baseline.Baseline) -> None:
    assert fitted.positive([]).shape == (0,)


@pytest.mark.parametrize(
    ("texts", "labels", "said"),
    [(["good", "fine"], [1, 1], "one label only"), (["!!!", "??"], [0, 1], "no words to learn: empty vocabulary")],
)
def test_what_cannot_be_learned_from_is_refused(texts: list[str], labels: list[int], said: str) -> None:
    with pytest.raises(DataError, match=said):
        baseline.fit(texts, np.array(labels))


def test_a_damaged_file_is_named(fitted: baseline.Baseline, tmp_path: Path) -> None:
    file = tmp_path / "baseline.parquet"
    fitted.save(file)
    whole = file.read_bytes()
    for damaged in (b"", b"not parquet", whole[: len(whole) // 2], whole[:5000] + b"\0\0\0\0" + whole[5004:]):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match="is no baseline"):
            baseline.load(file)
    file.unlink()
    with pytest.raises(DataError, match="is no baseline"):
        baseline.load(file)


def test_a_file_of_another_version_is_not_used(
    fitted: baseline.Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.save(tmp_path / "baseline.parquet")
    monkeypatch.setattr(baseline, "FORMAT", baseline.FORMAT + 1)
    with pytest.raises(DataError, match="another version"):
        baseline.load(tmp_path / "baseline.parquet")


def test_where_nothing_can_be_written(fitted: baseline.Baseline, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        fitted.save(tmp_path / "file" / "baseline.parquet")


@pytest.mark.realdata
def test_its_accuracy_on_real_tweets(real_data: Path) -> None:
    data = DataConfig(dataset=str(real_data / "original_format_random.csv"), max_samples=22_000, manual_test="none")
    splits = prepare(data).splits()
    fitted = baseline.fit(list(splits["train"]["text"]), np.array(splits["train"]["label"]))
    held_out = splits["test"]
    accuracy = np.mean((fitted.positive(list(held_out["text"])) >= 0.5) == np.array(held_out["label"]))
    assert 0.74 < accuracy < 0.82
