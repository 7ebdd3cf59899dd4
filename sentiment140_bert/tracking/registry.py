"""Models out of MLflow's registry (on Databricks: Unity Catalog), and the login that other processes need for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from sentiment140_bert.errors import MissingExtra, ModelError, TrackerError, first_line
from sentiment140_bert.tracking.artifact_places import check_artifacts
from sentiment140_bert.trust import check_folder

PREFIX = "models:/"


def is_registered(name: str) -> bool:
    """Whether a model's name is that of MLflow's registry: ``models:/catalog.schema.name@alias``, or ``/3``."""
    return name.startswith(PREFIX)


@contextmanager
def fetched(name: str) -> Iterator[Path]:
    """A registered model as a model folder, as long as the block lasts.

    Args:
        name: As :func:`is_registered` knows it. MLFLOW_TRACKING_URI and MLFLOW_REGISTRY_URI say where the registry is.

    Raises:
        MissingExtra: mlflow is not installed.
        ModelError: There is no such model, or it is no text classifier of MLflow's transformers flavour.
    """
    try:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise MissingExtra(f"A registered model ({name})", "mlflow") from None
    with tempfile.TemporaryDirectory(prefix="s140-") as place:
        try:
            logged = Path(download_artifacts(artifact_uri=_place_of(name), dst_path=str(Path(place) / "logged")))
        except (MlflowException, OSError, ValueError) as error:
            raise ModelError(
                f"The registry does not give {name}: {first_line(error)}.",
                "Name it as models:/catalog.schema.name@alias or models:/catalog.schema.name/3. Where the registry is, "
                "MLFLOW_TRACKING_URI and MLFLOW_REGISTRY_URI say.",
            ) from None
        yield _as_model_folder(logged, Path(place) / "model", name)


def _place_of(name: str) -> str:
    """Return where a registered model's files are, which is the server's own place or a bucket.

    On Databricks the workspace gives a login for each download, and decides on the place.

    Raises:
        ModelError: The server names another host, or a folder of this machine.
        ValueError: The name is none of a version or an alias.
    """
    import mlflow

    registry = mlflow.get_registry_uri()
    if registry.startswith("databricks"):
        return name
    client = mlflow.MlflowClient(registry_uri=registry)
    model, _, version = name.removeprefix(PREFIX).rpartition("/")
    if "@" in name:
        model, _, alias = name.removeprefix(PREFIX).rpartition("@")
        version = str(client.get_model_version_by_alias(model, alias).version)  # some stores give a number
    if not model and version.startswith("m-"):  # a model that was logged and not registered
        place = name
    elif version.isdecimal():
        place = client.get_model_version_download_uri(model, version)
    else:
        raise ValueError("it is no version and no alias")
    if place.startswith(f"{PREFIX}m-"):
        place = client.get_logged_model(place.removeprefix(PREFIX)).artifact_location
    try:
        check_artifacts(registry, place, is_named=True)
    except TrackerError as error:
        raise ModelError(f"{name}: {error.message}.", error.hint) from None
    return str(place)


def _as_model_folder(logged: Path, folder: Path, name: str) -> Path:
    """MLflow keeps model and tokenizer apart; transformers, and we, want them in one folder."""
    check_folder(logged)
    flavours = _flavours(logged / "MLmodel", name)
    flavour = flavours.get("transformers")
    binary = str(flavour.get("model_binary", "model")) if isinstance(flavour, dict) else "model"
    parts = [logged / binary, logged / "components" / "tokenizer"]
    if not all(part.is_dir() and part.resolve().is_relative_to(logged.resolve()) for part in parts):
        raise ModelError(
            f"{name} was not logged by MLflow's transformers flavour with its tokenizer (it has: "
            f"{', '.join(flavours) or 'none'}).",
            "Register one with `s140 train --register-model`.",
        )
    for part in parts:
        shutil.copytree(part, folder, dirs_exist_ok=True)
    return folder


def _flavours(file: Path, name: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ModelError(f"The MLmodel of {name} cannot be read: {first_line(error)}.", "Register it again.") from None
    flavours = content.get("flavors") if isinstance(content, dict) else None
    return flavours if isinstance(flavours, dict) else {}


def login() -> dict[str, str]:
    """Variables by which another process finds the workspace's MLflow and is let in; none outside of Databricks.

    A notebook or job is logged in by its context, which processes started by it do not have.

    Raises:
        ModelError: The context gives no credentials.
    """
    if not os.environ.get("DATABRICKS_RUNTIME_VERSION"):
        return {}
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.utils.databricks_utils import get_databricks_env_vars

    try:
        found: dict[str, str] = get_databricks_env_vars(mlflow.get_tracking_uri())
    except MlflowException as error:
        raise ModelError(
            f"The processes cannot be logged in to MLflow: {first_line(error)}.",
            "Set DATABRICKS_HOST and DATABRICKS_TOKEN from a secret scope, or pass --report-to none.",
        ) from None
    return found
