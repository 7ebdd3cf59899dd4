from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments

from sentiment140_bert.errors import HardwareError, RecipeError
from sentiment140_bert.recipe import Recipe, TrainingConfig
from sentiment140_bert.training.arguments import NOT_PASSED, Precision, choose_precision, training_arguments, unusual

FP32 = Precision("fp32", "as requested")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def built(**values: Any) -> TrainingArguments:
    return training_arguments(Recipe().with_values(values).training, FP32, Path("checkpoints"))


# Asked for, whether there is a GPU, whether that or else the processor has bf16; what is chosen, None for a refusal.
CHOICES = [
    *(("auto", False, False, "fp32"), ("auto", True, False, "fp16"), ("auto", True, True, "bf16")),
    *(("fp32", False, False, "fp32"), ("fp32", True, False, "fp32"), ("fp32", True, True, "fp32")),
    *(("fp16", False, False, None), ("fp16", True, False, "fp16"), ("fp16", True, True, "fp16")),
    *(("bf16", False, False, None), ("bf16", True, False, None), ("bf16", True, True, "bf16")),
    *(("auto", False, True, "bf16"), ("fp32", False, True, "fp32")),
    *(("fp16", False, True, None), ("bf16", False, True, "bf16")),
]


def test_precision_on_every_kind_of_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace torch's answers about the hardware: no machine has all kinds."""
    for requested, gpu, bf16, name in CHOICES:
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda bf16=bf16: {"avx512_bf16": bf16}, raising=False)
        # A GPU without bf16 emulates it, slowly: torch says so unless it is asked not to.
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True, bf16=bf16: bf16 or including_emulation
        )
        spellings = [TrainingConfig(precision=requested)]
        spellings += [TrainingConfig(**{requested: True})] if requested[2:] == "16" else []
        for config in spellings:
            if name:
                assert choose_precision(config).name == name, (requested, gpu, bf16)
            else:
                with pytest.raises(HardwareError, match=f"{requested} was requested"):
                    choose_precision(config)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_auto_uses_what_the_gpu_supports() -> None:
    best = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    assert choose_precision(TrainingConfig()).name == best


@without_gpu
def test_the_command_line_names_the_missing_gpu(s140: Any) -> None:
    result = s140("train", "--recipe", "quickstart", "--precision", "fp16", "--output-dir", "new", code=1)
    assert "fp16 was requested" in result.stderr
    assert "--precision auto" in result.stderr
    assert not Path("new").exists()


def test_every_field_is_named_as_in_training_arguments() -> None:
    fields = set(TrainingConfig.model_fields)
    assert fields - NOT_PASSED <= {field.name for field in dataclasses.fields(TrainingArguments)}
    assert fields >= NOT_PASSED


def test_every_value_arrives() -> None:
    changed = {
        **{"num_train_epochs": 1.5, "max_steps": 7, "learning_rate": 3e-4, "per_device_train_batch_size": 3},
        **{"per_device_eval_batch_size": 5, "gradient_accumulation_steps": 2, "weight_decay": 0.2},
        **{"warmup_steps": 0.25, "lr_scheduler_type": "cosine", "optim": "adamw_torch", "max_grad_norm": 0.5},
        **{"label_smoothing_factor": 0.1, "eval_strategy": "steps", "eval_steps": 4, "save_strategy": "steps"},
        **{"save_steps": 8, "save_total_limit": 5, "metric_for_best_model": "eval_loss", "logging_steps": 3, "seed": 5},
    }
    arguments = built(**changed)
    assert {name: getattr(arguments, name) for name in changed} == changed
    assert arguments.report_to == []
    assert arguments.push_to_hub is False


def test_what_no_recipe_changes() -> None:
    arguments = built()
    assert arguments.logging_nan_inf_filter is False  # a loss that is not finite must be noticed
    assert arguments.remove_unused_columns is False
    assert arguments.label_names == ["labels"]
    assert arguments.disable_tqdm is True
    assert Path(arguments.output_dir) == Path("checkpoints")
    for name in ("fp32", "fp16", "bf16"):
        config = TrainingConfig(lr_scheduler_type="linear")
        if name != "fp16" or torch.cuda.is_available():
            settings = training_arguments(config, Precision(name, ""), Path("checkpoints"))
            assert (settings.fp16, settings.bf16) == (name == "fp16", name == "bf16")


# Where a run is described these are not mentioned: the weights do not depend on them.
UNMENTIONED = {
    **{"logging_steps": 3, "report_to": ("wandb",), "run_name": "mine", "keep_checkpoints": True},
    **{"save_total_limit": 9, "per_device_eval_batch_size": 3, "precision": "fp32"},
}
MENTIONED = {
    **{"learning_rate": 3e-4, "num_train_epochs": 1.5, "weight_decay": 0.2, "label_smoothing_factor": 0.1, "seed": 5},
    **{"gradient_accumulation_steps": 2, "max_grad_norm": 0.5, "layerwise_lr_decay": 0.9},
}


def test_what_is_unusual_is_what_differs_and_matters() -> None:
    usual = unusual(TrainingConfig())
    for name, value in UNMENTIONED.items():
        assert unusual(TrainingConfig().model_copy(update={name: value})) == usual, name
    for name, value in MENTIONED.items():
        assert unusual(TrainingConfig().model_copy(update={name: value})) == usual | {name: value}, name
    defaults = {field.name: field.default for field in dataclasses.fields(TrainingArguments)}
    same = TrainingConfig().model_copy(update={name: defaults[name] for name in ("weight_decay", "seed")})
    assert not {"weight_decay", "seed"} & unusual(same).keys()
    assert unusual(TrainingConfig(adam_beta2=0.98)) == usual | {"adam_beta2": 0.98}


def test_set_reaches_the_other_fields() -> None:
    from sentiment140_bert.cli.options import resolve_recipe

    values = {"adam_beta2": 0.98, "max_grad_norm": 0.1, "torch_empty_cache_steps": 9}
    config = resolve_recipe(None, {}, [f"{key}={value}" for key, value in values.items()]).training
    arguments = training_arguments(config, FP32, Path("checkpoints"))
    assert {key: getattr(arguments, key) for key in values} == values


INCOMPLETE = [
    ("cosine_with_min_lr", {}, "with lr_scheduler_kwargs not set: One of min_lr or min_lr_rate should be set"),
    ("warmup_stable_decay", {}, "missing 1 required positional argument: 'num_decay_steps'"),
    ("linear", {"min_lr": 1e-6}, "unexpected keyword argument 'min_lr'"),
    ("polynomial", {"lr_end": 1.0}, "must be smaller"),
]


def test_a_schedule_that_misses_something_is_a_recipe_error() -> None:
    for kind, more, reason in INCOMPLETE:
        with pytest.raises(RecipeError, match=reason):
            built(lr_scheduler_type=kind, **({"lr_scheduler_kwargs": more} if more else {}))
    built(lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs={"min_lr": 1e-6})


# What the Trainer would refuse once all tweets are prepared, and what fills a machine with processes.
UNUSABLE = {
    "optim_args": ("x=y,z", "optim: adamw_torch_fused with optim_args x=y,z: not enough values"),
    "optim": ("galore_adamw", "optim: galore_adamw with optim_args not set: You need to "),
    "adam_epsilon": (-1.0, "must be at least 0"),
    "torch_empty_cache_steps": (-1, "torch_empty_cache_steps"),
    "logging_strategy": ("sometimes", "sometimes"),
    "ignore_data_skip": ("perhaps", "ignore_data_skip"),
    "gradient_accumulation_steps": (10**12, "must be at most 10000"),
}


def test_an_optimizer_or_a_size_that_cannot_work_is_a_recipe_error() -> None:
    for key, (value, reason) in UNUSABLE.items():
        with pytest.raises(RecipeError, match=reason):
            built(**{key: value})
    for optimizer in ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd"):
        built(optim=optimizer)
    built(optim="galore_adamw", optim_target_modules="attention")  # which a dummy has not: its model decides
