"""One function for each verb: the book's table of contents.

Each takes plain values, hands them from room to room, writes the run directory and returns what the command
line reports.
"""

from sentiment140_bert.workflows.examining import doctor
from sentiment140_bert.workflows.preparing import prepare
from sentiment140_bert.workflows.publishing import Destination, card, push_to_hub
from sentiment140_bert.workflows.reporting import report
from sentiment140_bert.workflows.runs import saved_recipe
from sentiment140_bert.workflows.scoring import answers, evaluate, evaluate_run, load_classifier, predict
from sentiment140_bert.workflows.tracks import sync_track, track
from sentiment140_bert.workflows.training import train
from sentiment140_bert.workflows.verifying import verify

__all__ = [
    "Destination",
    "answers",
    "card",
    "doctor",
    "evaluate",
    "evaluate_run",
    "load_classifier",
    "predict",
    "prepare",
    "push_to_hub",
    "report",
    "saved_recipe",
    "sync_track",
    "track",
    "train",
    "verify",
]
