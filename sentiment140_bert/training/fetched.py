"""A checkpoint that came from elsewhere, looked at before anything is made of it: whoever wrote it may mean harm."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields
from pathlib import Path

from sentiment140_bert import shapes
from sentiment140_bert.errors import RunError
from sentiment140_bert.shapes import checked
from sentiment140_bert.training.checkpoints import MANIFEST, manifest_of

# What torch raises for files that are none of its own, or hold more than numbers.
UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
HINT = "Name another --checkpoint-repo-id, or start anew with --overwrite."


def check(checkpoint: Path) -> None:
    """Makes sure that a whole checkpoint can be gone on from: its manifest names all of its files, its weights are
    safetensors, its state is as Trainer writes it, and its other files hold numbers only. Nothing in them is ever run.

    Args:
        checkpoint: The folder, named ``checkpoint-N``, beside the best one that it may name.

    Raises:
        RunError: It cannot.
    """
    import torch
    from safetensors import SafetensorError, safe_open
    from transformers.trainer_pt_utils import safe_globals

    if manifest_of(checkpoint)["files"].keys() != {each.name for each in checkpoint.iterdir()} - {MANIFEST}:
        raise RunError(f"{MANIFEST} of {checkpoint.name} does not name the files that are there.", HINT)
    _check_state(checkpoint)
    weights = checkpoint / "model.safetensors"
    try:
        with safe_open(weights, "pt") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise RunError(f"{weights.name} of {checkpoint.name} is no safetensors file: {error}.", HINT) from None
    for file in sorted([*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")]):
        try:
            with safe_globals():  # of numpy's, as Trainer itself allows; weights_only lets nothing else in
                torch.load(file, map_location="cpu", weights_only=True)
        except UNREADABLE as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise RunError(
                f"{file.name} of {checkpoint.name} is refused: it is damaged, or holds more than numbers "
                f"({type(error).__name__}: {said[0][:200]}).",
                HINT,
            ) from None


def _check_state(checkpoint: Path) -> None:
    from transformers import TrainerState

    name = f"{checkpoint.name}/trainer_state.json"
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{name} cannot be read: {error}.", HINT) from None
    state = checked(state, shapes.CheckpointState, name)
    unknown = state.keys() - {each.name for each in fields(TrainerState)}
    if unknown:
        raise RunError(f"{name} holds what Trainer does not know: {', '.join(sorted(unknown)[:3])}.", HINT)
    if checkpoint.name != f"checkpoint-{state['global_step']}":
        raise RunError(f"{name} is of step {state['global_step']}.", HINT)
