"""The types of a checkpoint's JSON files, and of the index of a repository of checkpoints."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from sentiment140_bert.schemas.basics import Count, Number, Positive, Sha256


class FileDigest(TypedDict):
    """The size and hash that a file must have."""

    size: Count
    sha256: Sha256


class Manifest(TypedDict):
    """``complete.json`` of a checkpoint."""

    step: Count
    seconds: Number
    files: dict[Annotated[str, Field(pattern=r"^[^/\\]+$")], FileDigest]


class CheckpointIndex(TypedDict):
    """``checkpoints.json`` of a repository that keeps a run's checkpoints."""

    format: Literal[1]
    newest: Annotated[str, Field(pattern=r"^checkpoint-[1-9][0-9]{0,11}$")]
    files: dict[str, FileDigest]


class TrainerControlState(TypedDict):
    """A checkpoint's state of transformers' ``TrainerControl``."""

    args: dict[str, bool]
    attributes: dict[str, Any]


class EarlyStoppingArguments(TypedDict):
    """The settings of transformers' ``EarlyStoppingCallback``."""

    early_stopping_patience: Positive
    early_stopping_threshold: Number


class EarlyStoppingCount(TypedDict):
    """The evaluations in a row without a better score."""

    early_stopping_patience_counter: Count


class EarlyStoppingState(TypedDict):
    """A checkpoint's state of our ``EarlyStopping``."""

    args: EarlyStoppingArguments
    attributes: EarlyStoppingCount


class CallbackStates(TypedDict):
    """A checkpoint's states of callbacks; those of others are not restored."""

    TrainerControl: TrainerControlState
    EarlyStopping: NotRequired[EarlyStoppingState]


class CheckpointState(TypedDict):
    """A checkpoint's ``trainer_state.json``: transformers' ``TrainerState``."""

    global_step: Count
    max_steps: Count
    num_train_epochs: Count
    best_global_step: Count | None
    best_model_checkpoint: str | None
    best_metric: Number | None
    epoch: Number
    log_history: list[dict[str, float | int | str | None]]
    total_flos: Number
    eval_steps: NotRequired[Positive | None]
    save_steps: NotRequired[Positive | None]
    logging_steps: NotRequired[Positive | None]
    num_input_tokens_seen: NotRequired[Number]
    train_batch_size: Count
    stateful_callbacks: CallbackStates


class ScheduleState(TypedDict):
    """A checkpoint's ``scheduler.pt``: the state of torch's ``LambdaLR``."""

    base_lrs: list[Number]
    last_epoch: Count
    _step_count: Count
    _last_lr: list[Number]
