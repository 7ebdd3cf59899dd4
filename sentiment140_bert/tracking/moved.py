"""What of a ``tracking.json`` still holds on another machine, which has nothing else of the trackers' files."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from sentiment140_bert import shapes
from sentiment140_bert.credentials import without_password
from sentiment140_bert.shapes import checked

NAME = re.compile(r"[\w .:+-]{1,200}")  # of a run or project; never a path


def moved(content: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The part of ``tracking.json`` that a run keeps when it goes on elsewhere.

    What lay in files beside the run (wandb offline, Trackio and TensorBoard here, MLflow in a file) did not come along
    and is told anew. An address is never taken over: whoever wrote the file would learn this machine's passwords.

    Args:
        content: Of the file, which anybody may have written.

    Returns:
        The new content, and sentences about what is not gone on with as it was.

    Raises:
        RunError: It is not as this package writes it.
    """
    known: dict[str, dict[str, Any]] = checked(content, shapes.Tracking, "tracking.json")
    kept: dict[str, dict[str, Any]] = {}
    said: list[str] = []
    for tracker, entry in known.items():
        if tracker in ("wandb", "trackio"):
            kept[tracker] = _named(entry, "id", "project") | (_sent(entry) if entry.get("url") else {})
        elif tracker == "mlflow":
            kept[tracker], sentence = _mlflow(entry)
            said += [sentence] if sentence else []
        elif tracker == "tensorboard":
            kept[tracker] = {}
    return kept, said


def _mlflow(entry: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The run's id where this machine would tell the same server, or has the same file."""
    there, run_id = entry.get("tracking_uri"), entry.get("id")
    if not importlib.util.find_spec("mlflow") or not run_id:
        return _named(entry, "key"), ""
    here = _mlflow_here()
    if there == here and (not _is_file(here) or _has_run(here, run_id)):
        theirs = {"theirs": True} if entry.get("theirs") is True else {}
        return _named(entry, "id", "experiment", "key") | _sent(entry) | theirs, ""
    return {}, (
        f"mlflow: the run so far is in {there}, but this machine tells {here}, where another run is begun; "
        "MLFLOW_TRACKING_URI says which"
    )


def _mlflow_here() -> str:
    import mlflow

    from sentiment140_bert.tracking.artifact_places import absolute

    return without_password(absolute(mlflow.get_tracking_uri()))


def _has_run(uri: str, run_id: Any) -> bool:
    """Whether a file of MLflow that is here knows the run."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.MlflowClient(uri).get_run(str(run_id))
    except MlflowException:
        return False
    return True


def _is_file(uri: str) -> bool:
    return uri.startswith(("sqlite:", "file:", "/"))


def _named(entry: dict[str, Any], *keys: str) -> dict[str, Any]:
    found = {key: entry.get(key) for key in keys}
    return {key: value for key, value in found.items() if isinstance(value, str) and NAME.fullmatch(value)}


def _sent(entry: dict[str, Any]) -> dict[str, Any]:
    return {"sent": entry["sent"]} if "sent" in entry else {}
