"""Track a run with MLflow: a server, a Databricks workspace, or a file. The caller's active run stays as it is."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from sentiment140_bert import trust
from sentiment140_bert.credentials import strip_passwords
from sentiment140_bert.errors import TrackerError, first_line
from sentiment140_bert.schemas import TrackerState
from sentiment140_bert.tracking import mlflow_models
from sentiment140_bert.tracking.mlflow_places import NO_OTHER_HOST, absolute, check_artifacts
from sentiment140_bert.tracking.sync_state import foreign_run, make_id
from sentiment140_bert.tracking.tracked_run import CARD, Point, RunStatus, TrackedRun, digest
from sentiment140_bert.tracking.tracker import PROJECT, Remember, Tracker

log = logging.getLogger(__name__)
PARENT = "mlflow.parentRunId"  # as MLflow's own nested runs have it
# MLflow's own stores in the current folder, which may have come as an archive; a journal can name a file to be removed.
DEFAULT_STORES = ("mlflow.db", "mlflow.db-journal", "mlflow.db-wal", "mlruns")
# A tag with a hash of the run directory's key: it finds a run whose creation was never answered, and tells whose run it
# is, which nobody can say who only reads the tag.
KEY = "s140.key"
CALLERS = "mlflow run"  # the kind of place that a caller's own active run is
AT_ONCE = 1000  # metrics that a server takes in one request
NOTE = 8000  # characters of a tag
DESCRIPTION = "mlflow.note.content"  # the tag that MLflow shows as a run's description
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
WEIGHTS_TIMEOUT = 300  # seconds: a server may pass them on to a bucket before it answers


class Mlflow(Tracker):
    """An MLflow run, addressed by its id: active runs belong to threads, and this one to none."""

    name = "mlflow"
    # `sync` retries: MLflow's client would repeat a request whose answer was lost, which makes a second run.
    environment: Mapping[str, str] = NO_OTHER_HOST | {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    defaults: ClassVar[Mapping[str, str]] = {TIMEOUT: "20"}
    how_to_name = "MLFLOW_TRACKING_URI"
    quiet = (
        "urllib3.connectionpool",
        "mlflow.system_metrics",
        "mlflow.store",
        "mlflow.transformers",
        "mlflow.tracking",
    )

    def __init__(self, tracked_run: TrackedRun, state: TrackerState) -> None:
        super().__init__(tracked_run, state)
        self.callers_run = _find_callers_run()
        self.uri: str | None = None
        self.monitor: Any = None

    def unnamed_place(self) -> str:
        """Return the store that only the run names, or that was in the current folder before the user chose one."""
        earlier = self.state.get("tracking_uri")
        is_default_there = any(os.path.lexists(name) for name in DEFAULT_STORES)
        if not is_default_there and (not earlier or trust.is_known_place("mlflow", earlier)):
            return ""
        import mlflow

        if mlflow.is_tracking_uri_set():
            return ""
        own = absolute(mlflow.get_tracking_uri())
        unknown = [place for place in (own, earlier) if place and not trust.is_known_place("mlflow", place)]
        return next((place for place in unknown if place != own or is_default_there), "")

    def open(self, remember: Remember) -> None:
        import mlflow

        self.remember = remember
        is_named = mlflow.is_tracking_uri_set()
        self.uri = (not is_named and self.state.get("tracking_uri")) or mlflow.get_tracking_uri()
        trust.remember_place("mlflow", absolute(self.uri))
        self.client: Any = _client(self.uri)
        run = self._find_run() or self._new_run(remember)
        self.open_artifacts = partial(_open_artifacts, self.uri, is_named)
        self.artifacts: Any = self.open_artifacts(run.info.artifact_uri)
        self.run_id = run.info.run_id
        place = strip_passwords(absolute(self.uri))
        remember({"id": self.run_id, "experiment": run.info.experiment_id, "tracking_uri": place})
        url = self._url(run)
        remember({"url": url})
        log.info("mlflow: %s", url or f"run {self.run_id} in {place}")
        if self.tracked_run.live:
            if run.info.status != "RUNNING" and not self.state.get("theirs"):
                self.client.update_run(self.run_id, status="RUNNING")
            self._watch()
        self._describe(run)

    def points(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, int(point.time * 1000), point.step) for point in points]
        for start in range(0, len(metrics), AT_ONCE):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + AT_ONCE])

    def file(self, name: str, content: bytes) -> None:
        folder, _, last = (f"s140/{name}" if self.state.get("theirs") else name).rpartition("/")
        with tempfile.TemporaryDirectory(prefix="s140-") as temporary:
            path = Path(temporary) / last
            path.write_bytes(content)
            self.artifacts.log_artifact(str(path), folder or None)
            if name == "data.json":
                self._inputs(json.loads(content))
            elif name == CARD:
                self._describe_by_card(_shorten_card(content.decode()))

    def _describe_by_card(self, note: str) -> None:
        """Make the card the run's description, unless a person wrote another one there."""
        there = self.client.get_run(self.run_id).data.tags.get(DESCRIPTION, "")
        if there and digest(there.encode()) != self.state.get("note"):
            return
        self.client.set_tag(self.run_id, DESCRIPTION, note)
        self.state["note"] = digest(note.encode())
        self.remember({"note": self.state["note"]})

    def scores(self) -> None:
        when, step = self.tracked_run.run.metrics.stat().st_mtime, self.tracked_run.last_step()
        self.points([Point(name, step, when, value) for name, value in self.tracked_run.scores().items()])

    def published(self) -> None:
        for kind, url in self.tracked_run.urls().items():
            self.client.set_tag(self.run_id, f"published.{kind}", url)

    def model(self) -> bool:
        settings = self.tracked_run.settings
        if settings.log_model is False:
            return True
        with _default_uri(self.uri), _long_timeout():
            model_uri = mlflow_models.log_model(self.tracked_run, self.run_id, self.open_artifacts)
            return settings.register_model is None or mlflow_models.register(self.tracked_run, model_uri, self.run_id)

    def close(self, status: RunStatus) -> None:
        if self.monitor is not None:
            self.monitor.finish()
            self.monitor = None
        if not self.state.get("theirs"):
            before = self.client.get_run(self.run_id).info.status
            if self.tracked_run.live or before not in ("FINISHED", status.name):
                self.client.set_terminated(self.run_id, status.name)

    def _find_run(self) -> Any:
        """Return the run that ``tracking.json`` names."""
        from mlflow.exceptions import MlflowException

        run_id = self.state.get("id")
        if run_id is None:
            return None
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            here, there = strip_passwords(self.uri or ""), self.state.get("tracking_uri")
            raise TrackerError(
                f"{here} has no run {run_id}; it was started on {there}",
                "Set MLFLOW_TRACKING_URI to where the run is.",
            ) from None
        is_callers = self.state.get("theirs") and trust.is_known_place(CALLERS, self._place_of(run_id))
        if not is_callers and run.data.tags.get(KEY) != make_id(str(self.state.get("key", ""))):
            raise foreign_run(self.name, self.tracked_run.run)
        return run

    def _place_of(self, run_id: str) -> str:
        return f"{run_id} in {self.tracked_run.run.path.resolve()}"

    def _new_run(self, remember: Remember) -> Any:
        """Return the caller's own run, a run whose creation was never answered, or a new one.

        One of several trainings gets a run of its own below the caller's.
        """
        if self.callers_run and not self.tracked_run.is_part:
            remember({"theirs": True})
            trust.remember_place(CALLERS, self._place_of(self.callers_run))
            return self.client.get_run(self.callers_run)
        experiment = self._experiment()
        key = self.state.get("key")
        if key:
            runs = self.client.search_runs([experiment], f"tags.`{KEY}` = '{make_id(key)}'")
            if runs:
                return runs[0]
        key = key or secrets.token_hex(8)
        remember({"key": key})
        tags = {KEY: make_id(key), "mlflow.source.name": "s140", "mlflow.source.type": "LOCAL"}
        return self.client.create_run(experiment, tags=tags, run_name=self.tracked_run.title)

    def _experiment(self) -> str:
        """Return the experiment of the caller or the environment; else the project's, made if it is missing."""
        from mlflow.exceptions import MlflowException
        from mlflow.tracking.fluent import _get_experiment_id

        if self.callers_run:
            return str(self.client.get_run(self.callers_run).info.experiment_id)
        chosen = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self.tracked_run.project
        current = _get_experiment_id()
        if not chosen and current not in (None, "0"):
            return str(current)
        name = chosen or (f"/Shared/{PROJECT}" if str(self.uri).startswith("databricks") else PROJECT)
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        try:
            return str(self.client.create_experiment(name))
        except MlflowException as error:  # another process was faster
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return self._experiment()

    def _describe(self, run: Any) -> None:
        """Send settings and tags the run does not have; MLflow lets no parameter change."""
        from mlflow.entities import Param, RunTag

        settings = self.tracked_run.settings
        params = {name: str(value) for name, value in self.tracked_run.params().items() if name not in run.data.params}
        tags = {"group": settings.group, "job_type": settings.job_type, "tags": ",".join(settings.tags)}
        parent = settings.parent_run or (self.callers_run if self.tracked_run.is_part else None)
        tags |= {"s140.run": self.tracked_run.title, PARENT: parent}
        callers_tags = run.data.tags if self.state.get("theirs") else {}
        self.client.log_batch(
            self.run_id,
            params=[Param(name, value[:500]) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items() if value and name not in callers_tags],
        )

    def _inputs(self, data: dict[str, Any]) -> None:
        """Send the splits as dataset inputs, each with its digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = data["sources"]["training"]
        kind = "hugging_face" if source["on_hub"] else "local"
        place = json.dumps({key: source[key] for key in ("name", "revision", "sha256")})
        inputs = []
        for name, split in data["splits"].items():
            profile = json.dumps({"num_rows": split["rows"], "token_length": split["token_length"]})
            dataset = Dataset(f"{source['name']} ({name})", split["sha256"][:36], kind, place, profile=profile)
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", name)]))
        self.client.log_inputs(self.run_id, datasets=inputs)

    def _watch(self) -> None:
        """Start logging the machine's load, memory and GPU."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        if self.monitor is None:
            self.monitor = SystemMetricsMonitor(self.run_id, resume_logging=True, tracking_uri=self.uri)
            self.monitor.start()

    def _url(self, run: Any) -> str | None:
        """Return the address of the run's page; None without a server."""
        uri = str(self.uri)
        if uri.startswith("databricks"):
            from mlflow.utils.databricks_utils import get_databricks_host_creds

            host, place = get_databricks_host_creds(uri).host, "ml"
        elif uri.startswith(("http://", "https://")):
            host, place = strip_passwords(uri), "#"
        else:
            return None
        return f"{host.rstrip('/')}/{place}/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def _open_artifacts(server: str, is_named: bool, artifacts: str) -> Any:
    """Check and open the place of files that a server names; the client would ask for it again, and not check."""
    check_artifacts(server, artifacts, is_named)
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

    place = add_databricks_profile_info_to_artifact_uri(artifacts, server)
    return get_artifact_repository(place, tracking_uri=server)


def _client(uri: str) -> Any:
    """Connect to MLflow; a store in a file is made if it is missing.

    Raises:
        TrackerError: A process was killed that made such a store, or brought it up to date.
    """
    import mlflow

    if not uri.startswith("sqlite:"):
        return mlflow.MlflowClient(uri)
    from sqlalchemy.exc import OperationalError

    try:
        return mlflow.MlflowClient(uri)
    except OperationalError as error:
        if "already exists" not in (reason := first_line(error)):
            raise
        raise TrackerError(
            f"{absolute(uri)} was cut off while MLflow made it or brought it up to date: {reason}",
            "If no runs are in it, remove it; else put a copy in its place.",
        ) from error


def _find_callers_run() -> str | None:
    """Return the id of a run that is open already; its owner is the caller."""
    mlflow: Any = sys.modules.get("mlflow")
    active = mlflow.active_run() if mlflow else None
    return active.info.run_id if active else os.environ.get("MLFLOW_RUN_ID")


@contextmanager
def _default_uri(uri: str | None) -> Iterator[None]:
    """Make ``uri`` the default of MLflow's functions, unless the caller chose one."""
    import mlflow

    if uri is None or mlflow.is_tracking_uri_set():
        yield
        return
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)


@contextmanager
def _long_timeout() -> Iterator[None]:
    """Wait longer for an answer, unless the caller waits longer anyway."""
    before = os.environ[TIMEOUT]
    os.environ[TIMEOUT] = str(max(int(before), WEIGHTS_TIMEOUT))
    try:
        yield
    finally:
        os.environ[TIMEOUT] = before


def _shorten_card(card: str) -> str:
    """Return a card without its front matter, and as many of its sections as fit into a note, each whole."""
    text = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    if len(text) <= NOTE:
        return text
    rest = f"\n\nThe whole card is {CARD} among this run's files.\n"
    start = text[: NOTE - len(rest)]
    return (start.rpartition("<!-- end s140:")[0] or start.rpartition("\n\n")[0]).rstrip() + rest
