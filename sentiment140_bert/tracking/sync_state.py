"""Keep ``tracking.json``: which run it is for each tracker, and what has been sent; here, and on another machine."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import threading
from typing import Any, cast

from sentiment140_bert.credentials import strip_passwords
from sentiment140_bert.errors import RunError, TrackerError
from sentiment140_bert.files import write_json
from sentiment140_bert.recipe import TRACKERS
from sentiment140_bert.run import RunDir
from sentiment140_bert.schemas import TrackerState, Tracking, check_schema

NAME = re.compile(r"[\w .:+-]{1,200}")  # of a run or project; never a path


class SyncState:
    """The content of ``tracking.json``: for each tracker which run it is, and under ``sent`` what was sent."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.lock = threading.Lock()
        self.content = run.read_tracking()

    def get(self, tracker: str) -> TrackerState:
        """Return a copy of what is remembered of a tracker."""
        return {**self.content.get(tracker, {})}

    def write(self, tracker: str, values: TrackerState) -> None:
        """Remember ``values`` of a tracker, at once.

        Raises:
            TrackerError: The tracker named its run so that the file could not be read again.
        """
        try:
            check_schema(values, TrackerState, f"The answer of {tracker}")
        except RunError as error:
            raise TrackerError(error.message, "Is it the right server?") from None
        with self.lock:
            self.content[tracker] = {**self.get(tracker), **values}
            write_json(self.run.tracking, self.content)


def make_id(key: str) -> str:
    """Return the id of a tracked run. Only ``tracking.json`` has its key, which proves that this run started it."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def has_key(state: TrackerState) -> bool:
    """Return True if a tracker's state has the key to the id that it names."""
    key, run_id = state.get("key"), state.get("id")
    return bool(key and run_id) and str(run_id).rpartition("-")[2] == make_id(str(key))


def foreign_run(tracker: str, run: RunDir) -> TrackerError:
    """Return the error for a tracked run that this run directory did not start."""
    return TrackerError(
        f"{tracker}: tracking.json of {run.path} names a tracked run that this run did not start. Nothing is sent.",
        "Remove tracking.json to start its own tracked run.",
    )


def move_state(content: Any) -> tuple[Tracking, list[str]]:
    """Return the part of another machine's ``tracking.json`` that still holds here, and remarks about the rest.

    What lay in files next to the run (wandb offline, Trackio on disk, MLflow in a file, any other tracker) did not come
    along and is sent again. No address is taken over: the writer of the file would learn this machine's passwords.

    Args:
        content: Content of the file, which may come from a stranger.

    Raises:
        RunError: It is not as this package writes it.
    """
    states = check_schema(content, Tracking, "tracking.json")
    moved: Tracking = {}
    remarks: list[str] = []
    for tracker, state in states.items():
        if tracker in ("wandb", "trackio"):
            moved[tracker] = _names(state, "id", "key", "project") | _pick(state, "sent" if state.get("url") else "")
        elif tracker == "mlflow":
            moved[tracker], remark = _move_mlflow(state)
            remarks += [remark] if remark else []
        elif tracker in TRACKERS:
            moved[tracker] = {}
    return moved, remarks


def _move_mlflow(state: TrackerState) -> tuple[TrackerState, str]:
    """Keep the run's id where this machine uses the same server, or has the same file."""
    there, run_id = state.get("tracking_uri"), state.get("id")
    if not importlib.util.find_spec("mlflow") or not run_id:
        return _names(state, "key"), ""
    import mlflow

    from sentiment140_bert.tracking.mlflow_places import absolute

    here = strip_passwords(absolute(mlflow.get_tracking_uri()))
    if there == here and (not here.startswith(("sqlite:", "file:", "/")) or _has_run(here, run_id)):
        return _names(state, "id", "experiment", "key") | _pick(state, "sent", "theirs"), ""
    return {}, (
        f"mlflow: the run so far is in {there}, but this machine uses {here}, where another run is started; "
        "MLFLOW_TRACKING_URI says which"
    )


def _has_run(uri: str, run_id: str) -> bool:
    """Return True if MLflow's file on this machine knows the run."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.MlflowClient(uri).get_run(run_id)
    except MlflowException:
        return False
    return True


def _names(state: TrackerState, *keys: str) -> TrackerState:
    names = {key: value for key, value in _pick(state, *keys).items() if NAME.fullmatch(str(value or ""))}
    return cast(TrackerState, names)


def _pick(state: TrackerState, *keys: str) -> TrackerState:
    return cast(TrackerState, {key: value for key, value in state.items() if key in keys})
