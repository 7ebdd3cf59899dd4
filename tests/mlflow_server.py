"""A real MLflow server on loopback, with a SQLite store and a registry, that can be killed and come back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError


class MlflowServer:
    """`mlflow server`, on a free port that it keeps."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--workers", "1"]
        words += ["--artifacts-destination", str(self.folder / "artifacts"), "--host", "127.0.0.1"]
        quiet = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        quiet["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # five more processes, for what is not asked of it
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words, "--port", str(self.port)],
            env=quiet,
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / "server.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


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
