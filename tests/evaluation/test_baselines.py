"""The baseline that lies beside prepared data."""

from __future__ import annotations

import logging
import os
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from command_line import FORKS
from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.data.prepare import prepare
from sentiment140_bert.evaluation import baseline
from sentiment140_bert.evaluation.baselines import FILE, baseline_of, positive_of
from sentiment140_bert.recipe import DataConfig


def make(cache: str, both: Barrier, answers: SimpleQueue[float]) -> None:
    """Make the baseline of the packaged tweets in a process of its own, at the same time as another one."""
    os.environ["S140_CACHE"] = cache
    prepared = prepare(DataConfig(dataset="sample"))
    both.wait()
    answers.put(baseline_of(prepared).intercept)


@pytest.fixture
def prepared(cache: Path) -> Prepared:
    return prepare(DataConfig(dataset="sample"))


def test_it_is_trained_on_the_training_split_and_kept(prepared: Prepared, caplog: pytest.LogCaptureFixture) -> None:
    train = prepared.splits()["train"]
    expected = baseline.fit(list(train["text"]), np.array(train["label"]))
    with caplog.at_level(logging.INFO, "sentiment140_bert"):
        made, found = baseline_of(prepared), baseline_of(prepared)
    assert caplog.text.count("baseline: TF-IDF and logistic regression on 1,293 tweets") == 1
    assert (prepared.folder / FILE).is_file()
    texts = list(prepared.splits()["test"]["text"])
    for each in (made, found):
        assert (each.positive(texts) == expected.positive(texts)).all()


def test_the_prepared_data_are_found_again_beside_it(prepared: Prepared) -> None:
    baseline_of(prepared)
    again = prepare(DataConfig(dataset="sample"))
    assert again.cached
    assert again.splits()["train"]["text"][:] == prepared.splits()["train"]["text"][:]


def test_a_damaged_one_is_made_anew_and_that_is_said(prepared: Prepared, caplog: pytest.LogCaptureFixture) -> None:
    made = baseline_of(prepared)
    file = prepared.folder / FILE
    file.write_bytes(file.read_bytes()[:100])
    with caplog.at_level(logging.INFO, "sentiment140_bert"):
        again = baseline_of(prepared)
    assert "is no baseline" in caplog.text
    assert "It is made anew." in caplog.text
    assert (again.coefficients == made.coefficients).all()
    assert (baseline.load(file).coefficients == made.coefficients).all()


def test_where_it_cannot_be_kept_it_still_answers(prepared: Prepared, caplog: pytest.LogCaptureFixture) -> None:
    (prepared.folder / FILE).mkdir()  # a folder is in its way
    with caplog.at_level(logging.WARNING, "sentiment140_bert"):
        assert len(baseline_of(prepared).positive(["good"])) == 1
    assert "baseline: not kept:" in caplog.text


def test_two_processes_at_once(prepared: Prepared, cache: Path) -> None:
    both, answers = FORKS.Barrier(2), FORKS.SimpleQueue()
    started = [FORKS.Process(target=make, args=(str(cache), both, answers)) for _ in range(2)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0, 0]
    assert [answers.get() for _ in started] == [baseline.load(prepared.folder / FILE).intercept] * 2
    assert not list(prepared.folder.glob(f".{FILE}*"))


def test_raw_texts_are_cleaned_as_the_training_split_was(prepared: Prepared) -> None:
    made = baseline_of(prepared)
    raw = "@someone I love it &amp; http://example.com/x"
    cleaned = made.positive(["@user I love it & http"])
    assert positive_of(made, prepared, [raw]) == cleaned
    assert positive_of(made, prepared, ["@user I love it & http"]) == cleaned
    assert made.positive([raw]) != cleaned
    assert positive_of(made, prepared, []).shape == (0,)
