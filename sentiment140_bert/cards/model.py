"""The model card, and the model folder with everything that belongs to a model, wherever it is taken."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from typing_extensions import TypedDict

from sentiment140_bert import schemas
from sentiment140_bert.cards import merge, metadata
from sentiment140_bert.cards.facts import Facts, collect_facts, read_graphs
from sentiment140_bert.cards.markup import render
from sentiment140_bert.data.corpora import add_description, list_decided_keys
from sentiment140_bert.errors import RunError
from sentiment140_bert.files import Place, hash_file, write_json, write_text, write_whole
from sentiment140_bert.locks import expand_folder, lock_folder
from sentiment140_bert.models.labels import order_names
from sentiment140_bert.recipe import CardConfig, Recipe
from sentiment140_bert.run import EVAL_RESULTS, GRAPHS, GRAPHS_NOTE, RUNS, RunDir, saved_recipe
from sentiment140_bert.schemas import BASELINES, SCORE_LABELS, SCORES, SPLIT_NAMES, find_strongest_baseline
from sentiment140_bert.trust import plain_yaml

Files = dict[str, Path | bytes]


class CardFile(TypedDict):
    """The path of a card."""

    card: str


def card(path: Place, repo_id: str | None = None, description: CardConfig | None = None) -> CardFile:
    """Write a finished run's model card, and everything else that is published with the weights, into its model folder.

    Args:
        path: The run directory.
        repo_id: Model id on the Hub, for the card.
        description: What the publisher says about the tweets; it is kept in ``data.json``.

    Raises:
        RunError: The run is not finished, or was scored with other weights.
    """
    from sentiment140_bert.hub import push

    run = RunDir(expand_folder(path))
    if repo_id is not None:
        push.check_name(repo_id, "--repo-id")
    metrics = read_scores(run)
    with lock_folder(run.path, "writing its card"):
        data = add_description(run.read_data(), description)
        collect_files(run, metrics, repo_id, read_card(run), data)  # raises before anything is written
        save_description(run, description)
        redraw_figures(run, metrics)
        write_model_folder(run, metrics, repo_id)
    return {"card": str(run.card)}


def save_description(run: RunDir, description: CardConfig | None) -> bool:
    """Keep what the publisher says about the tweets in ``data.json``; return True if that is new."""
    before = run.read_data()
    data = add_description(before, description)
    if data != before:
        write_json(run.data, data)
    return data != before


def render_model_card(facts: Facts, title: str, model_id: str, figures: list[str]) -> str:
    """Return the README of a finished run's model.

    Args:
        facts: Read from the run directory or the published folder.
        title: The model's name.
        model_id: The argument of ``pipeline`` in the snippet: the Hub id, or a folder.
        figures: Names of the pictures in ``figures/``.
    """
    base, training = facts.base_model, facts.recipe["training"]
    columns = {SPLIT_NAMES.get(name, name): split for name, split in facts.metrics["splits"].items()}
    names = [SPLIT_NAMES.get(name, name) for name in metadata.HEADLINES]
    headlines = {name: columns[name] for name in names if "accuracy" in columns.get(name, {})}
    body = render(
        "model_card.md",
        version=version("sentiment140-bert"),
        title=title,
        base=facts.base_name,
        base_link=Markup(f"https://huggingface.co/{quote(base)}") if base else "",
        layout=merge.LAYOUT,
        split_names=SPLIT_NAMES,
        columns=columns,
        headlines=headlines,
        strongest=find_strongest_baseline(next((split["baselines"] for split in headlines.values()), {})),
        model_id=model_id,
        chosen=training["load_best_model_at_end"] and training["eval_strategy"] != "no",
        corpus=facts.corpus,
        published=facts.published,
        has_neutral=facts.has_neutral,
        matrix_labels=order_names(3),
        tracking_url=_find_tracking_url(facts),
        score_names=SCORES,
        labels=SCORE_LABELS,
        graph_files=GRAPHS,
        figures=figures,
        baselines=BASELINES,
        **vars(facts),
    )
    return metadata.format_front_matter(metadata.describe_model(facts, title)) + "\n" + body


def _find_tracking_url(facts: Facts) -> Markup | None:
    urls = [str(run.get("url")) for run in facts.tracking.values() if isinstance(run, dict)]
    links = [Markup(quote(url, safe="/:?=&%#~+,;")) for url in urls if url.startswith(("https://", "http://"))]
    return links[0] if links else None


def read_scores(run: RunDir) -> schemas.Scores:
    """Return ``metrics.json`` of a finished run whose weights are those that were scored.

    Raises:
        RunError: It is not finished, or its weights are others.
    """
    saved_recipe(run.path)
    if not run.is_finished() or not run.weights.is_file():
        raise RunError(
            f"The run in {run.path} is not finished: it has no {'scores' if run.weights.is_file() else 'model'} yet.",
            "Finish it with `s140 train --resume`, or score it with `s140 evaluate RUN`.",
        )
    metrics = run.read_metrics()
    if metrics.get("weights_sha256") != hash_file(run.weights):
        raise RunError(
            f"The scores in {run.metrics} are not those of the weights in {run.model} (sha256 differs).",
            f"Score them: s140 evaluate {shlex.quote(str(run.path))}",
        )
    return metrics


def redraw_figures(run: RunDir, metrics: schemas.Scores) -> None:
    """Draw the run's pictures again."""
    from sentiment140_bert.cards import figures

    figures.draw_figures(run.figures, metrics["splits"], run.read_history())


def write_model_folder(run: RunDir, metrics: schemas.Scores, repo_id: str | None = None) -> None:
    """Write everything that is published with the weights next to them; a card's hand-written parts are kept."""
    repo_id = repo_id or run.read_publications().get("model", {}).get("repo_id")
    for name, content in collect_files(run, metrics, repo_id, read_card(run)).items():
        target = run.model / name
        if isinstance(content, bytes):
            write_text(target, content.decode())
        elif content != target:
            with write_whole(target) as temporary:
                shutil.copyfile(content, temporary)


def collect_files(
    run: RunDir,
    metrics: schemas.Scores,
    repo_id: str | None,
    card_before: str | None,
    data: schemas.Data | None = None,
    graphs: Path | None = None,
) -> Files:
    """Return everything that is published of a model: path in the repository to a file or its content.

    Args:
        run: The run, of which model, figures and JSON files are read.
        metrics: The content of its ``metrics.json``.
        repo_id: The model's id on the Hub.
        card_before: The card whose hand-written parts are kept.
        data: The future content of ``data.json``, if that is more than the present one.
        graphs: The folder with ``onnx/``, if that is not the model's.

    Raises:
        RunError: A file is missing or damaged, or the card's front matter cannot be read.
    """
    facts = collect_run_facts(run, metrics, data, graphs)
    pictures = run.list_figures()
    title, model_id = name_model(run, saved_recipe(run.path), repo_id)
    try:
        new = render_model_card(facts, title, model_id, [picture.name for picture in pictures])
        text = merge.merge_cards(new, card_before, list_decided_keys(facts.data))
    except ValueError as error:
        raise RunError(f"The front matter of the card is not valid YAML: {error}.", f"Correct it: {run.card}") from None
    files: Files = {file.name: file for file in run.list_model_files()}
    files |= {f"figures/{picture.name}": picture for picture in pictures}
    if facts.graphs:
        names = (GRAPHS_NOTE, *(GRAPHS[kind] for kind in facts.graphs["graphs"]))
        files |= {name: (graphs or run.model) / name for name in names}
    contents: dict[str, object] = {"metrics.json": metrics, "data.json": facts.data}
    contents |= {"environment.json": facts.environment}
    contents |= {"tracking.json": facts.tracking} if facts.tracking else {}
    files |= {name: to_json(content) for name, content in contents.items()}
    files |= {"README.md": text.encode(), "recipe.yaml": plain_yaml.dump(facts.recipe).encode()}
    if results := metadata.format_eval_results(facts):
        files[EVAL_RESULTS] = results.encode()
    return files


def collect_run_facts(
    run: RunDir, metrics: schemas.Scores, data: schemas.Data | None = None, graphs: Path | None = None
) -> Facts:
    """Return what is published about a scored run; the arguments are those of :func:`collect_files`."""
    from sentiment140_bert import tracking

    facts = collect_facts(run, saved_recipe(run.path), data or run.read_data(), metrics, tracking.public_state(run))
    return replace(facts, graphs=read_graphs(graphs or run.model, metrics["weights_sha256"]))


def name_model(run: RunDir, recipe: Recipe, repo_id: str | None) -> tuple[str, str]:
    """Return a model's title, and the argument for `pipeline`: the id on the Hub if it has one, else the folder."""
    if repo_id:
        return repo_id.rpartition("/")[2], repo_id
    folder = run.path.resolve()
    parent = f"{RUNS}/" if folder.parent.name == RUNS else ""  # no other folder of this machine is published
    return run.choose_title(recipe), f"{parent}{folder.name}/model"


def read_card(run: RunDir) -> str | None:
    """Return the card in the model folder, or, if it was removed, that of the last push; None if there was no push.

    Raises:
        RunError: It is not a text.
    """
    try:
        return run.card.read_text("utf-8") if run.card.is_file() else run.read_published_card()
    except UnicodeDecodeError as error:
        raise RunError(f"{run.card} is damaged: {error}.", "Correct or remove it.") from None


def to_json(content: Any) -> bytes:
    """Return the bytes of a JSON file."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
