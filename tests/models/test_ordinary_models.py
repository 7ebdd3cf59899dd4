"""Models of all kinds, old and new, answer as transformers' own classes do that are given their folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors

from sentiment140_bert import models
from sentiment140_bert.errors import ModelError
from sentiment140_bert.inference.torch_backend import TorchClassifier

TEXTS = ["so good :)", "I hate this caf\u00e9 \ufdfa", "a b c " * 30, "@somebody don't"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "so", "good", "hate", "##s", *map(chr, range(33, 127))]
SMALL = {
    **{"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"intermediate_size": 64, "initializer_range": 0.5},
}
GPT = {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 2, "pad_token_id": 1, "initializer_range": 0.5}
XLNET = {"vocab_size": 300, "d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64, "pad_token_id": 1}
T5 = {"vocab_size": 300, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "pad_token_id": 1}
T5 |= {"eos_token_id": 3, "decoder_start_token_id": 1}
DEBERTA = SMALL | {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_buckets": 16,
    "pad_token_id": 1,
}
MODERN = SMALL | {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
PIECES = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}


def words(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")


def pieces(folder: Path) -> None:
    scores = [
        ("\u2581so", -1.5),
        ("\u2581good", -2.5),
        *((letter, -5.0) for letter in "\u2581abcdefghijklmnopqrstuvwxyz:)@'"),
    ]
    backend = Tokenizer(
        tokenizers.models.Unigram([("<unk>", 0.0), ("<pad>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *scores], unk_id=0)
    )
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    backend.normalizer = normalizers.NFKC()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 3)])
    backend.save(str(folder / "tokenizer.json"))


def byte_pairs() -> tuple[dict[str, int], list[str]]:
    letters = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    return {letter: at for at, letter in enumerate([*letters, "\u0120s", "\u0120so", "oo"])}, [
        "\u0120 s",
        "\u0120s o",
        "o o",
    ]


def old_bytes(folder: Path) -> None:
    vocabulary, merges = byte_pairs()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    mask = {"content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
    (folder / "special_tokens_map.json").write_text(json.dumps({"mask_token": mask}))
    (folder / "added_tokens.json").write_text(json.dumps({"<new>": 298}))


def new_bytes(folder: Path) -> None:
    vocabulary, merges = byte_pairs()
    backend = Tokenizer(tokenizers.models.BPE(vocabulary, [tuple(merge.split()) for merge in merges]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    backend.enable_padding(pad_id=1, pad_token="<pad>", length=40)
    backend.enable_truncation(30)
    backend.save(str(folder / "tokenizer.json"))


PATH = "/root/.cache/huggingface/special_tokens_map.json"
KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "Bert": (SMALL, words, {"do_lower_case": True, "special_tokens_map_file": PATH, "model_max_length": 20}),
    "DistilBert": (
        {"vocab_size": 300, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "sinusoidal_pos_embds": True},
        words, {"strip_accents": False},
    ),
    "Electra": (SMALL | {"embedding_size": 16}, words, {"tokenizer_class": "BertTokenizer"}),
    "Roberta": (SMALL, old_bytes, {"tokenizer_class": "RobertaTokenizer"}),
    "GPT2": (GPT, old_bytes, PIECES | {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}),
    "ModernBert": (MODERN, new_bytes, {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}),
    "XLNet": (XLNET, pieces, PIECES | {"tokenizer_class": "XLNetTokenizer", "padding_side": "left"}),
    "T5": (T5, pieces, PIECES | {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}),
    "DebertaV2": (DEBERTA, pieces, PIECES | {"tokenizer_class": "DebertaV2Tokenizer"}),
    "XLMRoberta": (SMALL, pieces, PIECES | {"tokenizer_class": "XLMRobertaTokenizer"}),
}  # fmt: skip


def write_model(kind: str, folder: Path, shard: str = "50GB", dtype: Any = torch.float32) -> Path:
    sizes, write_vocabulary, settings = KINDS[kind]
    transformers.set_seed(1)
    labels = {0: "joy/anger", 1: "none", 2: "other"}
    config = getattr(transformers, f"{kind}Config")(**sizes, id2label=labels)
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config).to(dtype)
    model.save_pretrained(folder, max_shard_size=shard)
    write_vocabulary(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def find_differences(folder: Path) -> Iterator[str]:
    """Yield the differences of our model from transformers' own of the same folder."""
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    classifier = TorchClassifier(*models.load_model_and_tokenizer(str(folder)), "cpu")
    limit = classifier.max_length
    for text, logits in zip(TEXTS, classifier.logits(TEXTS), strict=True):
        ids = tokenizer(text, truncation=True, max_length=limit, padding=False)["input_ids"]
        if classifier.tokenizer(text, truncation=True, max_length=limit, padding=False)["input_ids"] != ids:
            yield f"{folder.name}: tokens of {text!a}"
        with torch.inference_mode():
            expected = reference(torch.tensor([ids])).logits.numpy()[0]
        if not np.allclose(logits, expected, atol=1e-4):
            yield f"{folder.name}: {text!a}: {logits} for {expected}"
    if classifier.labels != [*reference.config.id2label.values()]:
        yield f"{folder.name}: {classifier.labels}"
    if classifier.tokenization.left != (tokenizer.padding_side == "left"):
        yield f"{folder.name}: padding"


def test_logits_are_those_of_transformers_own_classes(tmp_path: Path) -> None:
    folders = [write_model(kind, tmp_path / kind) for kind in KINDS]
    folders.append(write_model("Bert", tmp_path / "shards", shard="20KB"))
    folders.append(write_model("Bert", tmp_path / "half", dtype=torch.bfloat16))
    assert len([*(tmp_path / "shards").glob("*.safetensors")]) > 1
    assert [difference for folder in folders for difference in find_differences(folder)] == []


def test_shapes_of_untrusted_configs_are_bounded(tmp_path: Path) -> None:
    folder = write_model("Bert", tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    assert models.build_untrained(str(folder)).config.num_labels == 2
    config = json.loads((folder / "config.json").read_text())
    wrong = {}
    for changed in (
        *({"num_hidden_layers": number} for number in (3_000_000, 1_000_000, 10**12, -5)),
        *({"hidden_size": 10**6}, {"vocab_size": 40_000_000}, {"hidden_size": 1 << 19, "intermediate_size": 1 << 19}),
        *({"num_attention_heads": -1}, {"vocab_size": 2.5}),
    ):
        (folder / "config.json").write_text(json.dumps({**config, "id2label": None} | changed))
        for load in (models.build_untrained, models.load_config):
            try:
                load(str(folder))
            except ModelError:
                continue
            if load is models.build_untrained:
                wrong[str(changed)] = load.__name__
    assert wrong == {}


@pytest.mark.parametrize("damage", ["weights", "tokenizer"])
def test_training_names_what_is_wrong_with_its_encoder(damage: str, tmp_path: Path, s140: Any) -> None:
    folder = write_model("Bert", tmp_path / "model")
    if damage == "tokenizer":
        shutil.copy(folder / "config.json", folder / "tokenizer.json")
    else:
        with (folder / "model.safetensors").open("r+b") as weights:
            weights.write((1 << 40).to_bytes(8, "little"))
    data = ["--dataset", "sample", "--max-samples", 40, "--max-length", 16]
    words = [*data, "--model-name-or-path", folder, "--output-dir", tmp_path / "run"]
    assert "could not be loaded" in s140("train", *words, code=1).stderr
