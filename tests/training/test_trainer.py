from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import (
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from command_line import finish_ranks
from sentiment140_bert import models
from sentiment140_bert.errors import RunError, S140Error
from sentiment140_bert.recipe import Recipe, build_schema
from sentiment140_bert.training.arguments import Precision, training_arguments
from sentiment140_bert.training.batching import IGNORED, TokenRows
from sentiment140_bert.training.checkpoints import newest_complete, training_seconds
from sentiment140_bert.training.optimization import ExactLoss
from sentiment140_bert.training.trainer import SentimentTrainer, train
from tiny_run import flags

pytest_plugins = "model_fixtures"

SGD = {"optim": "sgd", "learning_rate": 0.1, "lr_scheduler_type": "constant", "weight_decay": 0.0}


def tweets(rows: int, vocabulary: int = 2_000) -> Dataset:
    """Return rows of different lengths whose first word tells their label."""
    random = np.random.default_rng(rows)
    labels = random.integers(0, 2, rows).tolist()
    ids = [[101, 2000 + label, *random.integers(1000, vocabulary, random.integers(1, 30)), 102] for label in labels]
    return Dataset.from_dict({"input_ids": ids, "labels": labels})


def arguments(folder: Path, **values: Any) -> TrainingArguments:
    quiet = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, "logging_steps": 1}
    recipe = Recipe().with_values(quiet | values)
    return training_arguments(recipe.training, Precision("fp32", ""), folder)


@pytest.fixture
def trained(classifier_folder: Path, tmp_path: Path) -> Callable[..., tuple[list[dict[str, float]], dict[str, Any]]]:
    """Train the small BERT with the package's own ``train``; return its log and its weights."""

    def run(data: Dataset, size: int, accumulation: int, **more: Any) -> tuple[list[dict[str, float]], dict[str, Any]]:
        model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
        history = tmp_path / f"{size}x{accumulation}.jsonl"
        values = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation} | SGD | more
        splits = {"train": data, "validation": data}
        train(model, tokenizer, splits, arguments(tmp_path, **values), history=history, compute_metrics=lambda _: {})
        log = [json.loads(line) for line in history.read_text().splitlines()]
        return [entry for entry in log if "loss" in entry], model.state_dict()

    return run


@pytest.mark.parametrize(
    ("rows", "smoothing"),
    [(16, 0.0), (14, 0.1), (13, 0.0)],
    ids=["even", "last batch of 2, smoothed", "last batch of 1"],
)
def test_accumulated_batches_learn_as_one_large_batch(trained, rows: int, smoothing: float) -> None:
    data = tweets(rows)
    settings = {"num_train_epochs": 4, "label_smoothing_factor": smoothing}
    (one, weights), (four, other) = trained(data, 16, 1, **settings), trained(data, 4, 4, **settings)
    assert [entry["step"] for entry in one] == [entry["step"] for entry in four] == [1, 2, 3, 4]
    for name in ("loss", "grad_norm"):
        assert [entry[name] for entry in four] == pytest.approx([entry[name] for entry in one], rel=1e-4)
    assert one[0]["loss"] != pytest.approx(one[-1]["loss"], rel=1e-2)  # it did learn
    for name, weight in weights.items():
        torch.testing.assert_close(other[name], weight, atol=1e-5, rtol=1e-5)


def test_the_loss_is_torchs_cross_entropy() -> None:
    """Parts of a step, of any size, sum to the loss of the whole step; what is ignored counts for nothing."""
    torch.manual_seed(0)
    for smoothing in (0.0, 0.1, 0.5):
        logits, labels = torch.randn(10, 2), torch.randint(0, 2, (10,))
        labels[3] = IGNORED
        loss = ExactLoss(smoothing)
        expected = cross_entropy(logits, labels, label_smoothing=smoothing)
        torch.testing.assert_close(loss({"logits": logits}, labels), expected)
        for cut, count in ((7, torch.tensor(9)), (1, 9)):
            parts = [loss({"logits": logits[part]}, labels[part], count) for part in (slice(cut), slice(cut, 10))]
            torch.testing.assert_close(sum(parts), expected)


def test_half_precision_logits_give_a_float32_loss() -> None:
    assert ExactLoss()({"logits": torch.randn(4, 2).half()}, torch.tensor([0, 1, 1, 0])).dtype == torch.float32


@pytest.fixture
def trainer(classifier_folder: Path, tmp_path: Path) -> Callable[..., SentimentTrainer]:
    def make(**values: Any) -> SentimentTrainer:
        model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
        data = TokenRows(tweets(50), tokenizer)
        return SentimentTrainer(
            model, arguments(tmp_path, **values), train_dataset=data, eval_dataset=data, processing_class=tokenizer
        )

    return make


def test_evaluation_keeps_the_order_of_the_data(trainer) -> None:
    built = trainer(per_device_eval_batch_size=8)
    data = tweets(50)
    result = built.predict(built.eval_dataset)
    assert result.label_ids.tolist() == data["labels"]
    built.model.eval()
    with torch.inference_mode():
        alone = [built.model(input_ids=torch.tensor([ids])).logits[0].numpy() for ids in data["input_ids"]]
    np.testing.assert_allclose(result.predictions, alone, atol=1e-4)
    assert np.ptp(result.predictions[:, 0]) > 1e-2  # the rows can be told apart


def test_training_batches_hold_tweets_of_like_length(trainer) -> None:
    batches = list(trainer(per_device_train_batch_size=4).get_train_dataloader())
    assert sum(len(batch["labels"]) for batch in batches) == 50
    ragged = [int(batch["attention_mask"].sum(1).max() - batch["attention_mask"].sum(1).min()) for batch in batches]
    assert np.mean(ragged) < 4


def test_the_order_is_seeded_by_data_seed_else_seed(trainer) -> None:
    for seeds, expected in (({"seed": 3}, 3), ({"seed": 3, "data_seed": 7}, 7), ({"data_seed": 0}, 0)):
        assert trainer(**seeds).get_train_dataloader().batch_sampler.seed == expected


def test_operations_are_six_for_each_token_and_weight_outside_the_embeddings(trainer) -> None:
    built = trainer()
    weights = sum(parameter.numel() for name, parameter in built.model.named_parameters() if "_embeddings." not in name)
    assert built.floating_point_ops({"input_ids": torch.zeros(2, 3)}) == 6 * 2 * 3 * weights


def test_a_loss_that_is_not_finite_stops_training_with_one_error(classifier_folder: Path, tmp_path: Path) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    values = {"learning_rate": 1e30, "max_grad_norm": 0, "num_train_epochs": 1, "per_device_train_batch_size": 8}
    history, splits = tmp_path / "history.jsonl", {"train": tweets(40), "validation": tweets(8)}
    settings = arguments(tmp_path, **SGD | values)
    with pytest.raises(RunError, match="diverged"):
        train(model, tokenizer, splits, settings, history=history, compute_metrics=lambda _: {}, shown=False)
    losses = [entry["loss"] for entry in map(json.loads, history.read_text().splitlines()) if "loss" in entry]
    assert losses[0] is not None
    assert losses[-1] is None


def test_the_best_weights_are_kept_not_the_last(classifier_folder: Path, tmp_path: Path) -> None:
    """Train on reversed labels: every epoch is worse than the one before, so the first is the best."""
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    data = tweets(64)
    turned = data.map(lambda row: {"labels": 1 - row["labels"]})
    settings = arguments(
        tmp_path / "checkpoints",
        num_train_epochs=4,
        per_device_train_batch_size=16,
        learning_rate=1e-3,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
    )
    history = tmp_path / "history.jsonl"
    splits = {"train": turned, "validation": data}
    outcome = train(model, tokenizer, splits, settings, history=history, compute_metrics=lambda _: {})
    losses = [entry["eval_loss"] for entry in map(json.loads, history.read_text().splitlines()) if "eval_loss" in entry]
    assert len(losses) == 4
    assert losses.index(min(losses)) < 3, "the last epoch is the best one: this shows nothing"
    assert outcome.best_metric == pytest.approx(min(losses))
    assert outcome.best_step == 4 * (losses.index(min(losses)) + 1)
    again = SentimentTrainer(model, settings, eval_dataset=TokenRows(data, tokenizer))
    again.compute_loss_func = ExactLoss()
    assert again.evaluate()["eval_loss"] == pytest.approx(min(losses), rel=1e-4)


class Kill(TrainerCallback):
    """Send this process a SIGTERM while step ``at`` is computed."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.at - 1:
            os.kill(os.getpid(), signal.SIGTERM)


class KillScoring(TrainerCallback):
    """Send this process two SIGTERMs while the weights of step ``at`` are scored."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


STOPS = {
    "epoch": [*((Kill, at) for at in (3, 5, 10)), *((KillScoring, at) for at in (5, 10))],
    "steps": [(Kill, 3), (Kill, 5), (KillScoring, 3)],
}


@pytest.mark.parametrize("strategy", STOPS)
def test_stopping_anywhere_changes_nothing(small_bert: Callable[..., Path], tmp_path: Path, strategy: str) -> None:
    """Five steps an epoch, two epochs, scored after each epoch or each third step; also stopped in just such a step."""
    folder, data = str(small_bert(dropout=0.2)), tweets(40)
    when = {"eval_strategy": strategy, "save_strategy": strategy, "eval_steps": 3, "save_steps": 3}
    values = when | {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 1e-3}
    values |= {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}

    def run(home: Path, callbacks: list[Any], resume_from: Path | None = None) -> tuple[Any, dict[str, Any], list[Any]]:
        set_seed(3)
        model, tokenizer = models.load_model_and_tokenizer(folder)
        settings, history = arguments(home, **values), tmp_path / f"{home.name}.jsonl"
        common = {"history": history, "compute_metrics": lambda _: {}, "resume_from": resume_from}
        outcome = train(model, tokenizer, {"train": data, "validation": data}, settings, callbacks=callbacks, **common)
        log = [json.loads(line) for line in history.read_text().splitlines()]
        scores = [(entry["step"], entry["eval_loss"]) for entry in log if "eval_loss" in entry]
        return outcome, model.state_dict(), scores

    whole, weights, evaluations = run(tmp_path / "whole", [])
    assert (whole.steps, whole.epochs) == (10, 2.0)
    assert whole.tweets_per_second == pytest.approx(80 / whole.seconds, rel=0.01 / whole.seconds)  # hundredths
    for number, (kill, at) in enumerate(STOPS[strategy]):
        home = tmp_path / f"parts{number}"
        first, *_ = run(home, [kill(at)])
        assert (first.signal, first.steps, first.epochs) == (signal.SIGTERM, at, at / 5)
        checkpoint = newest_complete(home)
        assert checkpoint.name == f"checkpoint-{at}"
        before = training_seconds(checkpoint)
        second, other, evaluations_of_both = run(home, [], checkpoint)
        assert second.signal is None
        assert (second.steps, second.best_step, second.best_metric) == (10, whole.best_step, whole.best_metric)
        assert second.seconds >= math.floor(before * 100) / 100
        assert evaluations_of_both == evaluations, (kill, at)
        assert all(torch.equal(other[name], weight) for name, weight in weights.items()), (kill, at)


@pytest.mark.parametrize(("opposite", "best"), [(False, 10), (True, 5)], ids=["falling loss", "rising loss"])
def test_of_equal_scores_the_lower_loss_wins(
    classifier_folder: Path, tmp_path: Path, opposite: bool, best: int
) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    values = SGD | {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    settings = arguments(tmp_path, **values, num_train_epochs=2, per_device_train_batch_size=8)
    data, history = tweets(40), tmp_path / "history.jsonl"
    validation = data.map(lambda row: {"labels": 1 - row["labels"]}) if opposite else data
    splits = {"train": data, "validation": validation}
    outcome = train(model, tokenizer, splits, settings, history=history, compute_metrics=lambda _: {"accuracy": 0.5})
    losses = [entry["eval_loss"] for entry in map(json.loads, history.open()) if "eval_loss" in entry]
    assert (losses[1] > losses[0]) == opposite
    assert (outcome.best_step, outcome.best_metric) == (best, 0.5)


def test_a_signal_after_the_last_step_leaves_a_checkpoint(classifier_folder: Path, tmp_path: Path) -> None:
    """Save a checkpoint, since otherwise all steps would be lost with the process."""
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    data, settings = tweets(40), arguments(tmp_path, eval_strategy="epoch", max_steps=4, metric_for_best_model="loss")
    common = {"history": tmp_path / "history.jsonl", "compute_metrics": lambda _: {}, "callbacks": [KillScoring(4)]}
    outcome = train(model, tokenizer, {"train": data, "validation": data}, settings, **common)
    assert (outcome.signal, outcome.steps) == (signal.SIGTERM, 4)
    saved = load_file(newest_complete(tmp_path) / "model.safetensors")
    assert newest_complete(tmp_path).name == "checkpoint-4"
    assert all(torch.equal(saved[name], weight) for name, weight in model.state_dict().items() if name in saved)
    again, _ = models.load_model_and_tokenizer(str(classifier_folder))
    common |= {"callbacks": [], "resume_from": newest_complete(tmp_path)}
    ended = train(again, tokenizer, {"train": data, "validation": data}, settings, **common)
    assert (ended.signal, ended.steps) == (None, 4)  # in mid-epoch, where Trainer would take a fifth
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("at", [3, 6])
def test_a_signal_leaves_a_checkpoint_where_only_better_ones_are_kept(
    classifier_folder: Path, tmp_path: Path, at: int
) -> None:
    """Those of the signal are scored while it comes; in the second case they are worse than those before."""
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    worse = iter([0.9, 0.8, 0.7])
    values = {"eval_strategy": "steps", "eval_steps": 3, "save_strategy": "best", "metric_for_best_model": "accuracy"}
    common = {"history": tmp_path / "history.jsonl", "compute_metrics": lambda _: {"accuracy": next(worse)}}
    splits = {"train": tweets(80), "validation": tweets(40)}
    outcome = train(model, tokenizer, splits, arguments(tmp_path, **values), callbacks=[KillScoring(at)], **common)
    assert (outcome.signal, outcome.steps) == (signal.SIGTERM, at)
    assert newest_complete(tmp_path).name == f"checkpoint-{at}"


def test_two_processes_learn_as_one(small_bert: Callable[..., Path], tmp_path: Path, s140) -> None:
    """16 tweets to train on, which is one global batch: 2 processes x 4 tweets x 2 accumulated, or 16 in one."""
    common = {"model_name_or_path": small_bert("BertModel"), "max_samples": 60, "validation_size": 22, "test_size": 22}
    common |= {"num_train_epochs": 3, "optim": "sgd", "learning_rate": 0.05, "weight_decay": 0}
    one, two = tmp_path / "one", tmp_path / "two"
    s140("train", "--output-dir", one, *flags(**common, per_device_train_batch_size=16))
    spread = flags(**common, per_device_train_batch_size=4, gradient_accumulation_steps=2)
    stdout, _ = finish_ranks("train", "--output-dir", two, *spread, "--json")
    assert json.loads((two / "environment.json").read_text())["processes"] == 2
    assert json.loads((two / "environment.json").read_text())["training"]["steps"] == 3
    first, second = (load_file(folder / "model" / "model.safetensors") for folder in (one, two))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, atol=1e-5, rtol=1e-5)
    json.loads(stdout)  # one object, not one from each process


ODD = {
    "integer": [-1, 0, 2**63 - 1],
    "number": [-1.0, 0.0, 1e-300, 1e308],
    "string": ["x", ""],
    "boolean": [True, False],
    None: [5, "x", {"a": 1}, [1]],
}
OF_THE_PROCESS = ("full_determinism", "torch_compile")  # they would change the other attempts


class StopAfterOneStep(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = True


@pytest.mark.long
def test_any_value_of_any_argument_is_refused_or_trains(classifier_folder: Path, tmp_path: Path) -> None:
    settings = build_schema()["$defs"]["TrainingConfig"]["properties"]
    data, trained = tweets(8), 0
    for name, schema in settings.items():
        kinds = {option.get("type") for option in schema.get("anyOf", [schema])} - {"null"}
        for value in (value for kind in kinds for value in ODD.get(kind, ODD[None]) if name not in OF_THE_PROCESS):
            try:
                chosen = arguments(tmp_path, **({"eval_strategy": "epoch"} | {name: value}))
                model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
                train(
                    *(model, tokenizer, {"train": data, "validation": data}, chosen),
                    history=tmp_path / "history.jsonl",
                    compute_metrics=lambda _: {"eval_accuracy": 0.5},
                    callbacks=[StopAfterOneStep()],
                )
                trained += 1
            except S140Error:
                continue
            except Exception as error:
                error.add_note(f"{name}: {value!r}")
                raise
    assert trained > len(settings)
