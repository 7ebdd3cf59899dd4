"""Classifiers of all families that ``pipeline`` takes are trained, scored, asked and exported, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from click.testing import Result
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors

from sentiment140_bert import models
from sentiment140_bert.data.clean import make_normalizer

S140 = Callable[..., Result]
VOCABULARY = 128
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?:;()@#'\""
WORDS = ["<pad>", "<unk>", "<s>", "</s>", "<mask>", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
PAD, START, END = 0, 2, 3
# Of the last one, which for some has no token at all, pipeline fails.
TEXTS = ["so good :)", "I hate this", "not that bad, is it? " * 3, "meh", ""]
SIZE, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 2, 64, 64
BERT = {
    **{"vocab_size": VOCABULARY, "hidden_size": SIZE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS},
    **{"intermediate_size": INNER, "max_position_embeddings": POSITIONS, "pad_token_id": PAD},
}
GPT = {"vocab_size": VOCABULARY, "n_embd": SIZE, "n_layer": LAYERS, "n_head": HEADS}
LLAMA = BERT | {"num_key_value_heads": HEADS, "head_dim": 16, "pad_token_id": None}
T5 = {
    **{"vocab_size": VOCABULARY, "d_model": SIZE, "d_kv": 16, "d_ff": INNER, "num_layers": LAYERS, "num_heads": HEADS},
    **{"pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": PAD},
}
BART = {
    **{"vocab_size": VOCABULARY, "d_model": SIZE, "encoder_layers": LAYERS, "decoder_layers": LAYERS},
    **{"encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS, "max_position_embeddings": POSITIONS},
    **{"encoder_ffn_dim": INNER, "decoder_ffn_dim": INNER, "pad_token_id": PAD, "eos_token_id": END},
}
WINDOWS = BERT | {"attention_window": [8] * LAYERS}
SIZES: dict[str, dict[str, Any]] = {
    "Bert": BERT,
    "Roberta": BERT,
    "DistilBert": {
        **{"vocab_size": VOCABULARY, "dim": SIZE, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": INNER},
        **{"max_position_embeddings": POSITIONS},
    },
    "XLMRoberta": BERT,
    "Camembert": BERT,
    "MobileBert": BERT | {"embedding_size": SIZE, "intra_bottleneck_size": 16},
    "Electra": BERT | {"embedding_size": 16},
    "DebertaV2": BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 16},
    "Albert": BERT | {"embedding_size": 16},
    "MPNet": BERT,
    "ModernBert": BERT | {"bos_token_id": START, "eos_token_id": END, "cls_token_id": START, "sep_token_id": END},
    "Funnel": {
        **{"vocab_size": VOCABULARY, "d_model": SIZE, "n_head": HEADS, "d_head": 16, "d_inner": INNER},
        **{"block_sizes": [1, 1], "num_decoder_layers": 1, "pad_token_id": PAD},
    },
    "BigBird": BERT | {"block_size": 8, "num_random_blocks": 1},
    "Longformer": WINDOWS,
    "XLNet": {"vocab_size": VOCABULARY, "d_model": SIZE, "n_layer": LAYERS, "n_head": HEADS, "d_inner": INNER},
    "GPT2": GPT,
    "Llama": LLAMA,
    "Qwen2": LLAMA,
    "OPT": {
        **{"vocab_size": VOCABULARY, "hidden_size": SIZE, "num_hidden_layers": LAYERS, "ffn_dim": INNER},
        **{"num_attention_heads": HEADS, "max_position_embeddings": POSITIONS, "word_embed_proj_dim": SIZE},
        **{"pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END},
    },
    "T5": T5,
    "MT5": T5,
    "Bart": BART,
}
DECODERS = {"GPT2", "Llama", "Qwen2"}  # whose tokenizers have neither padding nor signs of begin and end
AT_ONCE = {"XLNet", "GPT2", "T5"}  # of a short run of the tests
NO_PADDING = "Cannot handle batch sizes > 1 if no padding token is defined"
EXPORT_REFUSED = {
    **dict.fromkeys(("GPT2", "Llama", "Qwen2"), NO_PADDING),
    **{"Longformer": "torch cannot export", "XLNet": "torch cannot export", "Funnel": "cannot be used"},
    **dict.fromkeys(("T5", "MT5", "Bart"), "cannot be used"),  # they look for the end of a text, which a trial has not
}
TWEETS = (
    *("--dataset", "sample", "--manual-test", "none"),
    *("--max-samples", 60, "--validation-size", 16, "--test-size", 16),
)


def write_base(kind: str, folder: Path) -> Path:
    """Write a classifier with random weights and the tokenizer of its family."""
    transformers.set_seed(1)
    labels = {"id2label": {0: "POSITIVE", 1: "NEGATIVE"}, "label2id": {"POSITIVE": 0, "NEGATIVE": 1}}
    config = getattr(transformers, f"{kind}Config")(**SIZES[kind], **labels)
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    make_tokenizer(kind).save_pretrained(folder)
    return folder


def make_tokenizer(kind: str) -> transformers.PreTrainedTokenizerFast:
    backend = Tokenizer(tokenizers.models.WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    ends = [("<s>", START), ("</s>", END)]
    roles = {"unk_token": "<unk>", "eos_token": "</s>", "bos_token": "<s>"}
    template = "<s> $A </s>"
    if kind in DECODERS:
        return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **roles)
    if kind == "XLNet":
        template = "$A </s> <s>:2"
    elif kind in ("T5", "MT5"):
        template = "$A </s>"
    elif kind == "OPT":
        template = "<s> $A"
    backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=ends)
    roles |= {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    side = "left" if kind == "XLNet" else "right"
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, padding_side=side, **roles)


def ask_pipeline(folder: Path) -> list[tuple[str, float]]:
    classify = transformers.pipeline("text-classification", model=str(folder), device="cpu")
    return [(answer["label"], answer["score"]) for answer in (classify(text)[0] for text in TEXTS if text)]


def ask(s140: S140, model: Path) -> list[tuple[str, float]]:
    answers = json.loads(s140("predict", model, *TEXTS, "--json").stdout)["predictions"]
    assert len(answers) == len(TEXTS)
    return [(answer["label"], answer["score"]) for answer, text in zip(answers, TEXTS, strict=True) if text]


def check_answers(answers: list[tuple[str, float]], expected: list[tuple[str, float]]) -> None:
    assert [label for label, _ in answers] == [label for label, _ in expected]
    np.testing.assert_allclose([score for _, score in answers], [score for _, score in expected], atol=2e-4)


def train(s140: S140, base: Path, run: Path) -> str:
    steps = ("--max-steps", 1, "--per-device-train-batch-size", 8, "--report-to", "none", "--max-length", 24)
    words = ("--model-name-or-path", base, "--output-dir", run, *TWEETS, *steps, "--learning-rate", 1e-9)
    result: Result = s140("train", *words)
    return result.stderr


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in AT_ONCE else pytest.mark.long) for kind in SIZES]
)
def test_a_family(kind: str, tmp_path: Path, s140: S140) -> None:
    base, run = write_base(kind, tmp_path / "base"), tmp_path / "run"
    expected = ask_pipeline(base)
    assert {label for label, _ in expected} <= {"POSITIVE", "NEGATIVE"}
    check_answers(ask(s140, base), expected)
    assert "the rows of its head are reordered to match ours" in train(s140, base, run)
    check_answers(ask(s140, run), [(label.lower(), score) for label, score in expected])
    check_answers(ask(s140, run), ask_pipeline(run / "model"))
    (tmp_path / "t.csv").write_text("label,text\n" + "0,so bad\n1,so good\n" * 20)
    scored = json.loads(s140("evaluate", base, "--dataset", tmp_path / "t.csv", "--json").stdout)
    assert scored["splits"]["test"]["n"] == 40


def test_padding_that_would_change_answers_is_left_out(tmp_path: Path, s140: S140) -> None:
    """XLNet reads the last token, MobileBERT the next one: with padding on the right they would read that."""
    for kind, how in (
        ("XLNet", "with those of its length"),
        ("MobileBert", "with those of its length"),
        ("GPT2", "alone"),
    ):
        base = write_base(kind, tmp_path / kind)
        settings = json.loads((base / "tokenizer_config.json").read_text())
        (base / "tokenizer_config.json").write_text(json.dumps(settings | {"padding_side": "right"}))
        check_answers(ask(s140, base), ask_pipeline(base))
        assert f"takes no padding, so each text is computed {how}" in s140("predict", base, "a").stderr


def test_the_doctor_tries_a_model_with_ends_in_its_texts(tmp_path: Path, s140: S140) -> None:
    base = write_base("T5", tmp_path / "base")
    assert "verdict   ready" in s140("doctor", "--model-name-or-path", base, *TWEETS, "--max-length", 24).stdout


def test_a_model_gets_the_inputs_that_it_was_trained_with(tmp_path: Path) -> None:
    """XLNet's tokenizer gives its last token a type of its own, which training does not hand on."""
    base = write_base("XLNet", tmp_path / "base")
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    settings = json.loads((base / "tokenizer_config.json").read_text()) | {"model_input_names": inputs}
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    assert models.load_tokenizer(str(base)).model_input_names == inputs
    tokenizer = models.load_tokenizer(str(base), normalizer=make_normalizer("repair"))
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    assert tokenizer.padding_side == "left"


def test_a_text_that_cannot_be_batched_with_others(tmp_path: Path, s140: S140) -> None:
    """T5 takes no batch whose rows have different numbers of ends; a tweet may hold one."""
    base = write_base("T5", tmp_path / "base")
    mixed = ["so good", "so </s> good", "I hate this, do you", "</s></s>"]
    answers = json.loads(s140("predict", base, *mixed, "--json").stdout)["predictions"]
    classify = transformers.pipeline("text-classification", model=str(base), device="cpu")
    expected = [classify(text)[0] for text in mixed]
    check_answers(
        [(answer["label"], answer["score"]) for answer in answers], [(a["label"], a["score"]) for a in expected]
    )


def test_training_refuses_too_many_tokens_and_a_tokenizer_that_cannot_pad(tmp_path: Path, s140: S140) -> None:
    """RoBERTa's padding takes one of its 64 positions."""
    for kind, length, message in (
        ("Roberta", 64, "max_length: 64 is more than the model's limit of 63 tokens"),
        ("GPT2", 24, "has no padding token"),
    ):
        base = write_base(kind, tmp_path / kind)
        if kind == "GPT2":
            (base / "special_tokens_map.json").unlink(missing_ok=True)
            (base / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        words = (*TWEETS, "--max-length", length, "--model-name-or-path", base, "--output-dir", tmp_path / "run")
        assert message in s140("train", *words, code=1).stderr
        assert not (tmp_path / "run" / "recipe.yaml").exists()


@pytest.mark.long
@pytest.mark.parametrize("kind", SIZES)
def test_an_export_of_a_family(kind: str, tmp_path: Path, s140: S140) -> None:
    base, folder = write_base(kind, tmp_path / "base"), tmp_path / "export"
    refused = EXPORT_REFUSED.get(kind)
    result = s140("export", base, "--output", folder, code=1 if refused else 0)
    if refused:
        *_, sentence, hint = result.stderr.splitlines()
        assert sentence.startswith("Error: ")
        assert refused in sentence
        assert hint.startswith("The families of BERT")
        assert not folder.exists()
    else:
        check_answers(ask(s140, folder), ask_pipeline(base))
