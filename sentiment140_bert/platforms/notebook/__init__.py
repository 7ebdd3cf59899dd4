"""What a notebook's cells call, on Colab, on Databricks and elsewhere: each a line, none with logic of its own.

A front end beside the command line: it finds what the place offers, calls the workflows, and shows what they made.
"""

from sentiment140_bert.platforms.notebook.asking import widgets
from sentiment140_bert.platforms.notebook.place import begin, choose_recipe, find_secrets, runs_folder
from sentiment140_bert.platforms.notebook.showing import (
    show_calibration,
    show_confusion_matrix,
    show_curves,
    show_scores,
)
from sentiment140_bert.platforms.notebook.steps import classify, push, train_or_resume

__all__ = [
    "begin",
    "choose_recipe",
    "classify",
    "find_secrets",
    "push",
    "runs_folder",
    "show_calibration",
    "show_confusion_matrix",
    "show_curves",
    "show_scores",
    "train_or_resume",
    "widgets",
]
