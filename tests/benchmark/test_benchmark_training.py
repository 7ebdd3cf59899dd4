"""scripts/benchmarks/training.py, on a tiny model: what is counted is what the model was given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import BertConfig

from training import main, package, plain_trainer

pytest_plugins = "forked_contenders"

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TOKENS = [list(range(5, 5 + int(size))) for size in np.random.default_rng(0).integers(3, 20, 24)]


@pytest.fixture
def shape(tmp_path: Path) -> str:
    BertConfig(vocab_size=30522, **SIZES).save_pretrained(tmp_path / "shape")
    return str(tmp_path / "shape")


@pytest.mark.parametrize("width", [None, 32])
def test_a_plain_trainer_does_not_count_padding(shape: str, width: int | None) -> None:
    """Count three steps without the first."""
    same = [TOKENS[0]] * 24
    work = plain_trainer(shape, same, 8, width)()
    assert (work.tweets, work.tokens) == (16, 16 * len(TOKENS[0]))
    assert work.seconds > 0


def test_our_training_counts_the_same_tokens(shape: str) -> None:
    work = package(shape, [TOKENS[0]] * 24, 8)()
    assert (work.tweets, work.tokens) == (16, 16 * len(TOKENS[0]))


@pytest.mark.long
@pytest.mark.usefixtures("forked")
def test_the_script_prints_figures_and_ratios(shape: str, run_script) -> None:
    answer = run_script(
        main, "--model", shape, "--tokenizer", "bundled:minilm",
        "--tweets", "64", "--batch-size", "16", "--rounds", "2", "--only", "trainer", "--only", "package", "--json",
    )  # fmt: skip
    result = json.loads(answer.stdout)
    assert set(result["contenders"]) == {"trainer", "package"}
    for contender in result["contenders"].values():
        assert contender["tweets"] == 48
        assert len(contender["rounds"]) == 2
        assert contender["tweets_per_second"] == pytest.approx(sum(contender["rounds"]) / 2, abs=0.02)
        assert contender["share_of_ceiling"] == pytest.approx(
            contender["tokens_per_second"] * result["flops_per_token"] / result["ceiling"] / 1e9, rel=0.01, abs=1e-3
        )
    assert set(result["ratios"]) == {"package / trainer"}
    assert result["machine"]["cpu"]


def test_too_few_tweets_are_one_error_message(shape: str, run_script) -> None:
    failed = run_script(main, "--model", shape, "--tweets", "10", "--batch-size", "8", code=1)
    assert "10 tweets are less than two batches of 8" in failed.stderr
