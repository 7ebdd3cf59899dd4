"""A real MLflow server on loopback, with a SQLite store and a registry, that can be killed and come back."""

from __future__ import annotations

import os
from pathlib import Path

from local_server import LocalServer


class MlflowServer(LocalServer):
    """`mlflow server`, on a free port that it keeps."""

    def __init__(self, folder: Path) -> None:
        words = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
        words += ["--artifacts-destination", str(folder / "artifacts")]
        quiet = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        quiet["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # five more processes, for what is not asked of it
        super().__init__(folder, "mlflow", "server", *words, env=quiet)


def runs_of(server: MlflowServer, experiment: str) -> list:
    """Return the runs of an experiment on the server."""
    import mlflow

    client = mlflow.MlflowClient(server.url)
    match = client.get_experiment_by_name(experiment)
    return list(client.search_runs([match.experiment_id])) if match else []


def steps_of(server: MlflowServer, run_id: str, metric: str) -> list[int]:
    """Return the steps at which a metric was logged, in order."""
    import mlflow

    return [point.step for point in mlflow.MlflowClient(server.url).get_metric_history(run_id, metric)]
