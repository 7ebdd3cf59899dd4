"""A batch that does not fit: real training through the real Trainer, a model that runs out of memory on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from sentiment140_bert import models
from sentiment140_bert.errors import HardwareError
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.training import memory
from sentiment140_bert.training.arguments import Precision, training_arguments
from sentiment140_bert.training.batching import Share
from sentiment140_bert.training.trainer import Outcome, train

pytest_plugins = "model_fixtures"

# AdamW would make much of the rounding of a gradient that is nearly zero.
SGD = {"optim": "sgd", "learning_rate": 0.1, "weight_decay": 0.0}


def tweets(rows: int, longest: int = 30) -> Dataset:
    random = np.random.default_rng(rows)
    labels = random.integers(0, 2, rows).tolist()
    ids = [[101, 2000 + label, *random.integers(1000, 2000, random.integers(1, longest)), 102] for label in labels]
    return Dataset.from_dict({"input_ids": ids, "labels": labels})


class Cramped:
    """A forward hook: more than ``limit`` tweets (or ``tokens``) at once, while training or not, are too many."""

    def __init__(self, limit: int | None = None, tokens: int | None = None, training: bool = True) -> None:
        self.limit, self.tokens, self.training = limit, tokens, training
        self.rows: list[int] = []
        self.fails_at: int | None = None

    def __call__(self, model: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if model.training != self.training:
            return
        ids = kwargs["input_ids"]
        self.rows.append(len(ids))
        too_many = self.limit is not None and len(ids) > self.limit
        too_wide = self.tokens is not None and ids.numel() > self.tokens
        if too_many or too_wide or len(self.rows) == self.fails_at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a lot. See docs.")


Run = Callable[..., tuple[Outcome, dict[str, torch.Tensor], list[dict[str, Any]]]]


@pytest.fixture
def run(classifier_folder: Path, tmp_path: Path) -> Run:
    """Train the small BERT, cramped or not; return outcome, weights and log."""
    counter: Iterator[int] = iter(range(100))

    def make(
        data: Dataset,
        cramped: Cramped | None = None,
        finds: bool = True,
        folder: Path = classifier_folder,
        **values: Any,
    ):
        home = tmp_path / str(next(counter))
        quiet = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, "logging_steps": 1}
        training = Recipe().with_values(quiet | SGD | {"num_train_epochs": 2} | values).training
        settings = training_arguments(training, Precision("fp32", ""), home / "checkpoints")
        home.mkdir()
        model, tokenizer = models.load_model_and_tokenizer(str(folder))
        if cramped:
            model.register_forward_pre_hook(cramped, with_kwargs=True)
        common = {"history": home / "history.jsonl", "compute_metrics": lambda _: {}, "finds_batch": finds}
        outcome = train(model, tokenizer, {"train": data, "validation": data}, settings, **common)
        log = [json.loads(line) for line in (home / "history.jsonl").read_text().splitlines()]
        return outcome, model.state_dict(), log

    return make


def losses(log: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(entry["step"], entry["loss"]) for entry in log if "loss" in entry]


@pytest.mark.parametrize(("limit", "share"), [(8, Share(16, 1, 2)), (4, Share(16, 1, 4)), (1, Share(16, 1, 16))])
def test_a_batch_that_does_not_fit_is_halved_and_learns_the_same(run: Run, limit: int, share: Share) -> None:
    """38 tweets in steps of 16: the last of 6 is cut into 16 parts of which 10 are empty."""
    data = tweets(38)
    free, weights, log = run(data, per_device_train_batch_size=16)
    cramped, other, other_log = run(data, Cramped(limit), per_device_train_batch_size=16)
    assert (free.share, free.out_of_memory) == (Share(16), 0)
    assert cramped.share == share
    assert cramped.out_of_memory == {2: 1, 4: 2, 16: 4}[share.accumulated]
    assert [step for step, _ in losses(other_log)] == list(range(1, 7))
    assert [loss for _, loss in losses(other_log)] == pytest.approx([loss for _, loss in losses(log)], rel=1e-3)
    for name, weight in weights.items():
        torch.testing.assert_close(other[name], weight, atol=1e-5, rtol=1e-4)


def test_looking_for_the_batch_changes_nothing_where_all_fits(run: Run, small_bert: Callable[..., Path]) -> None:
    """Compare even the draws of dropout."""
    data, folder = tweets(40), small_bert(dropout=0.2)
    searched, weights, log = run(data, folder=folder, finds=True, per_device_train_batch_size=8)
    plain, others, other_log = run(data, folder=folder, finds=False, per_device_train_batch_size=8)
    assert searched.share == plain.share == Share(8)
    assert losses(log) == losses(other_log)
    assert all(torch.equal(others[name], weight) for name, weight in weights.items())


def test_the_longest_tweets_are_tried_before_the_first_step(run: Run) -> None:
    """Try them early: they come late in the epoch, and would fail there."""
    data = tweets(200)
    long = [101, *[1500] * 120, 102]
    data = Dataset.from_dict({"input_ids": [*data["input_ids"], *[long] * 4], "labels": [*data["labels"], 0, 1, 0, 1]})
    cramped = Cramped(tokens=300)
    outcome, _, log = run(data, cramped, per_device_train_batch_size=4, num_train_epochs=1)
    assert outcome.share == Share(4, 1, 2)
    assert cramped.rows[:2] == [4, 2]  # the first attempt ended with its first part
    assert len(losses(log)) == 51


@pytest.mark.parametrize("saved", ["epoch", "no"])
def test_an_error_in_the_middle_loses_no_step(run: Run, saved: str) -> None:
    """However often checkpoints are written, one is then."""
    data = tweets(40)
    settings = {"per_device_train_batch_size": 8, "save_strategy": saved, "num_train_epochs": 3}
    _, weights, log = run(data, **settings)
    cramped = Cramped()
    cramped.fails_at = 2 + 8  # two parts are tried first; then 5 steps of the first epoch and 3 of the second
    outcome, others, other_log = run(data, cramped, **settings)
    assert (outcome.share, outcome.out_of_memory, outcome.steps) == (Share(8, 1, 2), 1, 15)
    assert len(cramped.rows) == 10 + 2 + 2 * 8  # two tries, and the eight steps that were left in two parts each
    assert [step for step, _ in losses(other_log)] == list(range(1, 16))  # none twice
    assert [loss for _, loss in losses(other_log)] == pytest.approx([loss for _, loss in losses(log)], rel=1e-3)
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, atol=1e-5, rtol=1e-4)


def test_without_the_option_the_error_names_it(run: Run) -> None:
    with pytest.raises(
        HardwareError, match=r"batch of 16 tweets .* CUDA out of memory. Tried to allocate 20"
    ) as caught:
        run(tweets(20), Cramped(8), finds=False, per_device_train_batch_size=16)
    assert "--auto-find-batch-size" in caught.value.hint


def test_an_error_says_that_not_one_tweet_fits(run: Run) -> None:
    with pytest.raises(HardwareError, match="batch of 1 tweets") as caught:
        run(tweets(20), Cramped(0), per_device_train_batch_size=4)
    assert "--max-length" in caught.value.hint


def test_scoring_in_smaller_batches_gives_the_same_scores(run: Run) -> None:
    data = tweets(20)
    settings = {"per_device_train_batch_size": 8, "per_device_eval_batch_size": 16}
    settings |= {"eval_strategy": "epoch", "metric_for_best_model": "eval_loss"}
    scored = [
        [entry["eval_loss"] for entry in run(data, cramped, **settings)[2] if "eval_loss" in entry]
        for cramped in (None, Cramped(4, training=False))
    ]
    assert scored[0] == pytest.approx(scored[1], rel=1e-4)
    assert len(scored[0]) == 2
    with pytest.raises(HardwareError, match="16 tweets to be scored") as caught:
        run(data, Cramped(4, training=False), finds=False, **settings)
    assert "--per-device-eval-batch-size" in caught.value.hint


def test_other_errors_pass_through(run: Run) -> None:
    class Broken(Cramped):
        def __call__(self, *_: Any) -> None:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run(tweets(20), Broken())


TOO_LARGE, SUDDEN = memory.TooLarge("CUDA out of memory."), torch.OutOfMemoryError("CUDA out of memory.")
# A share, what failed, whether smaller parts are looked for; what follows, or what the message and the hint name.
HALVINGS = [
    (Share(16), SUDDEN, True, Share(16, 1, 2)),
    (Share(16, 1, 2), TOO_LARGE, True, Share(16, 1, 4)),
    (Share(16, 1, 8), SUDDEN, True, Share(16, 1, 16)),
    (Share(3, 1, 2), SUDDEN, True, Share(3, 1, 4)),
    (Share(16, 2), TOO_LARGE, True, Share(16, 2, 2)),
    (Share(1), SUDDEN, True, ("1 tweets", "--max-length")),
    (Share(16, 1, 16), SUDDEN, True, ("1 tweets", "--max-length")),
    (Share(16, 4, 4), TOO_LARGE, True, ("1 tweets", "--max-length")),
    (Share(16, 1, 4), SUDDEN, False, ("4 tweets", "--auto-find-batch-size")),
    (Share(16, 2), SUDDEN, True, ("8 tweets", "halve the batch size yourself")),  # several agree only before a step
]


def test_a_step_is_halved_down_to_single_tweets_where_all_can_agree() -> None:
    for share, error, finds, expected in HALVINGS:
        if isinstance(expected, Share):
            assert memory.halve(share, error, finds) == expected
        else:
            with pytest.raises(HardwareError, match=expected[0]) as caught:
                memory.halve(share, error, finds)
            assert expected[1] in caught.value.hint, share
            assert "CUDA out of memory" in caught.value.message


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_real_gpu_that_is_nearly_full(run: Run) -> None:
    """Take most of the memory away: long tweets are computed in smaller parts, with the same result."""
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        long = Dataset.from_dict({"input_ids": [[1500] * 128] * 4096, "labels": [0, 1] * 2048})
        outcome, _, log = run(long, per_device_train_batch_size=4096, num_train_epochs=1)
        assert outcome.out_of_memory > 0
        assert len(losses(log)) == 1
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
