"""Encoders of other families than BERT's, as they lie on the Hub, go the whole way: train, resume, export, publish.

Each is a tiny one with random weights and the kind of tokenizer, settings and weights file of the model it is named
by.
"""

from __future__ import annotations

import json
import shlex
import signal
import string
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tokenizers
import torch
import transformers
from click.testing import Result
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers

from hub_server import HubServer
from killing import same, trained
from on_hub import BOTH, MODEL
from tiny_run import flags

pytest_plugins = "hub_fixtures"

S140 = Callable[..., Result]
VOCABULARY = 600
TWEETS = (files("sentiment140_bert.data") / "sample" / "tweets.csv").read_text("latin-1").splitlines()
TEXTS = ["so good :)", "I hate this, @somebody", "caf\u00e9 &lt;3 http://example.com", ""]
SMALL = {
    **{"vocab_size": VOCABULARY + 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"intermediate_size": 64, "initializer_range": 0.2, "max_position_embeddings": 514},
}


# ---- tokenizers, in the files that these models have


def write_word_pieces(folder: Path) -> None:
    """``vocab.txt``, as of BERT, ELECTRA and DistilBERT."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(TWEETS, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special))
    tokenizer.model.save(str(folder))
    write_settings(folder, do_lower_case=True)


def train_byte_pairs(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TWEETS, trainer)
    return tokenizer


def write_byte_pairs(folder: Path) -> None:
    """``vocab.json`` and ``merges.txt`` without settings, as of twitter-roberta-base."""
    train_byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]).model.save(str(folder))


def write_modern_tokenizer(folder: Path) -> None:
    """``tokenizer.json`` of byte pairs with BERT's special tokens."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    tokenizer = train_byte_pairs(special)
    tokenizer.normalizer = normalizers.NFC()
    ends = [("[CLS]", 1), ("[SEP]", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {f"{token[1:-1].lower()}_token": token for token in special}
    inputs = ["input_ids", "attention_mask"]
    write_settings(folder, tokenizer_class="PreTrainedTokenizerFast", model_input_names=inputs, **roles)


def write_unigram(folder: Path) -> None:
    """``tokenizer.json`` of a Unigram model, as of XLM-R."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(tokenizers.models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    alphabet = [*string.printable]
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY, special_tokens=special, unk_token="<unk>", initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TWEETS, trainer)
    tokenizer.add_special_tokens(["<mask>"])
    ends = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_settings(folder, tokenizer_class="XLMRobertaTokenizer", model_max_length=512)


def write_sentence_pieces(name: str, **special: Any) -> Callable[[Path], None]:
    """A model of the library SentencePiece, and no ``tokenizer.json``, as of DeBERTa-v3."""

    def write(folder: Path) -> None:
        library = pytest.importorskip("sentencepiece", reason="the extra sentencepiece is not installed")
        library.SentencePieceTrainer.train(
            sentence_iterator=iter(TWEETS), model_prefix=str(folder / "made"), vocab_size=VOCABULARY,
            character_coverage=1.0, minloglevel=2, **special,
        )  # fmt: skip
        (folder / "made.model").rename(folder / name)
        (folder / "made.vocab").unlink()

    return write


def write_settings(folder: Path, **settings: Any) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


# ---- families


class Family(NamedTuple):
    """A kind of model: the name of its classes in transformers, its config, its tokenizer, its file of weights."""

    kind: str
    config: dict[str, Any]
    write_tokenizer: Callable[[Path], None]
    pickled: bool = False


ROBERTA = SMALL | {"type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
DEBERTA_V3 = SMALL | {
    **{"relative_attention": True, "position_buckets": 256, "max_relative_positions": -1, "type_vocab_size": 0},
    **{"norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": "p2c|c2p", "pad_token_id": 0},
    **{"position_biased_input": False, "max_position_embeddings": 512, "pooler_hidden_size": 32, "pooler_dropout": 0},
}
MODERN = SMALL | {
    **{"num_hidden_layers": 4, "max_position_embeddings": 8192, "local_attention": 8, "classifier_pooling": "mean"},
    **{"bos_token_id": 1, "cls_token_id": 1, "sep_token_id": 2, "eos_token_id": 2, "pad_token_id": 3},
}
DISTIL = {"vocab_size": 700, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "initializer_range": 0.2}
DEBERTA_PIECES = {
    **{"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]", "bos_piece": "[CLS]"},
    **{"eos_piece": "[SEP]", "unk_piece": "[UNK]", "user_defined_symbols": ["[MASK]"]},
}
FAMILIES = {
    "ModernBERT": Family("ModernBert", MODERN, write_modern_tokenizer),
    "DeBERTa-v3": Family("DebertaV2", DEBERTA_V3, write_sentence_pieces("spm.model", **DEBERTA_PIECES), pickled=True),
    "RoBERTa": Family("Roberta", ROBERTA, write_byte_pairs),
    "twitter-RoBERTa": Family("Roberta", ROBERTA, write_byte_pairs, pickled=True),
    "XLM-R": Family("XLMRoberta", ROBERTA, write_unigram),
    "XLM-T": Family("XLMRoberta", ROBERTA, write_sentence_pieces("sentencepiece.bpe.model"), pickled=True),
    "ELECTRA": Family("Electra", SMALL | {"embedding_size": 16}, write_word_pieces),
    "DistilBERT": Family("DistilBert", DISTIL, write_word_pieces),
}
AT_ONCE = {"twitter-RoBERTa", "ModernBERT"}  # of a short run of the tests


def write_base(family: Family, folder: Path) -> Path:
    """Write an encoder without a head."""
    transformers.set_seed(1)
    config = getattr(transformers, f"{family.kind}Config")(**family.config)
    model = getattr(transformers, f"{family.kind}Model")(config)
    folder.mkdir()
    if family.pickled:
        model.config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    else:
        model.save_pretrained(folder)
    family.write_tokenizer(folder)
    return folder


def convert(s140: S140, base: Path) -> Path:
    """Convert the pickled weights of a base by the command that training names, and return the new folder."""
    refused = s140("train", "--output-dir", "refused", *flags(model_name_or_path=base), code=1).stderr
    command = refused.split("Convert it without running it: s140 ")[1].splitlines()[0]
    new = base.with_name("converted")
    s140(*(str(new) if word == "FOLDER" else word for word in shlex.split(command)))
    return new


def predict_labels(s140: S140, model: object, *words: object) -> list[str]:
    answers = json.loads(s140("predict", model, *TEXTS, "--json", *words).stdout)["predictions"]
    return [answer["label"] for answer in answers]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in AT_ONCE else pytest.mark.long) for name in FAMILIES]
)
def test_a_family(name: str, tmp_path: Path, hub: HubServer, impatient: list[float], s140: S140) -> None:
    """Train, also killed and resumed; predict, by transformers' pipeline and ONNX too; publish, and verify."""
    family = FAMILIES[name]
    base = write_base(family, tmp_path / "base")
    if family.pickled:
        base = convert(s140, base)
    run, killed = tmp_path / "run", tmp_path / "killed"
    words = flags(model_name_or_path=base, max_length=48, learning_rate=1e-3)
    ended = trained(run, words, threads=1)
    assert ended.code == 0, ended.stderr
    assert trained(killed, words, "step 8/", whole=6, threads=1).code == -signal.SIGKILL
    resumed = trained(killed, words, threads=1)
    assert "resume: from checkpoint-6" in resumed.stderr
    assert same(killed, run)

    labels = predict_labels(s140, run)
    classify = transformers.pipeline("text-classification", model=str(run / "model"), device="cpu")
    assert [answer["label"] for answer in classify(TEXTS)] == labels
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    s140("export", run)
    assert predict_labels(s140, run, "--backend", "onnx") == labels

    s140("push-to-hub", run, *BOTH)
    verified = json.loads(s140("verify", MODEL, "--json").stdout)
    assert verified["verdict"] == "true"
    assert predict_labels(s140, MODEL) == labels


def test_bertweet_is_refused_with_an_alternative(tmp_path: Path, s140: S140) -> None:
    """Its tokenizer is in Python only."""

    def write(folder: Path) -> None:
        (folder / "vocab.txt").write_text("so 5\ngo@@ 4\nod 3\n")
        (folder / "bpe.codes").write_text("s o</w> 5\no d</w> 3\ng o 2\n")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"tokenizer_class": "BertweetTokenizer"}))

    base = write_base(Family("Roberta", ROBERTA, write), tmp_path / "base")
    stderr = s140("train", "--output-dir", tmp_path / "run", *flags(model_name_or_path=base), code=1).stderr
    assert "has no fast tokenizer: transformers has its BertweetTokenizer in Python only." in stderr
    assert "cardiffnlp/twitter-roberta-base" in stderr
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_a_model_of_sentencepiece_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s140: S140) -> None:
    base = write_base(Family("DebertaV2", DEBERTA_V3, lambda folder: None), tmp_path / "base")
    (base / "spm.model").write_bytes(b"")
    monkeypatch.setattr("sentiment140_bert.models.tokenizer.find_spec", lambda name: None)
    stderr = s140("train", "--output-dir", tmp_path / "run", *flags(model_name_or_path=base), code=1).stderr
    assert "which has no tokenizer.json, needs the optional extra [sentencepiece]" in stderr
