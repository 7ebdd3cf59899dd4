"""Model folders of strangers: an error that the package explains or a right answer, and no file outside of them."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import sentiment140_bert
from hostile import Change, answer_all, changed_json, complain, copy_with, damage, put, remove, write
from hub_fixtures import write_tiny_encoder

CONFIG, SETTINGS, SPECIAL = "config.json", "tokenizer_config.json", "special_tokens_map.json"
TOKENIZER, ADDED = "tokenizer.json", "added_tokens.json"
HUGE = 10**12


def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(steps)}


def template(token: int, kind: int = 0) -> dict[str, Any]:
    pieces = [{"SpecialToken": {"id": "[CLS]", "type_id": kind}}, {"Sequence": {"id": "A", "type_id": kind}}]
    special = {"[CLS]": {"id": "[CLS]", "ids": [token], "tokens": ["[CLS]"]}}
    return {"type": "TemplateProcessing", "single": pieces, "pair": pieces, "special_tokens": special}


def labelled(named: Any, count: Any = None) -> Change:
    def change(folder: Path) -> None:
        with changed_json(folder / CONFIG) as config:
            config.pop("label2id", None)
            config |= {"id2label": named} | ({"num_labels": count} if count is not None else {})

    return change


def weights_with(number: float) -> Change:
    def change(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        weights["bert.encoder.layer.0.output.dense.weight"][3, 4] = number
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return change


def header(content: bytes, length: int | None = None) -> Change:
    return write("model.safetensors", (len(content) if length is None else length).to_bytes(8, "little") + content)


def tensor(shape: list[int], end: int) -> Change:
    entry = {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}
    return header(json.dumps(entry).encode())


CONFIGS: dict[str, list[Any]] = {
    "num_labels": [HUGE, 10**6, 0, -1, "2", 2.5, [2], {}, True],
    "id2label": [[], ["a"], "a", 7, {}, {"0": "a"}, {"0": "a", "2": "b"}, {"-1": "a", "0": "b"}, {"0": 1, "1": 2}],
    "num_hidden_layers": [3_000_000, HUGE, -1, 0, 2.5, "2", [2], None],
    "vocab_size": [40_000_000, HUGE, 10, 0, -5, 2.5, "30522", None],
    "hidden_size": [10**6, HUGE, 0, -32, 33, 32.5, "32", None],
    "num_attention_heads": [10**6, 0, -2, 3, "2", None],
    "intermediate_size": [10**7, -64, 65, 0.5],
    "max_position_embeddings": [HUGE, 10**6, 1, 0, -1, "512", None],
    "type_vocab_size": [HUGE, 0, 1, -1],
    "pad_token_id": [10**9, -7, "0", 40_000],
    "hidden_act": ["no such", 7, ["gelu"], "../gelu", None],
    "layer_norm_eps": [-1.0, "x", 1e300, None],
    "hidden_dropout_prob": [5.0, -1.0, "x"],
    "chunk_size_feed_forward": [HUGE, 3, -1],
    "model_type": ["evil", None, 7, ["bert"], "gpt2", "../bert"],
    "architectures": [["Evil"], "Evil", 7, {"a": 1}],
    "dtype": ["save", "float16", 7, "int8"],
    "problem_type": ["regression", "single_label_classification", 7],
    "is_decoder": [True, "yes", HUGE],
    "quantization_config": [{"load_in_8bit": True}, {"quant_method": "gptq"}, 7],
    "per_layer_config": [{"0": {"hidden_size": 7}}, 7],
    "rope_parameters": [{"rope_type": "linear"}, 7],
    "task_specific_params": [{"a": {"b": HUGE}}],
}
SETTINGS_VALUES: dict[str, list[Any]] = {
    "model_max_length": [-1, 0, 1, 2, HUGE, 1e30, "512", [1]],
    "pad_token_type_id": [10**6, -1, "0", 5],
    "padding_side": ["up", 7, "left"],
    "truncation_side": ["up", 7, "left"],
    "model_input_names": ["input_ids", [7], ["input_ids", "evil"], []],
    "extra_ids": [10**9, -1, "x"],
    "pad_token": [7, "", "no such", {"content": 7}, {}, ["a"], None],
    "unk_token": [7, "no such", None],
    "added_tokens_decoder": [[], {"a": {}}, {"-1": {"content": "a"}}, {"999999999": {"content": "new"}}, {"5": {}}],
    "additional_special_tokens": [[f"<{number}>" for number in range(100_000)]],
    "extra_special_tokens": [7, {"a": 7}, ["new"], [["a"]]],
    "tokenizer_class": ["AutoModel", "Evil", "pipeline", 7, "RagTokenizer", "../x", "BertJapaneseTokenizer"],
    "do_lower_case": ["yes", 7, None],
    "auto_map": [{"AutoTokenizer": ["evil.Evil", None]}, ["evil.Evil", None], 7],
}
TOKENIZERS: dict[str, list[Any]] = {
    "version": ["9.0", 7, None],
    "padding": [
        {"strategy": {"Fixed": HUGE}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
         "pad_token": "[PAD]"},
        {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": HUGE, "pad_id": HUGE, "pad_type_id": 9,
         "pad_token": "[PAD]"},
        {"strategy": "Evil"},
        7,
    ],
    "truncation": [
        {"max_length": 0, "stride": 7, "strategy": "LongestFirst", "direction": "Right"},
        {"max_length": HUGE, "stride": 0, "strategy": "OnlySecond", "direction": "Left"},
        7,
    ],
    "normalizer": [
        replace({"String": "o"}, "o" * 1_000),
        sequence(*(replace({"String": a}, b * 1_000) for a, b in ("ox", "xy", "yz"))),
        sequence(*(replace({"String": a}, b * 1_000) for a, b in (("\u00e9", "b"), ("b", "c"), ("c", "d")))),
        replace({"Regex": "(o+)+$"}, "b"),
        replace({"Regex": "(((("}, "b"),
        replace({"Regex": ""}, "b" * 1_000),
        {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
        {"type": "Evil"},
        7,
    ],
    "pre_tokenizer": [None,
                      {"type": "Split", "pattern": {"Regex": "(o|o)*$x"}, "behavior": "Isolated", "invert": False},
                      {"type": "Evil"}],
    "post_processor": [None, template(36), template(10**9), template(2, kind=7), template(2, kind=10**9)],
    "added_tokens": [None, [{}], [{"id": 10**9, "content": "so", "special": False}], 7],
    "model": [None, {"type": "WordLevel", "vocab": {"so": 1}, "unk_token": "no such"}, {"type": "Evil"}, {}, 7],
}  # fmt: skip


def table() -> dict[str, Change]:
    rows: dict[str, Change] = {"whole": lambda folder: None}
    for file in (CONFIG, SETTINGS, SPECIAL, TOKENIZER, ADDED):
        rows |= damage(file)
    for file, keys in ((CONFIG, CONFIGS), (SETTINGS, SETTINGS_VALUES), (TOKENIZER, TOKENIZERS)):
        for key, values in keys.items():
            rows |= {f"{file}: {key} {json.dumps(value)[-90:]}": put(file, key, value=value) for value in values}
    for name in ("a\nb", "a\tb", "\x1b[2J", "\u202eevil", "\ud800", "", "a" * 10_000):
        rows[f"label {name[:20]!a}"] = labelled({"0": name, "1": "positive"})
    rows |= {
        "labels: null": labelled(None, 2),
        "labels: two of one name": labelled({"0": "a", "1": "a"}),
        "labels: fewer than num_labels": labelled({"0": "a", "1": "b"}, 3),
        "labels: more than the head has": labelled({str(number): f"l{number}" for number in range(5)}),
        "vocabulary: numbers beyond the model's": put(TOKENIZER, "model", "vocab", "good", value=4_000_000_000),
        "vocabulary: negative": put(TOKENIZER, "model", "vocab", "good", value=-1),
        "vocabulary: one word": put(TOKENIZER, "model", "vocab", value={"[UNK]": 0}),
        "vocabulary: no unknown": put(TOKENIZER, "model", "unk_token", value="no such"),
        "only config and weights": remove(TOKENIZER, SETTINGS),
        "special tokens: a number": write(SPECIAL, b'{"unk_token": 7}'),
        "added tokens: a word": write(ADDED, b'{"new": "x"}'),
        "weights: missing": remove("model.safetensors"),
        "weights: empty": write("model.safetensors", b""),
        "weights: no tensors": header(b"{}"),
        "weights: long header": header(b"{}", 1 << 62),
        "weights: header of 50 MB": header(b" " * 50_000_000),
        "weights: beyond the end": tensor([1 << 40], 1 << 42),
        "weights: overflow": tensor([(1 << 63) - 1] * 2, 4),
        "weights: negative": tensor([-1], 4),
        "weights: not a number": weights_with(math.nan),
        "weights: infinite": weights_with(math.inf),
        "index: null": lambda folder: (
            (folder / "model.safetensors").rename(folder / "a.safetensors"),
            write("model.safetensors.index.json", b'{"weight_map": null}')(folder),
        ),
    }  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that is whole; not to be changed."""
    return write_tiny_encoder(tmp_path_factory.mktemp("tiny") / "model")


EXPECTED = {
    "weights: not a number": "bert.encoder.layer.0.output.dense.weight",
    "weights: infinite": "bert.encoder.layer.0.output.dense.weight",
    "weights: missing": "safetensors",
    **dict.fromkeys(("weights: empty", "weights: long header", "weights: beyond the end"), "could not be loaded"),
    f"{CONFIG}: missing": CONFIG,
    f"{CONFIG}: empty object": "could not be loaded",
    f"{TOKENIZER}: missing": "tokenizer",
    f"{CONFIG}: intermediate_size 65": "do not have the shapes",
    f'{CONFIG}: problem_type "regression"': "is not a classifier",
    f"{CONFIG}: num_labels {HUGE}": "num_labels is 1000000000000",
    f"{CONFIG}: num_hidden_layers 3000000": "num_hidden_layers is 3000000, more than the weights can hold",
    f"{CONFIG}: vocab_size 40000000": "vocab_size is 40000000, more than the weights can hold",
    f"{CONFIG}: hidden_size 1000000": "which is more than it can have",
    f"{CONFIG}: null": "config.json holds null where an object belongs",
    f'{TOKENIZER}: version "9.0"': "tokenizer.json cannot be used: Unknown tokenizer version",
    f"{TOKENIZER}: post_processor {json.dumps(template(10**9))[-90:]}": "has tokens up to number 1,000,000,000",
    f"{TOKENIZER}: normalizer {json.dumps(replace({'String': 'o'}, 'o' * 1_000))[-90:]}": "character into more than 64",
    "label 'a\\nb'": "is not a name on one line",
    "labels: fewer than num_labels": "id2label names 2 labels, num_labels says 3",
}


def ask(tiny: Path, folder: Path, rows: dict[str, Change]) -> list[str]:
    """Return what is wrong with the answers of these rows' models."""
    folders = [copy_with(tiny, folder / str(number), change) for number, change in enumerate(rows.values())]
    outcomes = dict(zip(rows, answer_all(folders), strict=True))
    wrong = [complaint for name, outcome in outcomes.items() for complaint in complain(name, outcome)]
    silent = [name for name, words in EXPECTED.items() if name in rows and words not in outcomes[name].stderr]
    return wrong + [f"{name}: {outcomes[name].stderr}" for name in silent]


def test_some_end_in_an_error_or_a_right_answer(tiny: Path, tmp_path: Path) -> None:
    assert answer_all([tiny])[0].code == 0
    rows = table()
    chosen = {name: change for number, (name, change) in enumerate(rows.items()) if number % 9 == 0 or name in EXPECTED}
    assert EXPECTED.keys() <= chosen.keys()
    assert len(chosen) >= 40
    assert ask(tiny, tmp_path, chosen) == []


@pytest.mark.long
def test_all_end_in_an_error_or_a_right_answer(tiny: Path, tmp_path: Path) -> None:
    assert ask(tiny, tmp_path, table()) == []


# ---- files of this machine

PRIVATE = "private"
# Where a program may read: the installation, the system's own files, the caches of tests.
INSTALLED = (sys.prefix, sys.base_prefix, Path(sentiment140_bert.__file__).parent)
PLACES = tuple(Path(place).resolve() for place in (*INSTALLED, "/usr", "/lib", "/proc", "/sys", "/dev"))
TEMPORARY, TEMP = "s140-model-", Path(tempfile.gettempdir())


def is_inside(place: str, folders: tuple[Path, ...]) -> bool:
    """Return True if a file that was opened is in one of these folders, or in one that was made to be shown."""
    if place.isdigit():  # a descriptor
        return True
    path = Path(os.path.abspath(place))  # noqa: PTH100 - links are not followed: they name what is to be found out
    staged = any(place.name.startswith(TEMPORARY) and place.parent == TEMP for place in (path, path.parent))
    caches = (Path(os.environ["S140_CACHE"]), Path(os.environ["HF_HOME"]))
    return staged or any(Path(os.path.realpath(path)).is_relative_to(folder) for folder in (*folders, *caches))


def paths_of(private: Path) -> dict[str, Change]:
    """Return folders that name files of this machine, each in its own way."""
    rows: dict[str, Change] = {}
    for name in (str(private), f"../{PRIVATE}"):
        for key, value in {
            "fast_tokenizer_files": [f"{name}/tokenizer.0.1.json"],
            "tokenizer_file": f"{name}/tokenizer.json",
            "vocab_file": f"{name}/vocab.txt",
            "merges_file": f"{name}/merges.txt",
            "special_tokens_map_file": f"{name}/special_tokens_map.json",
            "added_tokens_file": f"{name}/added_tokens.json",
            "chat_template_file": f"{name}/chat_template.jinja",
            "vocab": f"{name}/vocab.txt",
            "merges": f"{name}/merges.txt",
            "init_inputs": [f"{name}/vocab.txt"],
            "gguf_file": f"{name}/a.gguf",
            "subfolder": name,
            "name_or_path": name,
            "auto_map": {"AutoTokenizer": [f"{name}--code.Evil", None]},
        }.items():
            rows[f"{SETTINGS}: {key} {value}"] = put(SETTINGS, key, value=value)
            rows[f"{SETTINGS} without {TOKENIZER}: {key} {value}"] = both(put(SETTINGS, key, value=value), slow)
            rows[f"{SPECIAL}: {key} {value}"] = put(SPECIAL, key, value=value)
        for key, value in {
            "configuration_files": [f"{name}/config.0.1.json"],
            "_name_or_path": name,
            "tokenizer_class": f"{name}/Evil",
            "vocab_file": f"{name}/vocab.txt",
            "gguf_file": f"{name}/a.gguf",
            "transformers_weights": f"{name}/model.safetensors",
            "auto_map": {"AutoConfig": f"{name}--code.Evil"},
            "attn_implementation": f"{name}:kernel",
        }.items():
            rows[f"{CONFIG}: {key} {value}"] = put(CONFIG, key, value=value)
    return rows


def slow(folder: Path) -> None:
    """Leave a tokenizer of the older kind: its words in a file, and no tokenizer.json."""
    words = json.loads((folder / TOKENIZER).read_text("utf-8"))["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(words, key=words.get)) + "\n")
    (folder / TOKENIZER).unlink()
    with changed_json(folder / SETTINGS) as settings:
        settings["tokenizer_class"] = "BertTokenizer"


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in reversed(changes)]


def test_no_file_outside_of_it_is_opened(tiny: Path, tmp_path: Path) -> None:
    private = copy_with(tiny, tmp_path / PRIVATE, slow)
    for name in ("tokenizer.json", "tokenizer.0.1.json"):
        (private / name).write_bytes((tiny / TOKENIZER).read_bytes())
    (private / "config.0.1.json").write_bytes((tiny / CONFIG).read_bytes())
    for name in ("merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "a.gguf"):
        (private / name).write_text("{}")
    for file in private.iterdir():
        os.utime(file, (0, file.stat().st_mtime))
    rows = paths_of(private)
    folders = [copy_with(tiny, tmp_path / str(number), change) for number, change in enumerate(rows.values())]
    wrong = []
    for name, folder, outcome in zip(rows, folders, answer_all(folders), strict=True):
        inside = (folder.resolve(), *PLACES)
        strange = {place for place in outcome.opened if not is_inside(place, inside)}
        wrong += [*complain(name, outcome), *(f"{name}: {place}" for place in sorted(strange))]
    assert wrong == []
    assert [file.name for file in private.iterdir() if file.stat().st_atime > 0] == []  # Rust's reading is not told
