"""A run's model in MLflow: the ``transformers`` flavor, and its place in the registry."""

from __future__ import annotations

from typing import Any

from sentiment140_bert.tracking.story import Story

REQUIREMENTS = ("torch", "transformers", "tokenizers")


def log(story: Story, run_id: str) -> str:
    """Logs ``model/`` as the run's model.

    Returns:
        Its ``models:/…`` address, which ``mlflow.transformers.load_model`` and ``mlflow.pyfunc.load_model`` take.
    """
    import mlflow
    from huggingface_hub import ModelCard
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(story.run.model), device="cpu")
    # MLflow looks on the Hub for a repository of this name, and writes it down: a folder's name belongs into neither.
    classify.model.name_or_path = f"{story.title}, a run of s140"
    metrics = story.run.read(story.run.metrics)
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
        metadata={"weights_sha256": metrics["weights_sha256"], "data_fingerprint": metrics["data_fingerprint"]},
        run_id=run_id,
    )
    return str(info.model_uri)


def register(model_uri: str, name: str, alias: str) -> str:
    """Makes a logged model a version of a registered one, and points ``alias`` to it.

    Args:
        model_uri: As of :func:`log`.
        name: ``name``, or ``catalog.schema.name`` in Unity Catalog.
        alias: By which ``models:/name@alias`` finds it.

    Returns:
        The version.
    """
    import mlflow

    version = mlflow.register_model(model_uri, name).version
    mlflow.MlflowClient().set_registered_model_alias(name, alias, version)
    return str(version)
