"""One function for each verb: the book's table of contents.

Each takes plain values, hands them from room to room, writes the run directory and returns what the command
line reports. The names are resolved when they are first used, so that a verb loads no more than it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment140_bert.workflows.answering import (
        answer_rows,
        answers,
        load_classifier,
        open_classifier,
        predict,
    )
    from sentiment140_bert.workflows.comparing import compare
    from sentiment140_bert.workflows.converting import convert
    from sentiment140_bert.workflows.examining import doctor
    from sentiment140_bert.workflows.exporting import export
    from sentiment140_bert.workflows.judging import evaluate
    from sentiment140_bert.workflows.learning_curves import learning_curve, redrawn_curve
    from sentiment140_bert.workflows.preparing import prepare, preview
    from sentiment140_bert.workflows.publishing import Destination, card, push_to_hub
    from sentiment140_bert.workflows.reporting import report
    from sentiment140_bert.workflows.runs import saved_recipe
    from sentiment140_bert.workflows.scoring import evaluate_run
    from sentiment140_bert.workflows.suspecting import suspects
    from sentiment140_bert.workflows.tracks import sync_track, track
    from sentiment140_bert.workflows.training import train
    from sentiment140_bert.workflows.tuning import tune
    from sentiment140_bert.workflows.verifying import verify

_HOMES = {
    "Destination": "publishing",
    "answer_rows": "answering",
    "answers": "answering",
    "card": "publishing",
    "compare": "comparing",
    "convert": "converting",
    "doctor": "examining",
    "evaluate": "judging",
    "evaluate_run": "scoring",
    "export": "exporting",
    "learning_curve": "learning_curves",
    "load_classifier": "answering",
    "open_classifier": "answering",
    "predict": "answering",
    "prepare": "preparing",
    "preview": "preparing",
    "push_to_hub": "publishing",
    "redrawn_curve": "learning_curves",
    "report": "reporting",
    "saved_recipe": "runs",
    "suspects": "suspecting",
    "sync_track": "tracks",
    "track": "tracks",
    "train": "training",
    "tune": "tuning",
    "verify": "verifying",
}
__all__ = [
    "Destination",
    "answer_rows",
    "answers",
    "card",
    "compare",
    "convert",
    "doctor",
    "evaluate",
    "evaluate_run",
    "export",
    "learning_curve",
    "load_classifier",
    "open_classifier",
    "predict",
    "prepare",
    "preview",
    "push_to_hub",
    "redrawn_curve",
    "report",
    "saved_recipe",
    "suspects",
    "sync_track",
    "track",
    "train",
    "tune",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
