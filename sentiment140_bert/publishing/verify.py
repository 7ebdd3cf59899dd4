"""``s140 verify``: a model's page, or a run, compared with measurements."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import schemas
from sentiment140_bert.cards import facts as card_facts
from sentiment140_bert.cards.dataset import render_dataset_card
from sentiment140_bert.cards.metadata import find_dataset_id, format_eval_results
from sentiment140_bert.cards.model import name_model, render_model_card
from sentiment140_bert.data import loading
from sentiment140_bert.errors import DataError, FalseDataError, ModelError, RunError, S140Error
from sentiment140_bert.evaluation.run import score_splits
from sentiment140_bert.files import Place, expand_path, hash_file, to_name
from sentiment140_bert.inference.predict import load_classifier
from sentiment140_bert.publishing import origin, others, page_files, pages
from sentiment140_bert.publishing.checks import (
    CLAIMED,
    FALSE,
    TOLERANCE,
    TRUE,
    VALUE_NAMES,
    WARNING,
    Check,
    VerifyResult,
    check_config,
    check_exactly,
    check_metrics,
    leave_unchecked,
    reach_verdict,
    settle,
)
from sentiment140_bert.publishing.graphs import check_graphs
from sentiment140_bert.recipe import FILE_SETTINGS, SOURCE_SETTINGS, DataConfig, as_data, load_recipe
from sentiment140_bert.run import GRAPHS, GRAPHS_NOTE, MODEL_PAGES, TRAINING_ROWS, RunDir, saved_recipe
from sentiment140_bert.schemas import REPO_ID

if TYPE_CHECKING:
    from sentiment140_bert.cards.facts import Facts
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.recipe import Recipe

log = logging.getLogger(__name__)
PATTERNS = [*(f"*{ending}" for ending in page_files.TEXTS), "model*.safetensors", TRAINING_ROWS]
PATTERNS += [".eval_results/*", "figures/*"]
OWN_FILES = ("metrics.json", "recipe.yaml", "data.json", "environment.json")
WEIGHTS, FINGERPRINT = VALUE_NAMES["weights_sha256"], VALUE_NAMES["data_fingerprint"]
MODEL_LINE = re.compile(r"^The splits that \[([^\]\n]+)\]\(", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A folder with card, weights and other claims. ``model_id`` is the name in its card's snippet, ``run`` its run
    directory, if it is in one."""

    folder: Path
    title: str
    model_id: str
    commit: str | None = None
    run: RunDir | None = None


def verify(
    name: Place,
    *,
    revision: str | None = None,
    data: DataConfig | Place | None = None,
    tolerance: float = TOLERANCE,
) -> VerifyResult:
    """Download what a page names, score it again, and compare.

    Args:
        name: A run directory, a model folder, or a Hub id.
        revision: Revision of a Hub model.
        data: The tweets to score on, for a page that does not name public ones.
        tolerance: Largest difference of a score measured again. Numbers that occur twice must agree exactly.

    Returns:
        The verdict, and every check; their texts are safe to print.

    Raises:
        HubError, ModelError: There is no such model, or the Hub cannot be reached.
    """
    name, data = to_name(name), as_data(data) if data else None
    page = _find_page(name, revision)
    if missing := [file for file in OWN_FILES if not (page.folder / file).is_file()]:
        checks = [*others.check_page(page.folder, page.model_id, missing, data, tolerance)]
    else:
        checks = [*_check_own_page(page, data, tolerance)]
    checks += page_files.check_settings(page.folder, WARNING if missing else FALSE)
    if page.commit:
        checks += _list_other_files(page, page.commit, is_own=not missing)
    return VerifyResult(name, page.commit, reach_verdict(checks), tolerance, tuple(check.clean() for check in checks))


def _list_other_files(page: Page, commit: str, is_own: bool) -> Iterator[Check]:
    """List the files of a page on the Hub that nothing else here compares."""
    from sentiment140_bert.hub import fetch

    names = {*fetch.list_files("model", page.model_id, commit)}
    names |= {path.relative_to(page.folder).as_posix() for path in page.folder.rglob("*") if path.is_file()}
    graphs = (GRAPHS_NOTE, *GRAPHS.values()) if GRAPHS_NOTE in names else ()
    known = (*MODEL_PAGES, *graphs) if is_own else ()
    yield from page_files.list_other_files(page.folder, names, known, WARNING if is_own else CLAIMED)


def _find_page(name: str, revision: str | None) -> Page:
    from sentiment140_bert import models

    path = expand_path(name)
    run = RunDir(path)
    if run.is_run():
        models.locate(name)
        recipe = saved_recipe(path)
        repo_id = run.read_publications().get("model", {}).get("repo_id")
        title, model_id = name_model(run, recipe, repo_id)
        return Page(run.model, title, model_id, run=run)
    if not models.is_hub_id(name):
        folder = Path(models.locate(name))
        return Page(folder, folder.name, str(folder))
    from sentiment140_bert.hub import fetch
    from sentiment140_bert.hub.client import Hub

    hub = Hub()
    commit = fetch.resolve_commit(hub, "model", name, revision)
    log.info("model: %s at commit %s", name, commit[:12])
    folder = fetch.download(hub, "model", name, commit, PATTERNS)
    return Page(folder, name.rpartition("/")[2], name, commit)


def _check_own_page(page: Page, data: DataConfig | None, tolerance: float) -> Iterator[Check]:
    """Check a page of `s140 push-to-hub`: measure its facts, and compare it with the page that they give."""
    from sentiment140_bert import tracking

    facts = card_facts.read_facts(page.run.path if page.run else page.folder)
    if page.run:  # a card leaves out the addresses of private servers
        facts = dataclasses.replace(facts, tracking=tracking.public_state(page.run))
    measured = facts
    try:
        measured, checks = _measure(page, facts, data, tolerance)
    except FalseDataError as error:
        checks = [Check("dataset", "as its data.json", error.message, FALSE)]
    except S140Error as error:
        checks = [leave_unchecked("scores", None, " ".join(str(error).split()))]
        checks += pages.warn_of_values("data.json", facts.data)
    if not any(check.claim == WEIGHTS for check in checks):
        checks.append(_check_weights(page, facts.metrics))
    yield from checks
    if train := measured.data["splits"].get("train"):
        yield from origin.check_training(facts.environment, train["rows"])
    yield from _compare_pages(page, measured)


def _measure(page: Page, facts: Facts, data: DataConfig | None, tolerance: float) -> tuple[Facts, list[Check]]:
    """Score the weights again on the tweets, and prepare these again if they are public.

    Returns:
        The right facts, with the page's own numbers where they are within the tolerance; and the checks.

    Raises:
        S140Error: The tweets or the model are not available.
    """
    from sentiment140_bert import models

    recipe = saved_recipe(page.run.path) if page.run else load_recipe(str(page.folder / "recipe.yaml"))
    prepared, dataset = _load_data(page, facts, recipe, data)
    claimed, fingerprint = facts.metrics["data_fingerprint"], prepared.report["fingerprint"]
    if data and claimed != fingerprint:
        names = " and ".join(filter(None, (data.dataset, data.manual_test)))
        return facts, [leave_unchecked(FINGERPRINT, claimed, f"the tweets of {names} are different: {fingerprint}")]
    if missing := {"train", "validation"} - {*prepared.splits()}:
        raise DataError(f"The tweets have no split {', '.join(sorted(missing))}.", "Ask the owner of the page.")
    classifier = load_classifier(str(page.folder))
    scored = score_splits(classifier, prepared, _check_weights(page, facts.metrics).measured).metrics
    metrics, checks = check_metrics(facts.metrics, json.loads(json.dumps(scored)), tolerance)
    checks += check_config(facts.metrics, classifier.config.get(models.CALIBRATION))
    right, data_checks = origin.check_data(
        facts.data, prepared, recipe, classifier.tokenizer, named_here=data is not None
    )
    checks += data_checks
    if recipe.model.layers:
        layers = models.load_config(str(page.folder)).num_hidden_layers
        checks.append(check_exactly("recipe.yaml: layers", recipe.model.layers, layers))
    if (page.folder / TRAINING_ROWS).is_file():
        checks.append(origin.check_training_rows(page.folder / TRAINING_ROWS, prepared))
    if facts.published:
        why, repo_id = "not checked: the tweets came from elsewhere", facts.published["repo_id"]
        skipped = [Check("published dataset", repo_id, None, CLAIMED, why)]
        checks += _compare_dataset_page(dataset, repo_id, right) if dataset else skipped
    graphs, graph_checks = check_graphs(facts.graphs, page.folder, page.commit and page.model_id, classifier)
    checks += graph_checks
    return dataclasses.replace(facts, metrics=metrics, data=right, graphs=graphs), checks


def _check_weights(page: Page, metrics: schemas.Metrics) -> Check:
    """Compare the hash of the weights that are loaded, if there are any, and their name, which the card states."""
    from sentiment140_bert import models

    try:
        files = models.find_weights(page.folder)
    except ModelError as error:
        return leave_unchecked(WEIGHTS, metrics["weights_sha256"], error.message)
    names = ", ".join(file.name for file in files)
    if names != models.SAFETENSORS:
        return Check(WEIGHTS, f"of {models.SAFETENSORS}", names, FALSE, "config.json names other weights")
    return check_exactly(WEIGHTS, metrics["weights_sha256"], hash_file(files[0]))


def _compare_pages(page: Page, facts: Facts) -> Iterator[Check]:
    """Compare card and eval results with those of the measured facts, and list the other claims of the page."""
    card, title, model_id = page.folder / "README.md", page.title, page.model_id
    names = pages.read_names(card, title, model_id)
    if page.commit is None or [name.lower() for name in names] == [title.lower(), model_id.lower()]:
        title, model_id = names  # a folder can be copied anywhere, and the Hub's names ignore case
    pictures = sorted(file.name for file in (page.folder / "figures").glob("*.png"))
    yield from pages.compare_card("card", card, render_model_card(facts, title, model_id, pictures))
    dataset = find_dataset_id(facts)
    yield from pages.compare_results(page.folder, format_eval_results(facts), dataset)
    yield from pages.list_claimed(facts, title, pictures)


def _compare_dataset_page(folder: Path, repo_id: str, measured: schemas.Data) -> Iterator[Check]:
    """Compare a published dataset's data.json and card with those of the measured facts."""
    from sentiment140_bert.data import published_dataset
    from sentiment140_bert.hub import fetch

    for name in fetch.list_others(repo_id, folder.name):
        yield Check(f"the dataset's files: {name}", name, None, WARNING, "it may change what is loaded")
    card, data = folder / "README.md", json.loads((folder / "data.json").read_text("utf-8"))
    own: dict[str, Any] = {**measured}
    compared = (*origin.ORIGIN, "settings", "seed", "fingerprint")
    rest = {key: value for key, value in data.items() if key not in compared}
    yield from pages.warn_of_values("the dataset's data.json", rest)
    for name in compared:
        if data.get(name) != own.get(name):
            yield check_exactly(f"the dataset's data.json: {name}", str(data.get(name)), str(own.get(name)))
    right = data | {key: own[key] for key in (*origin.ORIGIN, "settings") if key in own}
    same_tokens = data["tokenizer"]["sha256"] == measured["tokenizer"]["sha256"]
    if not same_tokens:
        name = str(data["tokenizer"].get("name"))
        yield Check("the dataset's tokens", name, None, CLAIMED, "they are not those of the model's tokenizer")
    right["splits"] = {
        name: split | ({} if same_tokens else {"token_length": data["splits"].get(name, split)["token_length"]})
        for name, split in measured["splits"].items()
    }
    right["configs"] = published_dataset.count_published(folder, right["splits"], data.get("configs", {}))
    for leaf in settle(data, right)[1]:
        if leaf.verdict != TRUE and leaf.path[0] in ("splits", "configs"):
            yield leaf.as_check(f"the dataset's data.json: {'.'.join(leaf.path)}")
    line = MODEL_LINE.search(card.read_text("utf-8", "replace")) if card.is_file() else None
    model_id = line[1].replace("\\", "") if line else ""  # perhaps another model of that dataset
    try:
        text = render_dataset_card(right, repo_id, model_id if re.fullmatch(REPO_ID, model_id) else None)
    except RunError as error:
        yield leave_unchecked("dataset card", None, error.message)
        return
    yield from pages.compare_card("dataset card", card, text)
    yield from pages.list_description("tweets of the dataset", right)


def _load_data(page: Page, facts: Facts, recipe: Recipe, data: DataConfig | None) -> tuple[Prepared, Path | None]:
    """Return the splits that a page was scored on, published with it or prepared from its recipe, and the folder of a
    published dataset."""
    from sentiment140_bert.data import published_dataset

    published = facts.published
    if data is None and published and not page.run:
        from sentiment140_bert.hub import fetch
        from sentiment140_bert.hub.client import Hub

        downloaded = fetch.download_published_dataset(Hub(), published["repo_id"], published["revision"])
        if not downloaded:
            raise DataError(
                f"The dataset {published['repo_id']} at {published['revision'][:12]} is not available.",
                "It may be private: log in, or name the tweets with --dataset.",
            )
        folder, commit = downloaded
        return published_dataset.read_dataset(folder, published["repo_id"], commit), folder
    if data is not None:
        changes = data.model_dump(include=set(SOURCE_SETTINGS), exclude_defaults=True)
        no_files = dict.fromkeys(FILE_SETTINGS)  # a stranger's recipe names no file of this machine
        recipe = recipe.with_values(changes if page.run else no_files | changes)
    elif not page.run and not origin.is_public(recipe.data):
        raise DataError(
            f"The tweets came from a file, {facts.data['sources']['training']['name']}.",
            "Pass that file with --dataset.",
        )
    elif not page.run and recipe.data.drop_suspects:
        raise DataError(
            f"Training tweets listed in a file, {Path(recipe.data.drop_suspects).name}, were left out.",
            "Ask its owner to publish the dataset.",
        )
    return loading.load_splits(recipe.data)
