"""Log a model in MLflow, register it, and fetch registered ones (on Databricks: from Unity Catalog)."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sentiment140_bert import trust
from sentiment140_bert.errors import MissingExtra, ModelError, TrackerError, first_line
from sentiment140_bert.recipe import REGISTERED, TrackingConfig
from sentiment140_bert.run import RunDir
from sentiment140_bert.tracking.mlflow_places import NO_OTHER_HOST, check_artifacts
from sentiment140_bert.tracking.tracked_run import CARD, TrackedRun
from sentiment140_bert.trust import check_folder, plain_yaml

log = logging.getLogger(__name__)
PREFIX = "models:/"
REQUIREMENTS = ("torch", "transformers", "tokenizers")
TEXT = "text"  # the column that a logged model reads
# What MLflow's client makes of them; ImportError where one names a bucket whose client is not installed.
ODD_ANSWERS = (TypeError, AttributeError, LookupError, RecursionError, ImportError)
SHA = "weights_sha256"  # a tag: it finds a model whose registration was never answered


def is_registered(name: str) -> bool:
    """Return True if a model's name is one of MLflow's registry: ``models:/catalog.schema.name@alias``, or ``/3``."""
    return name.startswith(PREFIX)


@contextmanager
def fetch(name: str) -> Iterator[Path]:
    """Open a registered model as a model folder, as long as the block lasts.

    Args:
        name: One that :func:`is_registered` accepts. The registry is where MLFLOW_TRACKING_URI and MLFLOW_REGISTRY_URI
            say.

    Raises:
        MissingExtra: mlflow is not installed.
        ModelError: There is no such model, or it is no text classifier of MLflow's transformers flavour.
    """
    try:
        from google.protobuf.json_format import ParseError
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise MissingExtra(f"A registered model ({name})", "mlflow") from None
    os.environ.update(NO_OTHER_HOST)
    with tempfile.TemporaryDirectory(prefix="s140-", ignore_cleanup_errors=True) as place:
        try:
            logged = Path(download_artifacts(artifact_uri=_place_of(name), dst_path=str(Path(place) / "logged")))
        except (MlflowException, ParseError, OSError, ValueError, *ODD_ANSWERS) as error:
            raise ModelError(
                f"The registry cannot provide {name}: {first_line(error)}.",
                "Name it as models:/catalog.schema.name@alias or models:/catalog.schema.name/3; "
                "MLFLOW_TRACKING_URI and MLFLOW_REGISTRY_URI choose the registry.",
            ) from None
        yield _as_model_folder(logged, Path(place) / "model", name)


def _place_of(name: str) -> str:
    """Return where a registered model's files are, which is the server's own place or a bucket.

    On Databricks the workspace gives a login for each download, and decides on the place.

    Raises:
        ModelError: The server names another host, or a folder of this machine.
        ValueError: The name has no version and no alias.
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
        raise ValueError("it is neither a version nor an alias")
    if place.startswith(f"{PREFIX}m-"):
        place = client.get_logged_model(place.removeprefix(PREFIX)).artifact_location
    try:
        check_artifacts(registry, place, is_named=True)
    except TrackerError as error:
        raise ModelError(f"{name}: {error.message}.", error.hint) from None
    return str(place)


def _as_model_folder(logged: Path, folder: Path, name: str) -> Path:
    """Put model and tokenizer, which MLflow keeps apart, into one folder, as transformers wants them."""
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
        with file.open(encoding="utf-8") as text:
            content = plain_yaml.load(text.read(plain_yaml.LONGEST + 1), repeated=True)
    except (OSError, ValueError) as error:
        raise ModelError(f"The MLmodel of {name} cannot be read: {first_line(error)}.", "Register it again.") from None
    flavours = content.get("flavors") if isinstance(content, dict) else None
    return flavours if isinstance(flavours, dict) else {}


def log_model(tracked_run: TrackedRun, run_id: str, open_artifacts: Callable[[str], Any]) -> str:
    """Log ``model/`` as the run's model, unless these weights are logged already.

    Args:
        tracked_run, run_id: The run, and its id in MLflow.
        open_artifacts: Opens the place that the server names, or raises TrackerError where nothing may be sent to.

    Returns:
        Its ``models:/…`` address, which ``mlflow.transformers.load_model`` and ``mlflow.pyfunc.load_model`` take.
    """
    import mlflow
    from huggingface_hub import ModelCard
    from mlflow.tracking import _tracking_service as tracking
    from transformers import pipeline

    metrics: dict[str, Any] = {**tracked_run.run.read_metrics()}
    if earlier := _find_logged(run_id, metrics[SHA]):
        return earlier
    with tracked_run.stage(tracked_run.run.model) as folder:
        classify = pipeline("text-classification", model=str(folder), device="cpu")
    # MLflow looks on the Hub for a repository of this name, and writes it down: a folder's name must appear in neither.
    classify.model.name_or_path = f"{tracked_run.title}, a run of s140"
    versions = tracked_run.run.read_environment()["packages"]
    # Made here, because log_model would add the user's name, the path of the program and its git repository.
    client: Any = mlflow.MlflowClient()
    run = client.get_run(run_id)
    logged = client.create_logged_model(
        run.info.experiment_id,
        name="model",
        source_run_id=run_id,
        tags={SHA: metrics[SHA], "mlflow.source.name": "s140", "mlflow.source.type": "LOCAL"},
        params=run.data.params,
    )
    # mlflow's own, private cache: without it mlflow would ask the server once more, which may answer otherwise.
    tracking.utils._artifact_repos_cache[logged.model_id] = open_artifacts(logged.artifact_location)
    info: Any = mlflow.transformers.log_model(
        classify,
        model_id=logged.model_id,
        model_card=ModelCard(tracked_run.files().get(CARD, b"").decode()),
        task="text-classification",
        signature=_make_signature(),
        input_example=[{TEXT: metrics["examples"][0]["text"]}],
        model_config={"truncation": True},
        pip_requirements=[f"{name}=={versions[name].partition('+')[0]}" for name in REQUIREMENTS],
        metadata={SHA: metrics[SHA], "data_fingerprint": metrics["data_fingerprint"]},
        run_id=run_id,
    )
    return str(info.model_uri)


def _make_signature() -> Any:
    """Return what a logged model reads and returns.

    MLflow evaluates texts of a column without a name as Python literals: "5" fails, and quoted texts lose their quotes.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    answers = Schema([ColSpec("string", "label"), ColSpec("double", "score")])
    return ModelSignature(Schema([ColSpec("string", TEXT)]), answers)


def _find_logged(run_id: str, sha: str) -> str | None:
    """Return the address of the run's model with these weights, if it was logged completely."""
    import mlflow

    client: Any = mlflow.MlflowClient()
    outputs = client.get_run(run_id).outputs
    for output in outputs.model_outputs if outputs else []:
        model = client.get_logged_model(output.model_id)
        if model.tags.get(SHA) == sha and str(model.status) == "READY":
            return str(model.model_uri)
    return None


def describe_registration(run: RunDir, settings: TrackingConfig) -> str:
    """Return what the user allows by naming a registered model: that name and alias for this run."""
    return f"{settings.register_model}@{settings.model_alias} for {run.path.resolve()}"


def register(tracked_run: TrackedRun, model_uri: str, run_id: str) -> bool:
    """Make a logged model a version of the registered model that the settings name, and point the alias to it.

    Nothing is registered unless the user named that model, in this process or when this machine trained the run. An
    earlier version of these weights and this run is used again. An alias that names another version, perhaps a newer
    one, is moved by the training alone.

    Args:
        tracked_run: The run, whose settings name the model and the alias.
        model_uri: Result of :func:`log_model`.
        run_id: The run that the model belongs to.

    Returns:
        True if it is registered.
    """
    import mlflow

    run, settings = tracked_run.run, tracked_run.settings
    name, alias, sha = str(settings.register_model), settings.model_alias, tracked_run.weights()
    is_named = trust.is_named_now(REGISTERED, name)
    is_known = run.is_own() and trust.is_known_place(REGISTERED, describe_registration(run, settings))
    if not (is_named or is_known):
        log.warning(
            "mlflow: not registered as %s, which was not named for %s on this machine. If you trust it, repeat its "
            "`s140 train` command with --register-model",
            *(name, run.path),
        )
        return False
    client: Any = mlflow.MlflowClient()
    version = str(
        _find_version(client, name, run_id, sha) or mlflow.register_model(model_uri, name, tags={SHA: sha}).version
    )
    log.info("mlflow: registered as %s, version %s", name, version)
    served = client.get_registered_model(name).aliases.get(alias)
    if tracked_run.live or is_named or served is None:
        client.set_registered_model_alias(name, alias, version)
    elif str(served) != version:
        log.warning("mlflow: %s@%s stays version %s; set the alias in MLflow to serve %s", name, alias, served, version)
    return True


def _find_version(client: Any, name: str, run_id: str, sha: str | None) -> str | None:
    versions = client.search_model_versions(f"name = '{name}'")
    matching = [version for version in versions if version.run_id == run_id and version.tags.get(SHA) == sha]
    return str(matching[0].version) if matching else None


def login() -> dict[str, str]:
    """Return the variables that log another process in to the workspace's MLflow; none outside of Databricks.

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
        variables: dict[str, str] = get_databricks_env_vars(mlflow.get_tracking_uri())
    except MlflowException as error:
        raise ModelError(
            f"The processes cannot be logged in to MLflow: {first_line(error)}.",
            "Set DATABRICKS_HOST and DATABRICKS_TOKEN from a secret scope, or pass --report-to none.",
        ) from None
    return variables
