"""What becomes of the head of a base model: its rows keep their meaning, or are new, and that is said."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from sentiment140_bert import load_classifier, models
from sentiment140_bert.errors import ModelError

pytest_plugins = "model_fixtures"

TEXTS = ["so good", "a sad day", "what a day as long as it was sad"]
KEPT, TURNED, NEW = "kept", "turned", "new"
HEADS: dict[tuple[str, ...], tuple[str, str]] = {
    ("negative", "positive"): (KEPT, ""),
    ("NEG", "POS"): (KEPT, ""),
    ("LABEL_0", "LABEL_1"): (KEPT, "labels have no names: read LABEL_0 as negative, LABEL_1 as positive"),
    ("POSITIVE", "NEGATIVE"): (TURNED, "its labels are POSITIVE, NEGATIVE; the rows of its head are put in our order"),
    ("5 stars", "1 star"): (TURNED, "the rows of its head are put in our order"),
    ("entailment", "not_entailment"): (NEW, "its head has the labels entailment, not_entailment; the head is new"),
    ("negative", "neutral", "positive"): (NEW, "its head has the labels negative, neutral, positive; the head is new"),
    ("1 star", "2 stars", "3 stars", "4 stars", "5 stars"): (NEW, "the head is new"),
    ("score",): (NEW, "its head has the labels score; the head is new"),
}


def load_head(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    model = models.load_encoder(str(folder))
    assert model.config.id2label == {0: "negative", 1: "positive"}
    return model.classifier.weight.detach(), model.classifier.bias.detach()


@pytest.mark.parametrize("labels", HEADS, ids=" ".join)
def test_rows_keep_their_meaning_or_are_new(
    labels: tuple[str, ...], small_bert: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    outcome, said = HEADS[labels]
    folder = small_bert(labels=labels)
    theirs = load_file(folder / "model.safetensors")
    with caplog.at_level(logging.INFO, "sentiment140_bert"):
        weight, bias = load_head(folder)
    assert said in caplog.text
    assert bool(caplog.text) == bool(said)
    if outcome == NEW:
        assert weight.shape == (2, 32)
        assert not any(torch.equal(row, other) for row in weight for other in theirs["classifier.weight"])
        assert bias.tolist() == [0, 0]
        assert torch.equal(load_head(folder)[0], weight)  # the seed decides
        model = models.load_encoder(str(folder), seed=7)
        assert not torch.equal(model.classifier.weight, weight)
        query = "bert.encoder.layer.0.attention.self.query.weight"
        assert torch.equal(model.state_dict()[query], theirs[query])
    else:
        order = [0, 1] if outcome == KEPT else [1, 0]
        assert torch.equal(weight, theirs["classifier.weight"][order])
        assert torch.equal(bias, theirs["classifier.bias"][order])


def test_nothing_is_said_of_an_encoder_without_a_head(
    small_bert: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    for labels in (("negative", "positive"), ("POSITIVE", "NEGATIVE"), ("a", "b", "c")):
        folder = small_bert("BertModel", labels=labels)
        with caplog.at_level(logging.INFO, "sentiment140_bert"):
            weight, _ = load_head(folder)
        assert (weight.shape, caplog.text) == ((2, 32), "")


def rewrite_config(folder: Path, **changes: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def test_labels_that_make_no_sense_get_a_new_head(
    small_bert: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    for named in ({"0": "negative", "2": "positive"}, {"-1": "a", "0": "b"}, {"0": "a", "1": "a"}, 7):
        folder = rewrite_config(small_bert(), id2label=named)
        caplog.clear()
        with caplog.at_level(logging.INFO, "sentiment140_bert"):
            load_head(folder)
        assert "the labels that make no sense; the head is new" in caplog.text


def test_a_new_head_hides_no_other_weights_of_a_wrong_shape(small_bert: Callable[..., Path]) -> None:
    for labels in (("negative", "positive"), ("a", "b", "c")):
        folder = rewrite_config(small_bert(labels=labels), intermediate_size=48)
        with pytest.raises(ModelError, match="its weights do not have the shapes"):
            models.load_encoder(str(folder))


def test_another_kind_of_problem_is_not_kept(small_bert: Callable[..., Path]) -> None:
    folder = rewrite_config(small_bert(), problem_type="multi_label_classification")
    assert models.load_encoder(str(folder)).config.problem_type is None
    assert models.build_untrained(str(folder)).config.problem_type is None


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (("negative", "positive"), "multi_label_classification"),
        (("negative", "positive"), "single_label_classification"),
        (("positive",), None),
        (("a", "b", "c"), None),
    ],
)
def test_scores_are_those_of_pipeline(
    labels: tuple[str, ...], problem: str | None, small_bert: Callable[..., Path]
) -> None:
    folder = rewrite_config(small_bert(labels=labels), problem_type=problem)
    expected = transformers.pipeline("text-classification", model=str(folder), device="cpu")(TEXTS)
    found = [*load_classifier(str(folder)).predict(TEXTS)]
    assert [answer.label for answer in found] == [answer["label"] for answer in expected]
    np.testing.assert_allclose([answer.score for answer in found], [answer["score"] for answer in expected], rtol=1e-4)


def test_a_regression_is_no_classifier(small_bert: Callable[..., Path]) -> None:
    for labels in (("score",), ("negative", "positive")):
        folder = rewrite_config(small_bert(labels=labels), problem_type="regression")
        with pytest.raises(ModelError, match="is no classifier"):
            load_classifier(str(folder))
