"""A run's model in MLflow: the ``transformers`` flavor, and its place in the registry."""

from __future__ import annotations

from typing import Any

from sentiment140_bert.tracking.story import Story

REQUIREMENTS = ("torch", "transformers", "tokenizers")


SHA = "weights_sha256"  # a tag: by it a model is found again whose answer was lost


def log(story: Story, run_id: str) -> str:
    """Logs ``model/`` as the run's model, unless these weights are logged already.

    Returns:
        Its ``models:/…`` address, which ``mlflow.transformers.load_model`` and ``mlflow.pyfunc.load_model`` take.
    """
    import mlflow
    from huggingface_hub import ModelCard
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema
    from transformers import pipeline

    metrics = story.run.read(story.run.metrics)
    if known := _logged(run_id, metrics[SHA]):
        return known
    with story.stage(story.run.model) as folder:
        classify = pipeline("text-classification", model=str(folder), device="cpu")
    # MLflow looks on the Hub for a repository of this name, and writes it down: a folder's name belongs into neither.
    classify.model.name_or_path = f"{story.title}, a run of s140"
    versions = story.run.read(story.run.environment)["packages"]
    info: Any = mlflow.transformers.log_model(
        classify,
        name="model",
        model_card=ModelCard(story.run.card.read_text("utf-8")),
        task="text-classification",
        signature=ModelSignature(
            Schema([ColSpec("string")]), Schema([ColSpec("string", "label"), ColSpec("double", "score")])
        ),
        input_example=[metrics["examples"][0]["text"]],
        model_config={"truncation": True},
        pip_requirements=[f"{name}=={versions[name].partition('+')[0]}" for name in REQUIREMENTS],
        metadata={SHA: metrics[SHA], "data_fingerprint": metrics["data_fingerprint"]},
        tags={SHA: metrics[SHA]},
        run_id=run_id,
    )
    return str(info.model_uri)


def _logged(run_id: str, sha: str) -> str | None:
    """The address of the run's model with these weights, if it was logged to the end."""
    import mlflow

    client: Any = mlflow.MlflowClient()
    outputs = client.get_run(run_id).outputs
    for output in outputs.model_outputs if outputs else []:
        model = client.get_logged_model(output.model_id)
        if model.tags.get(SHA) == sha and str(model.status) == "READY":
            return str(model.model_uri)
    return None


def register(story: Story, model_uri: str, run_id: str) -> str:
    """Makes a logged model a version of the registered one that is asked for, and points the alias to it.

    Args:
        story: Its settings name both.
        model_uri: As of :func:`log`.
        run_id: Of the run that it is of.

    Returns:
        The version; one that there is already of these weights and this run is taken.
    """
    import mlflow

    name, sha = str(story.settings.register_model), story.weights()
    client: Any = mlflow.MlflowClient()
    version = _registered(client, name, run_id, sha) or mlflow.register_model(model_uri, name, tags={SHA: sha}).version
    client.set_registered_model_alias(name, story.settings.model_alias, version)
    return str(version)


def _registered(client: Any, name: str, run_id: str, sha: str | None) -> str | None:
    versions = client.search_model_versions(f"name = '{name}'")
    found = [each for each in versions if each.run_id == run_id and each.tags.get(SHA) == sha]
    return str(found[0].version) if found else None
