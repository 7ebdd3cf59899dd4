"""``s140 verify``: a model's page, or a run, held against what can be measured."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import recipes
from sentiment140_bert.errors import DataError, FalseDataError, ModelError, S140Error, first_line
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.run_dir import RunDir, sha256_of
from sentiment140_bert.workflows import preparing, publishing, scoring
from sentiment140_bert.workflows.runs import saved_recipe

if TYPE_CHECKING:
    from sentiment140_bert.data.prepare import Prepared
    from sentiment140_bert.verification import Check

log = logging.getLogger(__name__)
PATTERNS = ["*.json", "*.yaml", "*.md", "*.txt", "model*.safetensors", ".eval_results/*", "figures/*"]
COMPARED = ("model-index", "widget", "dataset_info")  # of a card's front matter


@dataclass(frozen=True)
class Page:
    """What is verified: a folder with card, weights and whatever else it claims by.

    ``model_id`` is what its card's snippet names, ``run`` the run directory it lies in, if it does.
    """

    folder: Path
    title: str
    model_id: str
    commit: str | None = None
    run: RunDir | None = None


def verify(
    name: str, *, revision: str | None = None, data: DataConfig | None = None, tolerance: float = 0.001
) -> dict[str, Any]:
    """Downloads what a page names, scores it again, and compares.

    Args:
        name: A run directory, a model folder, or a Hub id.
        revision: Of the Hub model.
        data: The tweets to score on, where the page does not lead to them.
        tolerance: Largest difference of a score measured again. Numbers that stand twice must agree exactly.

    Returns:
        ``model``, ``commit``, ``verdict`` (true, false or unchecked), ``tolerance`` and ``checks``.

    Raises:
        HubError, ModelError: There is no such model, or the Hub cannot be reached.
    """
    from sentiment140_bert.verification import verdict

    page = _page(name, revision)
    own = all(
        (page.folder / each).is_file() for each in ("metrics.json", "recipe.yaml", "data.json", "environment.json")
    )
    checks = [*(_own(page, data, tolerance) if own else _foreign(page, data, tolerance))]
    return {
        "model": name,
        "commit": page.commit,
        "verdict": verdict(checks),
        "tolerance": tolerance,
        "checks": [dataclasses.asdict(check) | {"difference": check.difference} for check in checks],
    }


def _page(name: str, revision: str | None) -> Page:
    from sentiment140_bert import modeling

    path = Path(name).expanduser()
    run = RunDir(path)
    if run.is_run():
        modeling.locate(name)
        recipe = saved_recipe(path)
        repo_id = publishing.remembered(run).get("model", {}).get("repo_id")
        title, model_id = publishing.names_of(run, recipe, repo_id)
        return Page(run.model, title, model_id, run=run)
    if not modeling.is_hub_id(name):
        folder = Path(modeling.locate(name))
        return Page(folder, folder.name, str(folder))
    from sentiment140_bert.hub import fetch
    from sentiment140_bert.hub.client import Hub

    hub = Hub()
    commit = fetch.commit_of(hub, "model", name, revision)
    log.info("model: %s at commit %s", name, commit[:12])
    folder = fetch.snapshot(hub, "model", name, commit, PATTERNS)
    return Page(folder, name.rpartition("/")[2], name, commit)


def _own(page: Page, data: DataConfig | None, tolerance: float) -> Iterator[Check]:
    """A page that `s140 push-to-hub` made."""
    from sentiment140_bert import verification
    from sentiment140_bert.cards import facts as card_facts

    facts = card_facts.read(page.run.path if page.run else page.folder)
    yield from _weights(page, facts.metrics)
    yield from _card(page, facts)
    yield from _eval_results(page, facts)
    try:
        prepared, dataset = _data_of(page, facts, data)
        measured = scoring.scores_of(scoring.load_classifier(str(page.folder)), prepared)
    except FalseDataError as error:
        yield verification.Check("dataset", "as its data.json", error.message, verification.FALSE)
        return
    except S140Error as error:
        yield verification.unchecked("scores", None, " ".join(str(error).split()))
        return
    if dataset and facts.published:
        yield from _dataset_card(dataset, facts.published["repo_id"], page.model_id)
    claimed, found = facts.metrics["data_fingerprint"], measured["data_fingerprint"]
    if data and claimed != found:
        yield verification.unchecked("data fingerprint", claimed, f"the tweets given here are others ({found[:12]}…)")
        return
    yield verification.exactly("data fingerprint", claimed, found)
    yield from verification.scores(facts.metrics["splits"], measured["splits"], tolerance)
    yield from verification.examples(facts.metrics["examples"], measured["examples"], tolerance)


def _weights(page: Page, metrics: dict[str, Any]) -> Iterator[Check]:
    from sentiment140_bert import verification

    weights = page.folder / "model.safetensors"
    if weights.is_file():
        yield verification.exactly("weights' sha256", metrics["weights_sha256"], sha256_of(weights))
    else:
        yield verification.unchecked("weights' sha256", metrics["weights_sha256"], "there is no model.safetensors")


def _card(page: Page, facts: Any) -> Iterator[Check]:
    """The card's sections and front matter beside those that its own files give."""
    from sentiment140_bert import verification
    from sentiment140_bert.cards import model

    file = page.folder / "README.md"
    if not file.is_file():
        yield verification.unchecked("card", None, "there is no README.md")
        return
    figures = sorted(each.name for each in (page.folder / "figures").glob("*.png"))
    right = model.model_card(facts, page.title, page.model_id, figures)
    yield from _text("card", file.read_text("utf-8"), right)


def _text(name: str, text: str, right: str) -> Iterator[Check]:
    from sentiment140_bert import verification
    from sentiment140_bert.cards import sections

    try:
        claimed, expected = sections.parse(text), sections.parse(right)
    except ValueError as error:
        yield verification.unchecked(name, None, f"its front matter cannot be read: {error}")
        return
    yield from _front_matter(name, claimed.metadata, expected.metadata)
    written_by = sections.WRITTEN_BY.search(text)
    if not written_by or written_by[1] != version("sentiment140-bert"):
        log.info("%s: written by another version; its text is not compared, its front matter is", name)
        return
    wrong = 0
    for section, content in claimed.sections.items():
        if section in expected.sections:
            for said, should, line in sections.differences(content, expected.sections[section]):
                wrong += 1
                yield verification.Check(f"{name}, {section}: {line[:80]}", said, should, verification.FALSE)
    if not wrong:
        yield verification.Check(f"{name}: numbers in text", "as its files", "as its files", verification.TRUE)


def _front_matter(name: str, claimed: dict[str, Any], right: dict[str, Any]) -> Iterator[Check]:
    from sentiment140_bert import verification

    said = dict(_leaves({key: claimed.get(key) for key in COMPARED}))
    wrong = 0
    for path, (label, should) in _leaves({key: right.get(key) for key in COMPARED}):
        value = said.get(path, ("", None))[1]
        if isinstance(should, int | float) and value != should:
            wrong += 1
            yield verification.Check(f"{name}, front matter: {label}", value, should, verification.FALSE)
    if not wrong:
        yield verification.Check(f"{name}: numbers in front", "as its files", "as its files", verification.TRUE)


def _leaves(content: Any, path: tuple[Any, ...] = (), name: str = "") -> Iterator[tuple[tuple[Any, ...], Any]]:
    """(path, (name, value)) of every value in parsed YAML; the name says split and metric where there are some."""
    if isinstance(content, dict):
        dataset = content.get("dataset")
        split = dataset.get("split") if isinstance(dataset, dict) else None
        known = [split, content.get("type"), content.get("name"), content.get("text"), content.get("config_name")]
        own = next((each for each in known if isinstance(each, str)), "")
        for key, value in content.items():
            yield from _leaves(value, (*path, key), f"{name} {own}".strip())
    elif isinstance(content, list):
        for at, value in enumerate(content):
            yield from _leaves(value, (*path, at), name)
    else:
        yield path, (f"{name} {path[-1]}", content)


def _eval_results(page: Page, facts: Any) -> Iterator[Check]:
    import yaml

    from sentiment140_bert import verification
    from sentiment140_bert.cards import metadata
    from sentiment140_bert.workflows.publishing import EVAL_RESULTS

    file, right = page.folder / EVAL_RESULTS, metadata.eval_results(facts)
    if file.is_file() and right:
        try:
            claimed = yaml.safe_load(file.read_text("utf-8"))
        except yaml.YAMLError as error:
            yield verification.unchecked(EVAL_RESULTS, None, first_line(error))
            return
        said = {entry["dataset"]["task_id"]: entry["value"] for entry in claimed}
        for entry in yaml.safe_load(right):
            name = entry["dataset"]["task_id"]
            yield verification.exactly(f"{EVAL_RESULTS}: {name}", said.get(name), entry["value"])


def _dataset_card(folder: Path, repo_id: str, model_id: str) -> Iterator[Check]:
    """A published dataset's card beside the one that its own data.json gives."""
    from sentiment140_bert.cards.dataset import dataset_card

    data = json.loads((folder / "data.json").read_text("utf-8"))
    if (folder / "README.md").is_file() and "configs" in data:
        text = (folder / "README.md").read_text("utf-8")
        named = model_id if f"[{model_id}]" in text else None
        yield from _text("dataset card", text, dataset_card(data, repo_id, named))


def _data_of(page: Page, facts: Any, data: DataConfig | None) -> tuple[Prepared, Path | None]:
    """The splits that a page was scored on: published with it, or made again from its recipe."""
    from sentiment140_bert.data import publication

    recipe = saved_recipe(page.run.path) if page.run else recipes.load(str(page.folder / "recipe.yaml"))
    published = facts.published
    if data is None and published and not page.run:
        from sentiment140_bert.hub import fetch
        from sentiment140_bert.hub.client import Hub

        found = fetch.published_dataset(Hub(), published["repo_id"], published["revision"])
        if not found:
            raise DataError(
                f"The dataset {published['repo_id']} at {published['revision'][:12]} is not to be had.",
                "It may be private: log in, or name the tweets with --dataset.",
            )
        return publication.read(found[0], published["repo_id"], found[1]), found[0]
    if data is not None:
        given = {"dataset": data.dataset, "dataset_revision": data.dataset_revision, "manual_test": data.manual_test}
        recipe = recipe.with_values({key: value for key, value in given.items() if value})
    return preparing.splits(recipe.data)


def _foreign(page: Page, data: DataConfig | None, tolerance: float) -> Iterator[Check]:
    """Anybody's model: the scores that its card states, on the tweets that it or ``data`` names."""
    from huggingface_hub import ModelCard

    from sentiment140_bert import verification

    file = page.folder / "README.md"
    if not file.is_file():
        raise ModelError(
            f"{page.model_id} has no card, so it claims nothing.", "Score it: s140 evaluate MODEL --dataset …"
        )
    card = ModelCard.load(file, ignore_metadata_errors=True)
    claims = [*verification.of_model_index(card.data.eval_results or [])]
    known = {(claim.metric, round(claim.value, 4)) for claim in claims}
    claims += [each for each in verification.of_text(card.text) if (each.metric, round(each.value, 4)) not in known]
    if not claims:
        raise ModelError(
            f"The card of {page.model_id} states no score that could be measured.",
            "Score it: s140 evaluate MODEL --dataset …",
        )
    for wanted, group in _by_data(claims, data).items():
        if wanted is None:
            for claim in group:
                yield verification.unchecked(claim.where, claim.value, "it names no data; name them with --dataset")
            continue
        try:
            splits = scoring.evaluate(str(page.folder), wanted)["splits"]
        except S140Error as error:
            for claim in group:
                yield verification.unchecked(claim.where, claim.value, " ".join(str(error).split()))
            continue
        for claim in group:
            split = splits.get("manual" if claim.split == "manual" and "manual" in splits else "test", {})
            yield verification.compared(claim, split, tolerance)


def _by_data(claims: list[Any], data: DataConfig | None) -> dict[DataConfig | None, list[Any]]:
    """Claims by the tweets to measure them on."""
    groups: dict[DataConfig | None, list[Any]] = {}
    for claim in claims:
        named = claim.dataset if claim.dataset and claim.dataset.count("/") == 1 else None
        own = (
            DataConfig(dataset=named, dataset_split=claim.split or "test", dataset_revision=claim.revision)
            if named
            else None
        )
        groups.setdefault(data or own, []).append(claim)
    return groups
