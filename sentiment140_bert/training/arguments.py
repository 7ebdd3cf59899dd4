"""Turn a recipe's training section into ``TrainingArguments``, with a precision that this machine has."""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import HardwareError, RecipeError, RunError
from sentiment140_bert.machine.facts import multiplies_bf16
from sentiment140_bert.recipe import CHANGEABLE, TrainingConfig
from sentiment140_bert.recipe.privacy import OWN_PLACES

if TYPE_CHECKING:
    from transformers import TrainingArguments

log = logging.getLogger(__name__)
# Not passed on. Trainer's own auto_find_batch_size would shrink the step itself and keep weights already trained.
NOT_PASSED = {*CHANGEABLE, "precision", "fp16", "bf16", "auto_find_batch_size", "layerwise_lr_decay"}
NOT_PASSED |= {"early_stopping_patience"}  # an argument of the callback
# What makes accelerate compile one encoder layer for all of them, and for tweets of any length; without it, Trainer
# compiles the whole model, which takes minutes (docs/performance.md).
COMPILED_LAYERS = {"ACCELERATE_DYNAMO_USE_REGIONAL_COMPILATION": "true", "ACCELERATE_DYNAMO_USE_DYNAMIC": "true"}
# Without influence on the weights: a description of a run need not mention them.
ROUTINE = {*CHANGEABLE, *OWN_PLACES, "logging_steps", "save_total_limit", "per_device_eval_batch_size", "precision"}


@dataclass(frozen=True)
class Precision:
    """A number format: ``name`` is fp32, fp16 or bf16; ``why`` is the reason in words."""

    name: str
    why: str


def choose_precision(config: TrainingConfig) -> Precision:
    """Choose the precision, or check the one that was requested.

    Raises:
        HardwareError: fp16 or bf16 was requested and this machine does not have it.
    """
    import torch

    requested = "fp16" if config.fp16 else "bf16" if config.bf16 else config.precision
    if not torch.cuda.is_available():
        return _choose_without_gpu(requested)
    gpu = torch.cuda.get_device_name()
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if requested == "bf16" and not has_bf16:
        raise HardwareError(f"bf16 was requested, but {gpu} does not support it.", "Use --precision auto or fp16.")
    if requested != "auto":
        return Precision(requested, "as requested")
    return Precision("bf16", f"{gpu} supports it") if has_bf16 else Precision("fp16", f"{gpu} does not support bf16")


def _choose_without_gpu(requested: str) -> Precision:
    if requested == "fp16":
        raise HardwareError(
            "fp16 was requested, but this machine has no CUDA GPU.",
            "Use --precision auto, or install the CUDA build of torch if there is a GPU.",
        )
    if requested == "bf16" and not multiplies_bf16():
        raise HardwareError(
            "bf16 was requested, but this machine has no CUDA GPU, and its processor has no instructions for it "
            "(AVX512_BF16 or AMX).",
            "Use --precision auto or fp32, or install the CUDA build of torch if there is a GPU.",
        )
    if requested != "auto":
        return Precision(requested, "as requested")
    if multiplies_bf16():
        return Precision("bf16", "no CUDA GPU; the processor has it")
    return Precision("fp32", "no CUDA GPU, and no bf16 in the processor")


def training_arguments(config: TrainingConfig, precision: Precision, checkpoints: Path) -> TrainingArguments:
    """Build the arguments.

    Args:
        config: The recipe's section; its names are TrainingArguments' own.
        precision: From :func:`choose_precision`.
        checkpoints: The folder that the Trainer writes ``checkpoint-N`` into.

    Raises:
        RecipeError: TrainingArguments refuses a value, or the optimizer or the schedule does.
    """
    import torch
    from transformers import TrainingArguments

    values: dict[str, Any] = {
        # Else the copy of a batch to a GPU waits for the step before it,
        "accelerator_config": {"non_blocking": torch.cuda.is_available()},
        # and so does a look at each loss, which would also leave one that is not finite out of the mean.
        "logging_nan_inf_filter": False,
    }
    values |= config.model_dump(exclude=NOT_PASSED)
    with explain_refusal():
        settings = TrainingArguments(
            output_dir=str(checkpoints),
            fp16=precision.name == "fp16",
            bf16=precision.name == "bf16",
            report_to=[],  # trackers are added by hand, once their run is open
            # Without it several processes on a machine without a GPU would not find each other.
            use_cpu=not (torch.cuda.is_available() or torch.backends.mps.is_available()),
            disable_tqdm=True,  # `callbacks.Progress` has a bar
            dataloader_pin_memory=torch.cuda.is_available(),
            label_names=["labels"],
            remove_unused_columns=False,  # batches come whole
            **values,
        )
    if settings.torch_compile:
        os.environ.update(COMPILED_LAYERS)
    _try_optimizer_and_schedule(settings)
    return settings


@contextmanager
def explain_refusal(setting: str = "") -> Iterator[None]:
    """Explain what transformers or torch refuse in the block as a mistake in the recipe.

    Args:
        setting: The setting that is wrong, and its value.

    Raises:
        RecipeError: They refuse it.
    """
    try:
        yield
    except (ValueError, TypeError, ImportError, ArithmeticError) as error:  # of processes and memory others are raised
        reason = " ".join(str(error).split())
        raise RecipeError([f"{setting}: {reason}" if setting else reason], "the training section") from None


def _try_optimizer_and_schedule(settings: TrainingArguments) -> None:
    """Build both for a dummy model; the Trainer would build them after all preparations."""
    import torch
    from transformers import Trainer, get_scheduler

    model, steps = torch.nn.Linear(1, 1), 1_000_000
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=settings.learning_rate)
    if settings.optim_target_modules is None:  # else its modules are looked for in the model itself
        with explain_refusal(f"optim: {settings.optim.value} with optim_args {settings.optim_args or 'not set'}"):
            cls, options = Trainer.get_optimizer_cls_and_kwargs(settings, model)
            if not options.keys() & {"params", "model", "optimizer_dict"}:  # of those that are built of a whole model
                optimizer = cls(model.parameters(), **options)
    kind, more = settings.lr_scheduler_type, settings.lr_scheduler_kwargs
    name = getattr(kind, "value", kind)
    with explain_refusal(f"lr_scheduler_type: {name} with lr_scheduler_kwargs {more or 'not set'}"):
        get_scheduler(kind, optimizer, settings.get_warmup_steps(steps), steps, more)


def unusual(config: TrainingConfig) -> dict[str, Any]:
    """Return the settings that differ from TrainingArguments' defaults and influence the weights."""
    from transformers import TrainingArguments

    defaults = {field.name: field.default for field in dataclasses.fields(TrainingArguments)}
    defaults["layerwise_lr_decay"] = TrainingConfig().layerwise_lr_decay
    values = config.model_dump(exclude=ROUTINE)
    return {name: value for name, value in values.items() if value != defaults.get(name)}


def set_up_processes(settings: TrainingArguments) -> Any:
    """Set up this run's processes; return accelerate's ``PartialState``, by which they wait for each other."""
    _ = settings.device  # sets them up
    if settings.n_gpu > 1:
        # Trainer would wrap the model into DataParallel: slower than one process a GPU, and its loss is summed twice.
        log.warning(
            "%d GPUs are available, one is used; to use all: torchrun --nproc_per_node %d …", *[settings.n_gpu] * 2
        )
        from sentiment140_bert.training.private_trainer import use_one_gpu

        use_one_gpu(settings)
    if "ACCELERATE_USE_CPU" in os.environ and "MASTER_ADDR" in os.environ and settings.world_size == 1:
        log.warning(
            "one process was started: without MPI `accelerate launch --cpu` starts only one; for several, with or "
            "without GPUs: accelerate launch --multi_gpu --num_processes 2 …, or torchrun --nproc_per_node 2 …"
        )
    return settings.distributed_state


def share_value(processes: Any, value: bool) -> bool:
    """Return the main process's ``value`` in all of them; each waits for it."""
    from accelerate.utils import broadcast_object_list

    if processes.num_processes == 1:
        return value
    values = [value]
    broadcast_object_list(values)
    return values[0]


def keep_step_size(settings: TrainingArguments, processes: int) -> TrainingArguments:
    """Return the settings with which the processes of now share a step of as many tweets as those that began the run.

    Args:
        settings: Those of the recipe.
        processes: The number of processes that began the run.

    Raises:
        RunError: The tweets of a step cannot be shared out equally.
    """
    now = settings.world_size
    if processes == now:
        return settings
    tweets = settings.per_device_train_batch_size * settings.gradient_accumulation_steps * processes
    shared = copy.copy(settings)
    shared.gradient_accumulation_steps *= -(-processes // now)
    shared.per_device_train_batch_size, rest = divmod(tweets, now * shared.gradient_accumulation_steps)
    if rest or not shared.per_device_train_batch_size:
        raise RunError(
            f"The run was started with {processes} processes, which share the {tweets} tweets of a step; {now} cannot "
            "share them equally.",
            f"Resume it with {processes} processes, or a number that divides {tweets}.",
        )
    return shared
