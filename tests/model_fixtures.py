"""A pytest plugin for tests of models: a tiny trained run, and an untrained BERT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from once import make_once
from sentiment140_bert import models
from sentiment140_bert.cli import main
from sentiment140_bert.data.clean import make_normalizer
from tiny_run import flags


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run directory; not to be changed."""
    return make_once(tmp_path_factory, "minilm_run", lambda folder: train(folder, flags()))


def train(folder: Path, words: list[str]) -> None:
    result = CliRunner().invoke(main, ["train", "--output-dir", str(folder), *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def write_small_bert(
    folder: Path,
    architecture: str = "BertForSequenceClassification",
    labels: tuple[str, ...] = ("negative", "positive"),
    dropout: float = 0.0,
) -> Path:
    """Write a folder with an untrained two-layer BERT that knows the bundled vocabulary."""
    import transformers

    tokenizer = models.load_tokenizer(models.BUNDLED, normalizer=make_normalizer("repair"))
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=0.5,  # wide enough for its answers to differ from text to text
        id2label=dict(enumerate(labels)),
        label2id={label: at for at, label in enumerate(labels)},
    )
    transformers.set_seed(1)
    models.save_model(getattr(transformers, architecture)(config), tokenizer, folder)
    return folder


@pytest.fixture(scope="session")
def small_bert(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes such folders, with the arguments of :func:`write_small_bert`."""
    return lambda *arguments, **named: write_small_bert(tmp_path_factory.mktemp("bert") / "model", *arguments, **named)


@pytest.fixture(scope="session")
def classifier_folder(small_bert: Callable[..., Path]) -> Path:
    return small_bert()


@pytest.fixture(scope="session")
def smallest_words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the flags of :func:`smallest_run`."""
    encoder = make_once(tmp_path_factory, "smallest_bert", lambda folder: write_small_bert(folder, "BertModel"))
    return flags(model_name_or_path=encoder, num_train_epochs=1, per_device_train_batch_size=16)


@pytest.fixture(scope="session")
def smallest_run(tmp_path_factory: pytest.TempPathFactory, smallest_words: list[str]) -> Path:
    """Return a finished run of a BERT so small that it trains at once; not to be changed."""
    return make_once(tmp_path_factory, "smallest_run", lambda folder: train(folder, smallest_words))


@pytest.fixture(scope="session")
def run_with_checkpoints(tmp_path_factory: pytest.TempPathFactory, smallest_words: list[str]) -> Path:
    """Return the same run with its checkpoints; not to be changed."""
    words = [*smallest_words, "--keep-checkpoints"]
    return make_once(tmp_path_factory, "run_with_checkpoints", lambda folder: train(folder, words))
