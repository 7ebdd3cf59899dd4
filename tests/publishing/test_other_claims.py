"""Scores that other people's cards state, in a model-index or in text, and their comparison with measurements."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment140_bert.publishing.checks import TRUE, UNCHECKED
from sentiment140_bert.publishing.claims import Claim, check_claim, read_model_index, read_text
from sentiment140_bert.schemas import SCORES


def split(**scores: float) -> dict[str, Any]:
    return {"n": 60} | {name: {"value": value} for name, value in scores.items()}


def from_index(metric: Any = "accuracy", value: Any = 0.8634, **dataset: Any) -> list[Claim]:
    """Return the claims of a model-index with one metric."""
    result = {"task": {"type": "text-classification"}, "dataset": {"type": "a/b", "name": "b"} | dataset}
    metrics = [{"type": metric, "value": value}]
    return list(read_model_index([{"name": "m", "results": [result | {"metrics": metrics}]}]))


VALUES = [
    (0.8634, 0.8634, 4),
    (0.86, 0.86, 2),
    (86.34, 0.8634, 4),
    (86, 0.86, 2),
    ("0.8634", 0.8634, 4),
    ("86.3%", 0.863, 3),
    ("86.3 %", 0.863, 3),
    ("0.5%", 0.005, 3),
    ("1%", 0.01, 2),
]


def test_a_model_index_is_read_with_the_digits_of_its_values() -> None:
    for value, share, digits in VALUES:
        (claim,) = from_index(value=value)
        assert (claim.value, claim.digits) == (pytest.approx(share), digits), value
    assert from_index("ROC AUC", split="test", revision="abc") == [
        Claim("model-index, test: roc_auc", "roc_auc", 0.8634, 4, "a/b", "test", "abc", "b")
    ]
    (loss,) = from_index("loss", 1.25)
    assert (loss.metric, loss.value, loss.digits) == ("log_loss", 1.25, 2)  # not a share
    assert tuple(from_index(name, 0.5)[0].metric for name in SCORES) == SCORES
    assert [from_index(metric) for metric in ("bleu", "wer", "", 3, None, ["accuracy"], {"a": 1})] == [[]] * 7
    values = [
        "high",
        "",
        None,
        [1],
        {"a": 1},
        True,
        math.nan,
        math.inf,
        "nan",
        "-inf",
        "1e999",
        "1e-99999999999999999999",
    ]
    assert [from_index(value=value) for value in values] == [[]] * len(values)


LINES = [
    ("- Accuracy: 0.8611", "accuracy", 0.8611, 4),
    ("Accuracy: 86.1%", "accuracy", 0.861, 3),
    ("* **Accuracy**: 86.1 %", "accuracy", 0.861, 3),
    ("**Accuracy:** 0.86", "accuracy", 0.86, 2),
    ("| Accuracy | 0.861 | 0.9 |", "accuracy", 0.861, 3),
    ("| F1 | 86.1% |", "f1", 0.861, 3),
    ("eval_accuracy = 0.91", "accuracy", 0.91, 2),
    ("- Loss: 0.3411", "log_loss", 0.3411, 4),
    ("- Matthews Correlation: 0.72", "matthews_correlation", 0.72, 2),
    ("ROC_AUC: 0.93", "roc_auc", 0.93, 2),
    ("accuracy: 0.5%", "accuracy", 0.005, 3),
]
NO_SCORE = [
    "The accuracy is what counts.",
    "Its accuracy: very high",
    "BLEU: 31.2",
    "Version: 0.86",
    "accuracy of 0.86",
]


def test_lines_of_text_are_read_as_scores() -> None:
    for line, metric, value, digits in LINES:
        (claim,) = read_text(f"# Model\n\n{line}\n\nmore text\n")
        assert (claim.metric, claim.value, claim.digits) == (metric, pytest.approx(value), digits), line
        assert claim.where.startswith("card text")
    for line in [*NO_SCORE, "| Training Loss | Epoch | Accuracy |"]:
        assert list(read_text(line)) == [], line
    for line in ("Loss: 5e-05", "Accuracy: 0,861", "Accuracy: 0.8.1"):  # whole or not at all: not 5, 0 and 0.8
        assert [claim.value for claim in read_text(line)] in ([], [pytest.approx(5e-05)], [pytest.approx(0.861)])


def test_reading_a_text_takes_work_that_grows_with_its_length() -> None:
    """Work that grows with the square would take minutes: the processor's time is compared, not the clock."""
    for text in ("\n", " \n", "-", "| - * ", "accuracy"):
        spent = []
        for length in (20_000, 200_000):
            before = time.process_time()
            assert list(read_text(text * (length // len(text)) + "x")) == []
            spent.append(time.process_time() - before)
        assert spent[1] < 40 * spent[0] + 0.5, (text, spent)


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(2, 6))
@example((173, 200), 2)  # 0.865, which some round up and some down
@example((1, 8), 2)
def test_a_true_score_is_true_in_any_rounding(counts: tuple[int, int], digits: int) -> None:
    right = counts[0] / counts[1]
    step = 10.0**-digits
    down, up = math.floor(round(right / step, 6)) * step, math.ceil(round(right / step, 6)) * step
    nearest = {round(right, digits), float(f"{right:.{digits}f}")}
    if abs((up - right) - (right - down)) < 1e-9:  # exactly between two
        nearest |= {up, down}
    for value in nearest:
        assert check_claim(Claim("x", "accuracy", value, digits), split(accuracy=right), 0.0).verdict == TRUE


def test_claims_that_cannot_be_measured() -> None:
    """A score that is missing, and a score of three classes where two were measured."""
    for metric, measured in (
        ("roc_auc", split(accuracy=0.8)),
        ("accuracy", {}),
        ("accuracy", split(accuracy=0.9) | {"neutral_left_out": 20}),
    ):
        check = check_claim(Claim("x", metric, 0.8, 2), measured, 0.001)
        assert (check.verdict, check.measured) == (UNCHECKED, None)
