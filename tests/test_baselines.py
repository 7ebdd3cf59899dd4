"""The baseline that lies beside prepared data."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.data.prepare import prepare
from sentiment140_bert.evaluation import baseline
from sentiment140_bert.settings import DataConfig
from sentiment140_bert.workflows.baselines import FILE, baseline_of, positive_of

MAKE = """
from sentiment140_bert.data.prepare import prepare
from sentiment140_bert.settings import DataConfig
from sentiment140_bert.workflows.baselines import baseline_of
print(repr(baseline_of(prepare(DataConfig(dataset="sample"))).intercept))
"""


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


def test_two_processes_at_once(prepared: Prepared) -> None:
    started = [subprocess.Popen([sys.executable, "-c", MAKE], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=120)[0] for each in started]
    assert [each.returncode for each in started] == [0, 0]
    assert said == [f"{baseline.load(prepared.folder / FILE).intercept!r}\n"] * 2
    assert not list(prepared.folder.glob(f".{FILE}*"))


def test_raw_texts_are_cleaned_as_the_training_split_was(prepared: Prepared) -> None:
    made = baseline_of(prepared)
    raw = "@someone I love it &amp; http://example.com/x"
    cleaned = made.positive(["@user I love it & http"])
    assert positive_of(made, prepared, [raw]) == cleaned
    assert positive_of(made, prepared, ["@user I love it & http"]) == cleaned
    assert made.positive([raw]) != cleaned
    assert positive_of(made, prepared, []).shape == (0,)
