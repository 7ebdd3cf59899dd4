"""``s140 verify``: a model's page, or a run, compared with what can be measured."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import recipes
from sentiment140_bert.cards import model_folder
from sentiment140_bert.data import preparing
from sentiment140_bert.errors import DataError, FalseDataError, ModelError, RunError, S140Error
from sentiment140_bert.evaluation import judging, scoring
from sentiment140_bert.inference import answering
from sentiment140_bert.publishing import origin_checks, page_checks, verification
from sentiment140_bert.publishing.verification import Check
from sentiment140_bert.recipe import READING
from sentiment140_bert.run_dir import TRAINING_ROWS, RunDir, sha256_of
from sentiment140_bert.runs import saved_recipe
from sentiment140_bert.settings import DataConfig, file_settings
from sentiment140_bert.shapes import REPO_ID
from sentiment140_bert.values import path_named

if TYPE_CHECKING:
    from sentiment140_bert.cards.facts import Facts
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.recipe import Recipe

log = logging.getLogger(__name__)
PATTERNS = ["*.json", "*.yaml", "*.md", "*.txt", "model*.safetensors", TRAINING_ROWS, ".eval_results/*", "figures/*"]
OWN_FILES = ("metrics.json", "recipe.yaml", "data.json", "environment.json")
WEIGHTS, FINGERPRINT = verification.NAMES["weights_sha256"], verification.NAMES["data_fingerprint"]
OF_MODEL = re.compile(r"^The splits that \[([^\]\n]+)\]\(", re.MULTILINE)


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
    name: str, *, revision: str | None = None, data: DataConfig | None = None, tolerance: float = verification.TOLERANCE
) -> dict[str, Any]:
    """Downloads what a page names, scores it again, and compares.

    Args:
        name: A run directory, a model folder, or a Hub id.
        revision: Of the Hub model.
        data: The tweets to score on, where the page does not lead to them.
        tolerance: Largest difference of a score measured again. Numbers that stand twice must agree exactly.

    Returns:
        ``model``, ``commit``, ``verdict`` (true, false or unchecked), ``warnings`` (how many), ``tolerance`` and
        ``checks``, each with a verdict of its own, which may also be claimed or warning.

    Raises:
        HubError, ModelError: There is no such model, or the Hub cannot be reached.
    """
    page = _page(name, revision)
    own = all((page.folder / name).is_file() for name in OWN_FILES)
    checks = [*(_own(page, data, tolerance) if own else _foreign(page, data, tolerance))]
    return {
        "model": name,
        "commit": page.commit,
        "verdict": verification.verdict(checks),
        "warnings": sum(check.verdict == verification.WARNING for check in checks),
        "tolerance": tolerance,
        "checks": [check.shown() for check in checks],
    }


def _page(name: str, revision: str | None) -> Page:
    from sentiment140_bert import models

    path = path_named(name)
    run = RunDir(path)
    if run.is_run():
        models.locate(name)
        recipe = saved_recipe(path)
        repo_id = model_folder.remembered(run).get("model", {}).get("repo_id")
        title, model_id = model_folder.names_of(run, recipe, repo_id)
        return Page(run.model, title, model_id, run=run)
    if not models.is_hub_id(name):
        folder = Path(models.locate(name))
        return Page(folder, folder.name, str(folder))
    from sentiment140_bert.hub import fetch
    from sentiment140_bert.hub.client import Hub

    hub = Hub()
    commit = fetch.commit_of(hub, "model", name, revision)
    log.info("model: %s at commit %s", name, commit[:12])
    folder = fetch.snapshot(hub, "model", name, commit, PATTERNS)
    return Page(folder, name.rpartition("/")[2], name, commit)


def _own(page: Page, data: DataConfig | None, tolerance: float) -> Iterator[Check]:
    """Check a page that `s140 push-to-hub` made: measure its facts, and compare it with the page that they give."""
    from sentiment140_bert import tracking
    from sentiment140_bert.cards import facts as card_facts

    facts = card_facts.read(page.run.path if page.run else page.folder)
    if page.run:  # a card shows less of it: no address of a server that is not there for everybody
        facts = dataclasses.replace(facts, tracking=tracking.shown(page.run))
    measured = facts
    try:
        measured, checks = _measure(page, facts, data, tolerance)
    except FalseDataError as error:
        checks = [Check("dataset", "as its data.json", error.message, verification.FALSE)]
    except S140Error as error:
        checks = [verification.unchecked("scores", None, " ".join(str(error).split()))]
    if not any(check.claim == WEIGHTS for check in checks):
        checks.append(_weights(page, facts.metrics))
    yield from checks
    if rows := measured.data["splits"].get("train", {}).get("rows"):
        yield from origin_checks.check_training(facts.environment, rows)
    yield from _pages(page, measured)


def _measure(page: Page, facts: Facts, data: DataConfig | None, tolerance: float) -> tuple[Facts, list[Check]]:
    """Score the weights again on the tweets, and prepare these again as far as anybody can.

    Returns:
        The facts as they should be, with the page's own numbers where they are within the tolerance; and the checks.

    Raises:
        S140Error: The tweets or the model cannot be had.
    """
    from sentiment140_bert import models

    recipe = _recipe_of(page)
    prepared, dataset = _data_of(page, facts, recipe, data)
    claimed, fingerprint = facts.metrics["data_fingerprint"], prepared.report["fingerprint"]
    if data and claimed != fingerprint:
        names = " and ".join(filter(None, (data.dataset, data.manual_test)))
        return facts, [verification.unchecked(FINGERPRINT, claimed, f"the tweets of {names} are others: {fingerprint}")]
    if missing := {"train", "validation"} - {*prepared.splits()}:
        raise DataError(f"The tweets have no split {', '.join(sorted(missing))}.", "Ask the owner of the page.")
    classifier = answering.load_classifier(str(page.folder))
    scored = scoring.scores_of(classifier, prepared).metrics | {
        "weights_sha256": _weights(page, facts.metrics).measured
    }
    metrics, checks = verification.metrics(facts.metrics, json.loads(json.dumps(scored)), tolerance)
    checks += verification.noted(facts.metrics, classifier.config.get(models.CALIBRATION))
    right, more = origin_checks.check_data(
        facts.data, prepared, recipe, classifier.tokenizer, named_here=data is not None
    )
    checks += more
    if (page.folder / TRAINING_ROWS).is_file():
        checks.append(_training_rows(page.folder / TRAINING_ROWS, prepared))
    if facts.published:
        why, repo_id = "not looked at: the tweets came from elsewhere", facts.published["repo_id"]
        unseen = [Check("published dataset", repo_id, None, verification.CLAIMED, why)]
        checks += _dataset_page(dataset, repo_id, right) if dataset else unseen
    return dataclasses.replace(facts, metrics=metrics, data=right), checks


def _training_rows(file: Path, prepared: Prepared) -> Check:
    """Compare the hashes of training texts that the model carries with those of the texts."""
    import numpy as np

    from sentiment140_bert.data import leakage

    claim = "hashes of training texts"
    try:
        carried = leakage.read_hashes(file)
    except RunError as error:
        return verification.unchecked(claim, None, error.message)
    right = np.unique(leakage.row_hashes(prepared.splits()["train"].with_format("arrow")[:]["text"]))
    agree = np.array_equal(carried, right)
    return Check(claim, len(carried), len(right), verification.TRUE if agree else verification.FALSE)


def _weights(page: Page, metrics: dict[str, Any]) -> Check:
    """Compare the weights' hash; there may be none of that name."""
    weights = page.folder / "model.safetensors"
    if weights.is_file():
        return verification.exactly(WEIGHTS, metrics["weights_sha256"], sha256_of(weights))
    return verification.unchecked(WEIGHTS, metrics["weights_sha256"], "there is no model.safetensors")


def _pages(page: Page, facts: Facts) -> Iterator[Check]:
    """Compare card and eval results with those of the measured facts, and list what else the page says."""
    from sentiment140_bert.cards import metadata, model

    card, title, model_id = page.folder / "README.md", page.title, page.model_id
    named = page_checks.names_on_card(card, title, model_id)
    if page.commit is None or [name.lower() for name in named] == [title.lower(), model_id.lower()]:
        title, model_id = named  # a folder may have been taken anywhere, and the Hub's names are the same in any case
    pictures = sorted(file.name for file in (page.folder / "figures").glob("*.png"))
    yield from page_checks.compare_card("card", card, model.model_card(facts, title, model_id, pictures))
    dataset = metadata.dataset_id(facts)
    yield from page_checks.compare_results(page.folder, metadata.eval_results(facts), dataset)
    yield from page_checks.list_claimed(facts, title, pictures)


def _dataset_page(folder: Path, repo_id: str, measured: dict[str, Any]) -> Iterator[Check]:
    """Compare a published dataset's data.json and card with those of the measured facts."""
    from sentiment140_bert.cards.dataset import dataset_card
    from sentiment140_bert.data import publication

    card, data = folder / "README.md", json.loads((folder / "data.json").read_text("utf-8"))
    for name in (*origin_checks.ORIGIN, "settings", "seed", "fingerprint"):
        if data.get(name) != measured.get(name):
            yield verification.exactly(f"the dataset's data.json: {name}", str(data.get(name)), str(measured.get(name)))
    right = data | {key: measured[key] for key in (*origin_checks.ORIGIN, "settings") if key in measured}
    same_tokens = data["tokenizer"]["sha256"] == measured["tokenizer"]["sha256"]
    right["splits"] = {
        name: split | ({} if same_tokens else {"token_length": data["splits"].get(name, split)["token_length"]})
        for name, split in measured["splits"].items()
    }
    right["configs"] = publication.sizes_of(folder, right["splits"], data.get("configs", {}))
    line = OF_MODEL.search(card.read_text("utf-8", "replace")) if card.is_file() else None
    named = line[1].replace("\\", "") if line else ""  # perhaps of another model of that dataset
    try:
        text = dataset_card(right, repo_id, named if re.fullmatch(REPO_ID, named) else None)
    except RunError as error:
        yield verification.unchecked("dataset card", None, error.message)
        return
    yield from page_checks.compare_card("dataset card", card, text)
    yield from page_checks.list_description("tweets of the dataset", right)


def _recipe_of(page: Page) -> Recipe:
    return saved_recipe(page.run.path) if page.run else recipes.load(str(page.folder / "recipe.yaml"))


def _data_of(page: Page, facts: Facts, recipe: Recipe, data: DataConfig | None) -> tuple[Prepared, Path | None]:
    """Return the splits that a page was scored on: published with it, or made again from its recipe."""
    from sentiment140_bert.data import publication

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
        defaults = DataConfig()
        given = {name: getattr(data, name) for name in READING if getattr(data, name) != getattr(defaults, name)}
        strangers = dict.fromkeys(file_settings(DataConfig))  # none of this machine is read
        recipe = recipe.with_values(given if page.run else strangers | given)
    elif not page.run and not origin_checks.is_public(recipe.data):
        raise DataError(
            f"The tweets came from a file, {facts.data['sources']['training']['name']}.", "Name it with --dataset."
        )
    elif not page.run and recipe.data.drop_suspects:
        raise DataError(
            f"Training tweets that stand in a file, {Path(recipe.data.drop_suspects).name}, were left out.",
            "Ask its owner to publish the dataset.",
        )
    return preparing.splits(recipe.data)


def _foreign(page: Page, data: DataConfig | None, tolerance: float) -> Iterator[Check]:
    """Anybody's model: the scores that its card states, on the tweets that it or ``data`` names."""
    from sentiment140_bert.cards import sections

    file = page.folder / "README.md"
    try:
        text = file.read_text("utf-8")
        card = sections.parse(text)
    except FileNotFoundError:
        raise ModelError(
            f"{page.model_id} has no card, so it claims nothing.", "Score it: s140 evaluate MODEL --dataset …"
        ) from None
    except ValueError as error:
        raise ModelError(f"The card of {page.model_id} cannot be read: {error}.", "Tell its owner.") from None
    if card.sections:
        missing = [name for name in OWN_FILES if not (page.folder / name).is_file()]
        yield verification.unchecked("card: sections", None, f"the page has no {', '.join(missing)}")
    claims = [*verification.of_model_index(card.metadata.get("model-index"))]
    known = {(claim.metric, round(claim.value, 4)) for claim in claims}
    body = "".join(card.between)
    claims += [each for each in verification.of_text(body) if (each.metric, round(each.value, 4)) not in known]
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
            splits = judging.evaluate(str(page.folder), wanted)["splits"]
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
        named = claim.dataset if claim.dataset and origin_checks.is_on_hub(claim.dataset) else None
        own = (
            DataConfig(dataset=named, dataset_split=claim.split or "test", dataset_revision=claim.revision)
            if named
            else None
        )
        elsewhere = data and named and origin_checks.is_on_hub(data.dataset) and named != data.dataset
        groups.setdefault(own if elsewhere or not data else data, []).append(claim)
    return groups
