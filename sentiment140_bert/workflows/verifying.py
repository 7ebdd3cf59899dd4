"""``s140 verify``: a model's page, or a run, held against what can be measured."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import plain_yaml, recipes, verification
from sentiment140_bert.errors import DataError, FalseDataError, ModelError, RunError, S140Error, first_line
from sentiment140_bert.recipe import READING
from sentiment140_bert.run_dir import EVAL_RESULTS, TRAINING_ROWS, RunDir, sha256_of
from sentiment140_bert.settings import DataConfig
from sentiment140_bert.shapes import REPO_ID
from sentiment140_bert.values import path_named
from sentiment140_bert.verification import Check
from sentiment140_bert.workflows import answering, judging, model_folder, preparing, scoring
from sentiment140_bert.workflows.runs import saved_recipe

if TYPE_CHECKING:
    from sentiment140_bert.data.cache import Prepared

log = logging.getLogger(__name__)
PATTERNS = ["*.json", "*.yaml", "*.md", "*.txt", "model*.safetensors", TRAINING_ROWS, ".eval_results/*", "figures/*"]
COMPARED = ("model-index", "widget", "dataset_info", "base_model", "datasets", "configs")  # of a card's front matter


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
        ``model``, ``commit``, ``verdict`` (true, false or unchecked), ``tolerance`` and ``checks``.

    Raises:
        HubError, ModelError: There is no such model, or the Hub cannot be reached.
    """
    page = _page(name, revision)
    own = all(
        (page.folder / each).is_file() for each in ("metrics.json", "recipe.yaml", "data.json", "environment.json")
    )
    checks = [*(_own(page, data, tolerance) if own else _foreign(page, data, tolerance))]
    return {
        "model": name,
        "commit": page.commit,
        "verdict": verification.verdict(checks),
        "tolerance": tolerance,
        "checks": [check.shown() for check in checks],
    }


def _page(name: str, revision: str | None) -> Page:
    from sentiment140_bert import modeling

    path = path_named(name)
    run = RunDir(path)
    if run.is_run():
        modeling.locate(name)
        recipe = saved_recipe(path)
        repo_id = model_folder.remembered(run).get("model", {}).get("repo_id")
        title, model_id = model_folder.names_of(run, recipe, repo_id)
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
    from sentiment140_bert import modeling, tracking
    from sentiment140_bert.cards import facts as card_facts

    facts = card_facts.read(page.run.path if page.run else page.folder)
    if page.run:  # a card shows less of it: no address of a server that is not there for everybody
        facts = dataclasses.replace(facts, tracking=tracking.shown(page.run))
    yield from _weights(page, facts.metrics)
    yield from _card(page, facts)
    yield from _eval_results(page, facts)
    try:
        prepared, dataset = _data_of(page, facts, data)
        texts = [each["text"] for each in facts.metrics["examples"]]
        classifier = answering.load_classifier(str(page.folder))
        measured = scoring.scores_of(classifier, prepared, texts).metrics
        noted = classifier.config.get(modeling.CALIBRATION)
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
        names = " and ".join(filter(None, (data.dataset, data.manual_test)))
        yield verification.unchecked("data fingerprint", claimed, f"the tweets of {names} are others: {found}")
        return
    yield verification.exactly("data fingerprint", claimed, found)
    if facts.data["fingerprint"] != found:
        yield verification.exactly("data.json: fingerprint", facts.data["fingerprint"], found)
    for name, split in facts.data["splits"].items():
        for key in ("rows", "negative", "positive", "sha256"):
            told, there = split.get(key), prepared.report["splits"].get(name, {}).get(key)
            if told != there:
                yield verification.exactly(f"data.json, {name}: {key}", told, there)
    yield from verification.scores(facts.metrics["splits"], measured["splits"], tolerance)
    if (page.folder / TRAINING_ROWS).is_file():
        yield _training_rows(page.folder / TRAINING_ROWS, prepared)
    yield from verification.learned(facts.metrics, measured, noted, tolerance)
    yield from verification.examples(facts.metrics["examples"], measured["examples"], tolerance)


def _training_rows(file: Path, prepared: Prepared) -> Check:
    """The hashes of training texts that the model carries beside those of the texts."""
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


def _weights(page: Page, metrics: dict[str, Any]) -> Iterator[Check]:
    weights = page.folder / "model.safetensors"
    if weights.is_file():
        yield verification.exactly("weights' sha256", metrics["weights_sha256"], sha256_of(weights))
    else:
        yield verification.unchecked("weights' sha256", metrics["weights_sha256"], "there is no model.safetensors")


def _card(page: Page, facts: Any) -> Iterator[Check]:
    """The card's sections and front matter beside those that its own files give."""
    from sentiment140_bert.cards import model

    figures = sorted(each.name for each in (page.folder / "figures").glob("*.png"))
    right = model.model_card(facts, page.title, page.model_id, figures)
    yield from _text("card", page.folder / "README.md", right)


def _text(name: str, file: Path, right: str) -> Iterator[Check]:
    """A card's numbers beside those of the one that its own files give."""
    from sentiment140_bert.cards import sections

    try:
        claimed, expected = sections.parse(file.read_text("utf-8")), sections.parse(right)
    except (OSError, ValueError) as error:
        yield verification.unchecked(name, None, f"its README.md cannot be read: {error}")
        return
    yield from _front_matter(name, claimed.metadata, expected.metadata)
    missing = [section for section in expected.sections if section not in claimed.sections]
    written_by = sections.WRITTEN_BY.search(claimed.sections.get("summary", ""))
    if missing or not written_by or written_by[1] != version("sentiment140-bert"):
        why = f"it has no section {', '.join(missing)}" if missing else "it was written by another version"
        yield verification.unchecked(f"{name}: numbers in text", None, why)
        return
    wrong = 0
    for section, content in expected.sections.items():
        for said, should, line in sections.differences(claimed.sections[section], content):
            wrong += 1
            yield verification.Check(f"{name}, {section}: {line[:80]}", said, should, verification.FALSE)
    if not wrong:
        yield verification.Check(f"{name}: numbers in text", "as its files", "as its files", verification.TRUE)


def _front_matter(name: str, claimed: dict[str, Any], right: dict[str, Any]) -> Iterator[Check]:
    said, should = (
        dict(_leaves({key: each.get(key) for key in COMPARED if key in right})) for each in (claimed, right)
    )
    nothing = ("", None)
    wrong = [path for path in {**should, **said} if said.get(path, nothing)[1] != should.get(path, nothing)[1]]
    wrong = [path for path in wrong if path != ("model-index", 0, "name")]  # that is whoever's who gave it
    for path in wrong:
        label = (should.get(path) or said[path])[0]
        claim, there = (each.get(path, nothing)[1] for each in (said, should))
        yield verification.Check(f"{name}, front matter: {label}", claim, there, verification.FALSE)
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

    from sentiment140_bert.cards import metadata

    file, text = page.folder / EVAL_RESULTS, metadata.eval_results(facts)
    if not file.is_file() or not text:
        return
    right = yaml.safe_load(text)
    try:
        entries = plain_yaml.load(file.read_text("utf-8"))
        said = {entry["dataset"]["task_id"]: entry["value"] for entry in entries}
    except (yaml.YAMLError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        yield verification.unchecked(EVAL_RESULTS, None, f"it cannot be read: {first_line(error)}")
        return
    for entry in right:
        name = entry["dataset"]["task_id"]
        yield verification.exactly(f"{EVAL_RESULTS}: {name}", said.pop(name, None), entry["value"])
    if said or entries != right:
        yield verification.Check(f"{EVAL_RESULTS}: entries", str(entries), "as metrics.json", verification.FALSE)


def _dataset_card(folder: Path, repo_id: str, model_id: str) -> Iterator[Check]:
    """A published dataset's card beside the one that its own data.json gives."""
    from sentiment140_bert.cards.dataset import dataset_card

    card, data = folder / "README.md", json.loads((folder / "data.json").read_text("utf-8"))
    named = card.is_file() and b"\nThe splits that [" in card.read_bytes()  # perhaps of another model of that dataset
    try:
        right = dataset_card(data, repo_id, model_id if named else None)
    except RunError as error:
        yield verification.unchecked("dataset card", None, error.message)
        return
    yield from _text("dataset card", card, right)


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
        defaults = DataConfig()
        given = {name: getattr(data, name) for name in READING if getattr(data, name) != getattr(defaults, name)}
        strangers = {"manual_test": None, "drop_suspects": None}  # it may name files, and none of this machine is read
        recipe = recipe.with_values(given if page.run else strangers | given)
    elif not page.run and not _is_everybodys(recipe.data):
        raise DataError(
            f"The tweets came from a file, {facts.data['sources']['training']['name']}.", "Name it with --dataset."
        )
    elif not page.run and recipe.data.drop_suspects:
        raise DataError(
            f"Training tweets that stand in a file, {Path(recipe.data.drop_suspects).name}, were left out.",
            "Ask its owner to publish the dataset.",
        )
    return preparing.splits(recipe.data)


def _is_everybodys(data: DataConfig) -> bool:
    """Whether a stranger's recipe names tweets that are the same everywhere, and no file of this machine."""
    known = data.dataset in ("sample", "stanford") or _is_on_hub(data.dataset)
    return known and data.manual_test in (None, "none")


def _is_on_hub(name: str) -> bool:
    return bool(re.fullmatch(REPO_ID, name)) and not Path(name).exists()


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
        named = claim.dataset if claim.dataset and _is_on_hub(claim.dataset) else None
        own = (
            DataConfig(dataset=named, dataset_split=claim.split or "test", dataset_revision=claim.revision)
            if named
            else None
        )
        elsewhere = data and named and _is_on_hub(data.dataset) and named != data.dataset
        groups.setdefault(own if elsewhere or not data else data, []).append(claim)
    return groups
