"""Arguments of the Trainer that a recipe may set without a setting of their own, and those that it must not set."""

from __future__ import annotations

import dataclasses
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from sentiment140_bert.recipe.sections import TrainingConfig
from sentiment140_bert.recipe.values import (
    Integer,
    NonNegativeNumber,
    Number,
    Options,
    PositiveInteger,
    Probability,
    Seconds,
    Seed,
)

RESERVED_ARGUMENTS = {
    "output_dir": "use --output-dir",
    "resume_from_checkpoint": "use --resume",
    "restore_callback_states_from_checkpoint": "checkpoints do not restore callbacks",
    "accelerator_config": "name its settings one by one, as TrainingArguments does",
    "hub_token": "a token belongs in the environment (HF_TOKEN) or in `hf auth login`, never in a file",
    "push_to_hub": "use `s140 train --push-to-hub --repo-id user/model`",
    "hub_model_id": "use --repo-id",
    "hub_private_repo": "use --private",
    "hub_strategy": "a finished run is published, in one commit",
    "remove_unused_columns": "the data columns are this package's own",
    "train_sampling_strategy": "this package batches by length itself, and evaluation keeps its order",
    "do_train": "`s140 train` always trains",
    "do_eval": "use eval_strategy",
    "enable_jit_checkpoint": "a signal always writes a checkpoint",
    "use_cpu": "it follows the hardware; CUDA_VISIBLE_DEVICES= hides a GPU",
    "label_names": "the model decides it",
    "dataloader_pin_memory": "it follows the hardware",
    "dataloader_drop_last": "training uses every tweet",
    "dataloader_prefetch_factor": "the batches are this package's own",
    "dataloader_persistent_workers": "the batches are this package's own",
    "prediction_loss_only": "the scores need predictions",
    "batch_eval_metrics": "the scores need all predictions at once",
    "eval_do_concat_batches": "the scores need all predictions at once",
    "fsdp": "models of this size need no sharding",
    "deepspeed": "models of this size need no sharding",
    "fsdp_config": "models of this size need no sharding",
    "parallelism_config": "models of this size need no sharding",
    "local_rank": "torchrun decides it",
    "dataloader_multiprocessing_context": "the batches are this package's own",
    "include_for_metrics": "the scores are this package's own",
    "use_liger_kernel": "it has no kernels for these models",
    "liger_kernel_config": "it has no kernels for these models",
    "debug": "it is for debugging the Trainer itself",
    "disable_tqdm": "the progress bar adapts to the terminal",
}
LogLevel = Literal["debug", "info", "warning", "error", "critical", "passive"]
# Which values TrainingArguments, which checks little but types, and the Trainer can use.
VALUES: dict[str, Any] = {
    "adam_beta1": Probability,
    "adam_beta2": Probability,
    "adam_epsilon": NonNegativeNumber,
    "neftune_noise_alpha": Annotated[NonNegativeNumber, Field(le=1000)] | None,
    "eval_accumulation_steps": PositiveInteger | None,
    "ddp_bucket_cap_mb": PositiveInteger | None,
    "ddp_timeout": Seconds,
    "data_seed": Seed | None,
    "gradient_checkpointing_kwargs": Options | None,
    "activation_checkpointing_kwargs": Options | None,
    "log_level": LogLevel,
    "log_level_replica": LogLevel,
    "torch_compile_backend": Literal["eager", "aot_eager", "inductor", "cudagraphs"] | None,
    "torch_compile_mode": Literal["default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune"]
    | None,
}
PLAIN_TYPES: dict[Any, Any] = {bool: bool, int: Integer, float: Number, str: str}


@cache
def other_arguments() -> TypeAdapter[dict[str, Any]]:
    """Return the type of all other arguments; transformers, which takes seconds to import, is asked for them.

    Values of plain types and :data:`VALUES` are checked here, all others by TrainingArguments itself.
    """
    from transformers import TrainingArguments

    types = get_type_hints(TrainingArguments)
    annotations = {
        field.name: Annotated[
            VALUES.get(field.name, _plain_type(types[field.name])), Field(description=field.metadata.get("help"))
        ]
        for field in dataclasses.fields(TrainingArguments)
        if field.init
        and not field.name.startswith("_")
        and field.name not in RESERVED_ARGUMENTS
        and field.name not in TrainingConfig.model_fields
    }
    arguments = TypedDict("OtherArguments", annotations, total=False)  # type: ignore[misc]
    arguments.__pydantic_config__ = ConfigDict(extra="forbid", coerce_numbers_to_str=True)  # type: ignore[attr-defined]
    adapter: TypeAdapter[Any] = TypeAdapter(arguments)
    return adapter


def _plain_type(annotation: Any) -> Any:
    """Return what a value is checked against: Any where it is more than one plain type."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    plain = [PLAIN_TYPES.get(option, Any) for option in options if option is not NoneType]
    if len(plain) != 1:
        return Any
    return plain[0] | None if NoneType in options else plain[0]
