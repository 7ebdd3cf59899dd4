from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments

from sentiment140_bert.errors import HardwareError, RecipeError
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.settings import TrainingConfig
from sentiment140_bert.training.arguments import OURS, Precision, choose_precision, training_arguments

FP32 = Precision("fp32", "as asked")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def built(**values: Any) -> TrainingArguments:
    return training_arguments(Recipe().with_values(values).training, FP32, Path("checkpoints"))


@without_gpu
@pytest.mark.parametrize("asked", [{"precision": "fp16"}, {"precision": "bf16"}, {"fp16": True}, {"bf16": True}])
def test_half_precision_without_a_gpu_is_refused(asked: dict[str, Any]) -> None:
    name = asked.get("precision") or next(iter(asked))
    with pytest.raises(HardwareError, match=name) as caught:
        choose_precision(TrainingConfig(**asked))
    assert "--precision auto" in caught.value.hint


@without_gpu
@pytest.mark.parametrize(("asked", "why"), [("auto", "no CUDA GPU"), ("fp32", "as asked")])
def test_a_cpu_computes_in_fp32_and_says_why(asked: Any, why: str) -> None:
    assert choose_precision(TrainingConfig(precision=asked)) == Precision("fp32", why)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_auto_takes_what_the_gpu_has() -> None:
    best = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    assert choose_precision(TrainingConfig()).name == best


@without_gpu
def test_the_command_line_names_the_missing_gpu(s140: Any) -> None:
    result = s140("train", "--recipe", "quickstart", "--precision", "fp16", "--output-dir", "new", code=1)
    assert "fp16 was asked for" in result.stderr
    assert not Path("new").exists()


def test_every_field_is_named_as_in_training_arguments() -> None:
    ours = {each.name for each in dataclasses.fields(TrainingConfig)}
    assert ours - OURS <= {each.name for each in dataclasses.fields(TrainingArguments)}
    assert ours >= OURS


def test_every_value_arrives() -> None:
    changed = {
        "num_train_epochs": 1.5,
        "max_steps": 7,
        "learning_rate": 3e-4,
        "per_device_train_batch_size": 3,
        "per_device_eval_batch_size": 5,
        "gradient_accumulation_steps": 2,
        "weight_decay": 0.2,
        "warmup_steps": 0.25,
        "lr_scheduler_type": "cosine",
        "optim": "adamw_torch",
        "max_grad_norm": 0.5,
        "label_smoothing_factor": 0.1,
        "eval_strategy": "steps",
        "eval_steps": 4,
        "save_strategy": "steps",
        "save_steps": 8,
        "save_total_limit": 5,
        "metric_for_best_model": "eval_loss",
        "logging_steps": 3,
        "seed": 5,
    }
    arguments = built(**changed)
    assert {name: getattr(arguments, name) for name in changed} == changed
    assert arguments.report_to == []
    assert arguments.push_to_hub is False


@pytest.mark.parametrize(
    ("key", "value"), [("adam_beta2", 0.98), ("max_grad_norm", 0.1), ("torch_empty_cache_steps", 9)]
)
def test_set_reaches_the_other_fields(key: str, value: float) -> None:
    from sentiment140_bert.cli.options import resolved

    config = resolved(None, {}, [f"{key}={value}"]).training
    assert getattr(training_arguments(config, FP32, Path("checkpoints")), key) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr_scheduler_type", "no-such-schedule"),
        ("optim", "no-such-optimizer"),
        ("logging_strategy", "sometimes"),
        ("torch_empty_cache_steps", -1),
        ("adam_beta2", "high"),
        ("ignore_data_skip", "perhaps"),
    ],
)
def test_a_value_that_training_arguments_would_choke_on_is_a_recipe_error(key: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=f"{value}|{key}"):
        built(**{key: value})


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("cosine_with_min_lr", {}, "with lr_scheduler_kwargs not set: One of min_lr or min_lr_rate should be set"),
        ("warmup_stable_decay", {}, "missing 1 required positional argument: 'num_decay_steps'"),
        ("linear", {"min_lr": 1e-6}, "unexpected keyword argument 'min_lr'"),
        ("polynomial", {"lr_end": 1.0}, "must be smaller"),
    ],
)
def test_a_schedule_that_misses_something_is_a_recipe_error(kind: str, more: dict[str, float], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        built(lr_scheduler_type=kind, **({"lr_scheduler_kwargs": more} if more else {}))
    built(lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs={"min_lr": 1e-6})
