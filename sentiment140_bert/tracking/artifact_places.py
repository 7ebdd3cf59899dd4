"""Where an MLflow server may have files sent to, or fetched from."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

from sentiment140_bert.credentials import without_password
from sentiment140_bert.errors import TrackerError

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
BUCKETS = {"s3", "gs", "wasb", "wasbs", "abfs", "abfss", "adl", "dbfs", "hdfs", "viewfs", "r2", "b2", "oss"}


def check_artifacts(server: str, artifacts: str | None, is_named: bool = False) -> None:
    """Refuse to send files where a server far away, or a database, says that they belong, if that is not its own.

    Args:
        server: The tracking URI.
        artifacts: The run's artifact URI, as it is answered.
        is_named: The user named the store in this process; one in files may then keep its files anywhere here.

    Raises:
        TrackerError: It is a folder of this machine outside of the store's own, or another host.
    """
    own, place = urlparse(absolute(server)), urlparse(artifacts or "")
    if place.scheme in ("http", "https", "mlflow-artifacts"):
        is_own = not place.hostname or place.hostname == own.hostname
    elif place.scheme in BUCKETS:
        return  # for which the machine has a login of its own
    elif place.scheme not in ("", "file"):
        is_own = False
    elif own.scheme in ("http", "https", "databricks"):
        is_own = own.hostname in LOOPBACK
    else:
        folder = Path(own.path).parent if own.scheme == "sqlite" else Path(own.path)
        homes = (folder.resolve(), Path.cwd().resolve())
        is_own = is_named or any(Path(place.path).resolve().is_relative_to(home) for home in homes)
    if not is_own:
        raise TrackerError(
            f"{without_password(server)} wants files to be sent elsewhere, to {without_password(str(artifacts))}",
            "Nothing was sent there. Choose another server, or another default artifact root",
        )


def absolute(uri: str) -> str:
    """A store's address, such that it is the same one from every folder."""
    for scheme in ("sqlite:///", "file:"):
        if uri.startswith(scheme):
            path = uri.removeprefix(scheme)
            return uri if path.startswith("/") else f"{scheme}{Path(path).resolve()}"
    return uri if ":" in uri or uri.startswith("databricks") else str(Path(uri).resolve())
