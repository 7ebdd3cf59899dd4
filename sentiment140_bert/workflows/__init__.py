"""One function for each verb: the book's table of contents.

Each takes plain values, hands them from room to room, writes the run directory and returns what the command
line reports.
"""

from sentiment140_bert.workflows.answering import answers, load_classifier, predict
from sentiment140_bert.workflows.comparing import compare
from sentiment140_bert.workflows.examining import doctor
from sentiment140_bert.workflows.judging import evaluate
from sentiment140_bert.workflows.learning_curves import learning_curve, redrawn_curve
from sentiment140_bert.workflows.preparing import prepare
from sentiment140_bert.workflows.publishing import Destination, card, push_to_hub
from sentiment140_bert.workflows.reporting import report
from sentiment140_bert.workflows.runs import saved_recipe
from sentiment140_bert.workflows.scoring import evaluate_run
from sentiment140_bert.workflows.suspecting import suspects
from sentiment140_bert.workflows.tracks import sync_track, track
from sentiment140_bert.workflows.training import train
from sentiment140_bert.workflows.verifying import verify

__all__ = [
    "Destination",
    "answers",
    "card",
    "compare",
    "doctor",
    "evaluate",
    "evaluate_run",
    "learning_curve",
    "load_classifier",
    "predict",
    "prepare",
    "push_to_hub",
    "redrawn_curve",
    "report",
    "saved_recipe",
    "suspects",
    "sync_track",
    "track",
    "train",
    "verify",
]
