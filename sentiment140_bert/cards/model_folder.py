"""A run's model folder: exactly what is published, so that it can be used and verified wherever it is taken."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from sentiment140_bert.data.corpora import list_decided_keys
from sentiment140_bert.errors import RunError
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import EVAL_RESULTS, TRAINING_ROWS, RunDir, sha256_of, write_text, written_whole
from sentiment140_bert.runs import history_of, public, saved_recipe, title_of

Files = dict[str, Path | bytes]
# Of a model folder; whatever is on neither list stays here: pickles, optimizer state, notes.
WEIGHTS = ("config.json", "model*.safetensors", "model.safetensors.index.json")
ORIGIN = (TRAINING_ROWS,)
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt")


def finished(run: RunDir) -> dict[str, Any]:
    """The scores of a run whose weights are those that were scored."""
    saved_recipe(run.path)
    if not run.is_finished() or not run.weights.is_file():
        raise RunError(
            f"The run in {run.path} is not finished: it has no {'scores' if run.weights.is_file() else 'model'} yet.",
            "Finish it with `s140 train --resume`, or score it with `s140 evaluate RUN`.",
        )
    metrics: dict[str, Any] = run.read(run.metrics)
    if metrics.get("weights_sha256") != sha256_of(run.weights):
        raise RunError(
            f"The scores in {run.metrics} are not those of the weights in {run.model} (sha256 differs).",
            f"Score them: s140 evaluate {shlex.quote(str(run.path))}",
        )
    return metrics


def redraw(run: RunDir, metrics: dict[str, Any]) -> None:
    """Draws the run's pictures anew."""
    from sentiment140_bert.cards import figures

    figures.draw(run.figures, metrics["splits"], history_of(run))


def complete(run: RunDir, metrics: dict[str, Any], repo_id: str | None = None) -> None:
    """Puts beside the weights what is published with them; a card's hand-written parts are kept."""
    repo_id = repo_id or remembered(run).get("model", {}).get("repo_id")
    for name, content in files(run, metrics, repo_id, own_card(run)).items():
        target = run.model / name
        if isinstance(content, bytes):
            write_text(target, content.decode())
        elif content != target:
            with written_whole(target) as temporary:
                shutil.copyfile(content, temporary)


def files(
    run: RunDir,
    metrics: dict[str, Any],
    repo_id: str | None,
    card_before: str | None,
    data: dict[str, Any] | None = None,
) -> Files:
    """Everything that is published of a model: path in the repository to a file or its content.

    Args:
        run: Its model, figures and JSON files are read.
        metrics: The content of its ``metrics.json``.
        repo_id: The model's id on the Hub.
        card_before: The card whose hand-written parts are kept.
        data: What ``data.json`` is going to hold, if that is more than it holds now.

    Raises:
        RunError: A file is missing or damaged, or the card's front matter cannot be read.
    """
    from sentiment140_bert import tracking as tracked
    from sentiment140_bert.cards import facts as card_facts
    from sentiment140_bert.cards import metadata, model, sections

    recipe = saved_recipe(run.path)
    data = data or run.read(run.data)
    tracking = tracked.shown(run)
    environment = run.read(run.environment)
    base = environment.get("base_model")
    shown = public(recipe, base.get("name") if isinstance(base, dict) else None)
    facts = card_facts.of(shown.to_dict(), data, environment, metrics, tracking)
    pictures = sorted(run.figures.glob("*.png"))
    title, model_id = names_of(run, recipe, repo_id)
    try:
        new = model.model_card(facts, title, model_id, [each.name for each in pictures])
        text = sections.merged(new, card_before, list_decided_keys(data))
    except ValueError as error:
        raise RunError(f"The front matter of the card is no YAML: {error}.", f"Mend it: {run.card}") from None
    found: Files = {
        each.name: each for pattern in (*WEIGHTS, *TOKENIZER, *ORIGIN) for each in sorted(run.model.glob(pattern))
    }
    found |= {f"figures/{each.name}": each for each in pictures}
    contents = {"metrics.json": metrics, "data.json": data, "environment.json": facts.environment}
    contents |= {"tracking.json": tracking} if tracking else {}
    found |= {name: as_json(content) for name, content in contents.items()}
    found |= {"README.md": text.encode(), "recipe.yaml": shown.to_yaml().encode()}
    if results := metadata.eval_results(facts):
        found[EVAL_RESULTS] = results.encode()
    return found


def names_of(run: RunDir, recipe: Recipe, repo_id: str | None) -> tuple[str, str]:
    """A model's title, and what `pipeline` is to be given: the id on the Hub if it has one, else the folder."""
    if repo_id:
        return repo_id.rpartition("/")[2], repo_id
    return title_of(run, recipe), f"{run.path.resolve().name}/model"


def own_card(run: RunDir) -> str | None:
    """The card in the model folder.

    Raises:
        RunError: It is no text.
    """
    try:
        return run.card.read_text("utf-8") if run.card.is_file() else None
    except UnicodeDecodeError as error:
        raise RunError(f"{run.card} is damaged: {error}.", "Mend or remove it.") from None


def remembered(run: RunDir) -> dict[str, Any]:
    """Where the run's dataset and model were published before."""
    return run.read(run.published) if run.published.is_file() else {}


def as_json(content: Any) -> bytes:
    """A JSON file's content."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def size_of(content: Path | bytes) -> int:
    """Bytes."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size
