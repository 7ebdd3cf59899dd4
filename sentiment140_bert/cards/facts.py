"""The facts of a card: the files of a run, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sentiment140_bert import schemas
from sentiment140_bert.data.corpora import Corpus, identify_corpus
from sentiment140_bert.errors import RecipeError, RunError
from sentiment140_bert.recipe import Recipe, load_recipe
from sentiment140_bert.recipe.privacy import OWN_PLACES
from sentiment140_bert.run import GRAPHS_NOTE, RunDir, make_run_public
from sentiment140_bert.schemas import check_schema

# Hub ids of base models that have another name here.
HUB_IDS = {"bundled:minilm": "sentence-transformers/all-MiniLM-L6-v2"}


@dataclass(frozen=True)
class Facts:
    """Contents of ``recipe.yaml``, ``data.json``, ``environment.json``, ``metrics.json`` and ``tracking.json``, and the
    note about the published ONNX graphs."""

    recipe: dict[str, Any]
    data: schemas.Data
    environment: schemas.Environment
    metrics: schemas.Metrics
    tracking: schemas.Tracking
    graphs: schemas.Graphs | None = None

    @property
    def base_model(self) -> str | None:
        """The base model's id on the Hub; None for a folder."""
        name = self.recipe["model"]["model_name_or_path"]
        return HUB_IDS.get(name, name if self.environment["base_model"]["on_hub"] else None)

    @property
    def base_name(self) -> str:
        """The base model's id on the Hub, or the name of its folder."""
        return self.base_model or Path(self.recipe["model"]["model_name_or_path"]).name

    @property
    def has_neutral(self) -> bool:
        """True if the model was trained on three labels, neutral among them."""
        return schemas.count_labels(self.data) > 2

    @property
    def published(self) -> schemas.PublishedDataset | None:
        """``repo_id`` and ``revision`` of the dataset on the Hub."""
        return self.data.get("published")

    @property
    def corpus(self) -> Corpus:
        """The claims that a card may make about the training tweets."""
        return identify_corpus(self.data)


def read_facts(folder: Path) -> Facts:
    """Read the facts in a run directory, or in a published model folder, which includes them.

    Raises:
        RunError: A file is missing or damaged.
    """
    run = RunDir(folder)
    try:
        recipe = load_recipe(str(run.recipe)).to_dict()
    except RecipeError as error:
        raise RunError(
            f"{run.recipe} is not a valid recipe in this version: {error.problems[0]}.", error.hint
        ) from None
    metrics = run.read_metrics()
    graphs = read_graphs(run.model if run.is_run() else folder, metrics.get("weights_sha256"))
    facts = check_facts(recipe, run.read_data(), run.read_environment(), metrics, run.read_tracking())
    return replace(facts, graphs=graphs)


def read_graphs(model: Path, weights_sha256: str | None) -> schemas.Graphs | None:
    """Return the note about the published ONNX graphs in a model folder; None without one for these weights.

    Raises:
        RunError: It is damaged.
    """
    note = model / GRAPHS_NOTE
    graphs = RunDir(model).read(note, schemas.Graphs) if note.exists() else None
    return graphs if graphs and graphs["weights_sha256"] == weights_sha256 else None


def collect_facts(
    run: RunDir, recipe: Recipe, data: schemas.Data, metrics: schemas.Scores, tracking: schemas.Tracking
) -> Facts:
    """Return the facts of a scored run as they may be published: without the folders of this machine.

    Raises:
        RunError: A file is missing or damaged.
    """
    environment, public = run.read_environment(), make_run_public(run, recipe)
    named = {name for section in public.to_dict().values() if isinstance(section, dict) for name in section}
    public = public.with_values(dict.fromkeys(named.intersection(OWN_PLACES)))
    return check_facts(public.to_dict(), data, environment, metrics, tracking)


def check_facts(recipe: dict[str, Any], data: Any, environment: Any, metrics: Any, tracking: schemas.Tracking) -> Facts:
    """Return the facts in the contents of these files.

    Raises:
        RunError: One of them is not of the shape that this version writes.
    """
    return Facts(
        recipe,
        check_schema(data, schemas.Data, "data.json"),
        check_schema(environment, schemas.Environment, "environment.json"),
        check_schema(metrics, schemas.Metrics, "metrics.json"),
        tracking,
    )
