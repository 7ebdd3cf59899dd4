"""Check a checkpoint before training resumes from it: a stranger may have written it."""

from __future__ import annotations

import json
import math
import pickle
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError
from sentiment140_bert.schemas import check_schema
from sentiment140_bert.training import memory
from sentiment140_bert.training.checkpoints import MANIFEST, read_manifest
from sentiment140_bert.trust.model_files import check_archive

# What torch and transformers raise for files that are not their own, or that hold more than numbers.
UNREADABLE = (
    *(pickle.UnpicklingError, RuntimeError, OSError, EOFError),
    *(ValueError, LookupError, TypeError, AttributeError),
)
ADAM = {"step", "exp_avg", "exp_avg_sq"}
MOMENTS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"}  # of a weight's own shape
HINT = "Remove this checkpoint to resume from the one before, or start a new run with --overwrite."


def check_names(checkpoint: Path) -> None:
    """Make sure that a checkpoint consists of the files that its manifest names.

    Raises:
        RunError: It does not.
    """
    if read_manifest(checkpoint)["files"].keys() != {path.name for path in checkpoint.iterdir()} - {MANIFEST}:
        raise RunError(f"{MANIFEST} of {checkpoint.name} does not match the files that are there.", HINT)


def check_contents(checkpoint: Path) -> None:
    """Make sure that a checkpoint can be read: its weights are safetensors, its state is what Trainer writes, and its
    other files hold numbers only. Nothing in them is run.

    Args:
        checkpoint: The folder, named ``checkpoint-N``.

    Raises:
        RunError: It cannot.
    """
    import torch
    from safetensors import SafetensorError, safe_open
    from transformers.trainer_pt_utils import safe_globals

    _check_state(checkpoint)
    weights = checkpoint / "model.safetensors"
    try:
        with safe_open(weights, "pt") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise RunError(f"{weights.name} of {checkpoint.name} is not a safetensors file: {error}.", HINT) from None
    for file in sorted([*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")]):
        with refuse_unreadable(f"{file.name} of {checkpoint.name}"), safe_globals():  # of numpy's, as Trainer allows
            check_archive(file)
            _check_tensors(torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)))


def is_stopped_early(checkpoint: Path) -> bool:
    """Return True if training ended with this checkpoint, as no score had improved for long enough.

    Args:
        checkpoint: The folder, after :func:`check_contents`.
    """
    state: schemas.CheckpointState = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    saved = state["stateful_callbacks"].get("EarlyStopping")
    if saved is None:
        return False
    return saved["attributes"]["early_stopping_patience_counter"] >= saved["args"]["early_stopping_patience"]


def _check_tensors(content: Any) -> None:
    """Refuse tensors that claim more than they hold: copying one would fill the memory."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value
        elif hasattr(value, "untyped_storage") and value.nbytes > value.untyped_storage().nbytes():
            raise ValueError(f"a tensor claims {value.numel():,} values, more than it holds")


def _check_state(checkpoint: Path) -> None:
    from transformers import TrainerState

    name = f"{checkpoint.name}/trainer_state.json"
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{name} cannot be read: {error}.", HINT) from None
    state = check_schema(state, schemas.CheckpointState, name, HINT)
    unknown = state.keys() - {field.name for field in fields(TrainerState)}
    if unknown:
        raise RunError(f"{name} has entries that Trainer does not know: {', '.join(sorted(unknown)[:3])}.", HINT)
    if checkpoint.name != f"checkpoint-{state['global_step']}":
        raise RunError(f"{name} says that it is of step {state['global_step']}.", HINT)


@contextmanager
def refuse_unreadable(name: str) -> Iterator[None]:
    """Turn what torch and transformers raise while they read a checkpoint into one error.

    Args:
        name: The file or part that is read, for the error.

    Raises:
        RunError: It cannot be read. Out-of-memory errors are raised as they are.
    """
    try:
        yield
    except UNREADABLE as error:
        if isinstance(error, RuntimeError) and memory.is_out_of_memory(error):
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise RunError(
            f"{name} is refused: it is damaged, or not of this model, or holds more than numbers "
            f"({type(error).__name__}: {reason[0][:200]}).",
            HINT,
        ) from None


def check_schedule(checkpoint: Path, own: Collection[str]) -> None:
    """Make sure that a checkpoint's schedule has no other values than the run's: it would set any attribute.

    Args:
        checkpoint: The folder.
        own: The keys of the run's own state.

    Raises:
        RunError: It has others, or is not the state of a schedule.
    """
    import torch

    file = checkpoint / "scheduler.pt"
    with refuse_unreadable(f"{file.name} of {checkpoint.name}"):
        content = torch.load(file, map_location="cpu", weights_only=True)
        other = {*content.keys()} - {*own}
    if other:
        raise RunError(f"{file.name} of {checkpoint.name} holds {str(min(other, key=str))[:40]!r}.", HINT)


def check_loaded(optimizer: Any, scheduler: Any) -> None:
    """Compare what a checkpoint brought with what the run has: steps compute with it, and fused ones write where its
    shapes lead.

    Args:
        optimizer: With the checkpoint's state.
        scheduler: With the checkpoint's state.

    Raises:
        RunError: A value is of another type or shape, or is not a finite number.
    """
    import torch

    for weights, state in optimizer.state.items():
        if not isinstance(weights, torch.Tensor) or not isinstance(state, dict):
            raise RunError("The checkpoint's optimizer.pt has states of weights that this model does not have.", HINT)
        for name in MOMENTS & state.keys():
            _check_moment(name, state[name], weights)
    inner = getattr(optimizer, "optimizer", optimizer)  # accelerate's wrapper has the one that computes
    if isinstance(inner, torch.optim.Adam):  # AdamW is one; what other optimizers keep, they alone know
        _check_adam(inner)
    state = scheduler.state_dict()
    if "base_lrs" in state:  # a schedule by steps; one by scores has numbers of its own
        state = check_schema(state, schemas.ScheduleState, "The checkpoint's scheduler.pt", HINT)
    for name in ("base_lrs", "_last_lr"):
        if len(state.get(name, optimizer.param_groups)) != len(optimizer.param_groups):
            raise RunError(f"The checkpoint's scheduler.pt has {len(state[name])} {name}.", HINT)


def _check_moment(name: str, moment: Any, weights: Any) -> None:
    if not hasattr(moment, "shape"):
        raise RunError(f"The checkpoint's optimizer.pt has {name} = {str(moment)[:40]!r}.", HINT)
    if moment.shape != weights.shape or not (moment.is_contiguous() and moment.is_floating_point()):
        raise RunError(
            f"The checkpoint's optimizer.pt is not of this model: {name} has the shape {[*moment.shape]} where "
            f"weights have {[*weights.shape]}.",
            HINT,
        )


def _check_adam(optimizer: Any) -> None:
    """Make sure that every weight has what Adam's step computes with, and that its settings are numbers."""
    for state in optimizer.state.values():
        if not ADAM <= state.keys() <= ADAM | {"max_exp_avg_sq"}:
            raise RunError(
                f"The checkpoint's optimizer.pt has {', '.join(map(str, state))[:80]} of some weights.", HINT
            )
        step = state["step"]
        if getattr(step, "numel", int)() > 1 or not math.isfinite(float(step)):
            raise RunError("The checkpoint's optimizer.pt has a step count that is not a number.", HINT)
    for group in optimizer.param_groups:
        for name, default in optimizer.defaults.items():
            if not _is_like(group.get(name), default):
                raise RunError(f"The checkpoint's optimizer.pt has {name} = {str(group.get(name))[:40]!r}.", HINT)


def _is_like(value: Any, default: Any) -> bool:
    """Return True if an optimizer can compute with a value in the place of its default."""
    if isinstance(default, (tuple, list)):
        return isinstance(value, (tuple, list)) and len(value) == len(default) and all(map(_is_like, value, default))
    if default is None or isinstance(default, bool):
        return value is default or value in (None, False) or (default is None and value is True)
    if isinstance(default, (int, float)):
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return True  # a tensor, which torch itself compares
