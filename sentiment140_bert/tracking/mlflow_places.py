"""Check where an MLflow server wants files to be sent, or fetched from."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sentiment140_bert.credentials import strip_passwords
from sentiment140_bert.errors import TrackerError
from sentiment140_bert.trust import is_clear_address

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
SERVERS = {"http", "https", "mlflow-artifacts"}
PORTS = {"http": 80, "https": 443}
# Hosts that a bucket's address may name: a login of this machine goes there. The schemes that have none name a bucket
# alone, in the service or file system that this machine is set up for.
# Files go to the address that was checked: by no redirect, and in no parts whose addresses a server names later.
NO_OTHER_HOST = {
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
}
AZURE_FILES = (".dfs.core.windows.net", ".dfs.core.chinacloudapi.cn", ".dfs.core.usgovcloudapi.net")
AZURE_BLOBS = tuple(host.replace(".dfs.", ".blob.") for host in AZURE_FILES)
BUCKET_HOSTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("s3", "gs", "oss", "hdfs", "viewfs"), ()),
    **dict.fromkeys(("abfs", "abfss"), (*AZURE_FILES, ".dfs.fabric.microsoft.com")),
    **dict.fromkeys(("wasb", "wasbs"), AZURE_BLOBS),
    "dbfs": (".databricks",),
    "r2": (".r2.cloudflarestorage.com",),
    "b2": (".backblazeb2.com",),
}
NAMES_BUCKET = {"s3", "gs", "oss"}  # the part of the host is the bucket's name


def check_artifacts(server: str, artifacts: str | None, is_named: bool = False) -> None:
    """Raise if a remote server, or a database, wants files to be sent to a place that is not its own.

    Args:
        server: The tracking URI.
        artifacts: The run's artifact URI, as the server answers it.
        is_named: The user named the store in this process; a local one may then keep its files anywhere here.

    Raises:
        TrackerError: It is a folder of this machine outside of the store's own, or another host.
    """
    address = artifacts or ""
    if not is_clear_address(address) or not _is_own(urlsplit(absolute(server)), urlsplit(address), is_named):
        raise TrackerError(
            f"{strip_passwords(server)} wants files to be sent elsewhere, to {strip_passwords(address)}",
            "Nothing was sent there. Choose another server, or another default artifact root",
        )


def _is_own(server: SplitResult, place: SplitResult, is_named: bool) -> bool:
    if place.scheme in SERVERS:
        return not place.hostname or _origin(place, server.scheme) == _origin(server, server.scheme)
    if place.scheme in BUCKET_HOSTS:
        return _is_bucket(place)
    if place.scheme not in ("", "file"):
        return False
    if server.scheme in (*PORTS, "databricks"):
        return server.hostname in LOOPBACK
    folder = Path(server.path).parent if server.scheme == "sqlite" else Path(server.path)
    homes = (folder.resolve(), Path.cwd().resolve())
    return is_named or any(Path(place.path).resolve().is_relative_to(home) for home in homes)


def _origin(address: SplitResult, scheme: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of requests; for mlflow-artifacts they go to the server."""
    scheme = scheme if address.scheme == "mlflow-artifacts" else address.scheme
    return scheme, address.hostname, address.port or PORTS.get(scheme)


def _is_bucket(place: SplitResult) -> bool:
    if place.scheme in NAMES_BUCKET:
        return "@" not in place.netloc
    host = place.netloc.rpartition("@")[2].lower()
    return not host or f".{host}".endswith(BUCKET_HOSTS[place.scheme])


def absolute(uri: str) -> str:
    """Return a store's address as it is valid from every folder."""
    for scheme in ("sqlite:///", "file:"):
        if uri.startswith(scheme):
            path = uri.removeprefix(scheme)
            return uri if path.startswith("/") else f"{scheme}{Path(path).resolve()}"
    return uri if ":" in uri or uri.startswith("databricks") else str(Path(uri).resolve())
