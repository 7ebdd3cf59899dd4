"""MLflow: a server, a Databricks workspace, or a file beside you. Nothing here touches the caller's active run."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sentiment140_bert.errors import RunError
from sentiment140_bert.tracking import mlflow_model
from sentiment140_bert.tracking.story import CARD, Point, State, Story
from sentiment140_bert.tracking.tracker import PROJECT, Remember, Tracker

log = logging.getLogger(__name__)
KEY = "s140.key"  # a tag: by it a run is found again whose creation was answered to nobody
AT_ONCE = 1000  # metrics that a server takes in one request
NOTE = 8000  # characters of a tag
# An unreachable server is given up within two minutes, where MLflow would take twenty; addresses are told by us.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
NOISY = (
    "urllib3.connectionpool",
    "mlflow.system_metrics",
    "mlflow.store",
    "mlflow.transformers",
    "mlflow.tracking",
    "alembic",
)


class Mlflow(Tracker):
    """An MLflow run, by its id: active runs belong to threads, and this one to none."""

    name = "mlflow"

    def __init__(self, story: Story, known: dict[str, Any]) -> None:
        super().__init__(story, known)
        self.callers = _callers_run()
        self.monitor: Any = None

    def open(self, remember: Remember) -> None:
        for logger in NOISY:  # what fails is reported by us, and once
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        with self._server() as uri:
            run = self._known_run(uri) or self._new_run(uri, remember)
            self.run_id = run.info.run_id
            remember({"id": self.run_id, "experiment": run.info.experiment_id, "tracking_uri": without_password(uri)})
            url = self._url(uri, run)
            remember({"url": url})
            log.info("mlflow: %s", url or f"run {self.run_id} in {without_password(uri)}")
            if self.story.live:
                if run.info.status != "RUNNING":
                    self.client.update_run(self.run_id, status="RUNNING")
                self._watch(uri)
            self._describe(run)

    def points(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, int(point.time * 1000), point.step) for point in points]
        with self._server():
            for start in range(0, len(metrics), AT_ONCE):
                self.client.log_batch(self.run_id, metrics=metrics[start : start + AT_ONCE])

    def file(self, name: str, content: bytes) -> None:
        folder, _, last = name.rpartition("/")
        with self._server(), tempfile.TemporaryDirectory(prefix="s140-") as temporary:
            path = Path(temporary) / last
            path.write_bytes(content)
            self.client.log_artifact(self.run_id, str(path), folder or None)
            if name == "data.json":
                self._inputs(json.loads(content))
            elif name == CARD:
                self.client.set_tag(self.run_id, "mlflow.note.content", _without_front_matter(content.decode())[:NOTE])

    def scores(self) -> None:
        from mlflow.entities import Metric

        when = int(self.story.run.metrics.stat().st_mtime * 1000)
        step = self.story.last_step()
        metrics = [Metric(name, value, when, step) for name, value in self.story.scores().items()]
        with self._server():
            self.client.log_batch(self.run_id, metrics=metrics)

    def published(self) -> None:
        with self._server():
            for kind, url in self.story.urls().items():
                self.client.set_tag(self.run_id, f"published.{kind}", url)

    def model(self) -> None:
        settings = self.story.settings
        if settings.log_model is False:
            return
        with self._server() as uri, _everywhere(uri):
            model_uri = mlflow_model.log(self.story, self.run_id)
            if settings.register_model:
                version = mlflow_model.register(model_uri, settings.register_model, settings.model_alias)
                log.info("mlflow: registered as %s, version %s", settings.register_model, version)

    def close(self, state: State) -> None:
        with self._server():
            if self.monitor is not None:
                self.monitor.finish()
            if not self.callers and (
                self.story.live or self.client.get_run(self.run_id).info.status not in ("FINISHED", "FAILED", "KILLED")
            ):
                self.client.set_terminated(self.run_id, state.name)

    @contextmanager
    def _server(self) -> Iterator[str]:
        """The server's address; within, MLflow is as patient and loud as DEFAULTS or the caller say."""
        import mlflow

        asked: bool = mlflow.is_tracking_uri_set()
        uri = mlflow.get_tracking_uri() if asked else self.known.get("tracking_uri") or mlflow.get_tracking_uri()
        added = {name: value for name, value in DEFAULTS.items() if name not in os.environ}
        os.environ.update(added)
        try:
            self.client = mlflow.MlflowClient(uri)
            yield uri
        finally:
            for name in added:
                os.environ.pop(name, None)

    def _known_run(self, uri: str) -> Any:
        """The run that ``tracking.json`` names, or the caller's own."""
        from mlflow.exceptions import MlflowException

        run_id = self.known.get("id")
        if run_id is None:
            return self.client.get_run(self.callers) if self.callers else None
        if self.callers != run_id:
            self.callers = None
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise RunError(
                f"{without_password(uri)} has no run {run_id}; it was begun on {self.known.get('tracking_uri')}",
                "Set MLFLOW_TRACKING_URI to where the run is.",
            ) from None

    def _new_run(self, uri: str, remember: Remember) -> Any:
        """Begins a run; one that a lost answer hid is found again by its key."""
        experiment = self._experiment(uri)
        key = self.known.get("key")
        if key:
            found = self.client.search_runs([experiment], f"tags.`{KEY}` = '{key}'")
            if found:
                return found[0]
        key = key or secrets.token_hex(8)
        remember({"key": key})
        tags = {KEY: key, "mlflow.source.name": "s140", "mlflow.source.type": "LOCAL"}
        return self.client.create_run(experiment, tags=tags, run_name=self.story.title)

    def _experiment(self, uri: str) -> str:
        """The experiment that the caller or the environment chose; else the project's, made if need be."""
        from mlflow.exceptions import MlflowException
        from mlflow.tracking.fluent import _get_experiment_id

        chosen = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self.story.project
        current = _get_experiment_id()
        if not chosen and current not in (None, "0"):
            return str(current)
        name = chosen or (f"/Shared/{PROJECT}" if uri.startswith("databricks") else PROJECT)
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        try:
            return str(self.client.create_experiment(name))
        except MlflowException as error:  # another process was faster
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return self._experiment(uri)

    def _describe(self, run: Any) -> None:
        """Settings and tags; what the run has already is left as it is, for MLflow lets no parameter change."""
        from mlflow.entities import Param, RunTag

        settings = self.story.settings
        params = {name: str(value) for name, value in self.story.params().items() if name not in run.data.params}
        tags = {"group": settings.group, "tags": ",".join(settings.tags), "s140.run": self.story.title}
        self.client.log_batch(
            self.run_id,
            params=[Param(name, value[:500]) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items() if value],
        )

    def _inputs(self, data: dict[str, Any]) -> None:
        """The splits as dataset inputs, each with its digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = data["sources"]["training"]
        inputs = [
            DatasetInput(
                Dataset(
                    name=f"{source['name']} ({name})",
                    digest=split["sha256"][:36],
                    source_type="hugging_face" if source["on_hub"] else "local",
                    source=json.dumps(
                        {"name": source["name"], "revision": source["revision"], "sha256": source["sha256"]}
                    ),
                    profile=json.dumps({"num_rows": split["rows"], "token_length": split["token_length"]}),
                ),
                [InputTag("mlflow.data.context", name)],
            )
            for name, split in data["splits"].items()
        ]
        self.client.log_inputs(self.run_id, datasets=inputs)

    def _watch(self, uri: str) -> None:
        """Begins to log the machine's load, memory and GPU."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor: Any = SystemMetricsMonitor
        self.monitor = monitor(self.run_id, resume_logging=True, tracking_uri=uri)
        self.monitor.start()

    def _url(self, uri: str, run: Any) -> str | None:
        """Where people can look at the run; None where there is no server."""
        if uri.startswith("databricks"):
            from mlflow.utils import databricks_utils

            credentials: Any = databricks_utils.get_databricks_host_creds
            host, place = credentials(uri).host, "ml"
        elif uri.startswith(("http://", "https://")):
            host, place = without_password(uri), "#"
        else:
            return None
        return f"{host.rstrip('/')}/{place}/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def _callers_run() -> str | None:
    """The id of a run that is open already: it belongs to whoever opened it."""
    mlflow: Any = sys.modules.get("mlflow")
    active = mlflow.active_run() if mlflow else None
    return active.info.run_id if active else os.environ.get("MLFLOW_RUN_ID")


@contextmanager
def _everywhere(uri: str) -> Iterator[None]:
    """Makes ``uri`` what MLflow's functions without a client use, and puts back what was."""
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def without_password(uri: str) -> str:
    """An address without the user and password it may hold."""
    parts = urlsplit(uri)
    return uri if "@" not in parts.netloc else parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _without_front_matter(card: str) -> str:
    return re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
