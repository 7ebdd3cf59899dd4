"""The sources and the preparation of a page's tweets, measured by preparing them again."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sentiment140_bert import schemas
from sentiment140_bert.data import loading
from sentiment140_bert.data.corpora import HUB_NAMES, SAMPLE_SHA256, STANFORD_SHA256
from sentiment140_bert.errors import DataError, RecipeError, RunError, S140Error
from sentiment140_bert.publishing.checks import (
    CLAIMED,
    FALSE,
    TRUE,
    UNCHECKED,
    Check,
    check_exactly,
    leave_unchecked,
    settle,
)
from sentiment140_bert.publishing.pages import warn_of_values
from sentiment140_bert.recipe import FILE_SETTINGS, SOURCE_SETTINGS, DataConfig
from sentiment140_bert.schemas import REPO_ID

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.recipe import Recipe

ORIGIN = ("sources", "steps", "leakage", "suspects")  # keys of data.json that only the source itself shows
UNPUBLISHED = ("neutral", "manual_neutral")  # splits that a published dataset may leave out
SAMPLE = "sample"
PUBLIC = (SAMPLE, "stanford")  # names of sources that are no files and not on the Hub
ROUNDING = 1e-3
HUNDREDTH = 0.01  # of a second, to which the time of a training is rounded


def is_public(data: DataConfig) -> bool:
    """Return True if a recipe names tweets that are the same everywhere, and no file of this machine."""
    is_named = data.dataset in PUBLIC or is_on_hub(data.dataset)
    files = (getattr(data, name) for name in FILE_SETTINGS if name != "drop_suspects")  # it has an error of its own
    return is_named and all(file in (None, "none") for file in files)


def is_corpus(data: DataConfig) -> bool:
    """Return True if a recipe names the packaged sample or Sentiment140 itself, whole and without other files."""
    return is_public(data) and data.drop_suspects is None and data.dataset in (*PUBLIC, *HUB_NAMES)


def is_on_hub(name: str) -> bool:
    """Return True if a name is one that the Hub may have, and nothing here."""
    return bool(re.fullmatch(REPO_ID, name)) and not Path(name).exists()


def is_sample(prepared: Prepared) -> bool:
    """Return True if most training tweets are those of the packaged sample, whatever their name."""
    import pyarrow.compute as pc

    from sentiment140_bert.data import clean
    from sentiment140_bert.data.pipeline import load_unsplit

    sample = pc.unique(clean.make_keys(load_unsplit(DataConfig(dataset=SAMPLE))["test"]["text"]))
    rows = prepared.split("train").with_format("arrow")[: 2 * len(sample) + 1]
    in_sample = pc.sum(pc.is_in(clean.make_keys(rows["text"]), sample)).as_py() or 0
    return bool(2 * in_sample > len(rows))


def check_data(
    claimed: schemas.Data, prepared: Prepared, recipe: Recipe, tokenizer: Any, *, named_here: bool
) -> tuple[schemas.Data, list[Check]]:
    """Compare a ``data.json`` with its tweets, and with what its sources give where they are public.

    Args:
        claimed: The page's.
        prepared: The splits that the page was scored on.
        recipe: The page's.
        tokenizer: The model's.
        named_here: The tweets came from ``--dataset``, so the same ones may have another name and layout.

    Returns:
        Its right content, as far as it was measured; and the checks.
    """
    measured = _measure_splits(claimed, prepared, recipe.data.max_length, tokenizer)
    origin, checks = _measure_origin(claimed, prepared, recipe, named_here)
    measured |= origin
    checks += _check_distinct(claimed, prepared)
    checks += _check_label_issues(claimed, recipe)
    # By the name in ``published`` the tweets were loaded; of a list of label issues only the counts are measured.
    known = {*origin, "published"} - {"suspects"}
    checks += warn_of_values("data.json", {key: value for key, value in claimed.items() if key not in known})
    compared = {*measured, *(ORIGIN if "sources" in origin else ())}
    settled, leaves = settle({key: value for key, value in claimed.items() if key in compared}, measured)
    checks += [leaf.as_check(f"data.json: {'.'.join(leaf.path)}") for leaf in leaves if leaf.verdict != TRUE]
    if not any(check.verdict == FALSE for check in checks):
        agreed = f"{sum(leaf.verdict == TRUE for leaf in leaves)} values"
        checks.append(Check("data.json: splits, tokens, sources, steps", agreed, agreed, TRUE))
    return cast(schemas.Data, {**claimed, **settled}), checks


def _measure_splits(claimed: schemas.Data, prepared: Prepared, max_length: int, tokenizer: Any) -> dict[str, Any]:
    """Measure the tweets themselves: their counts and hashes, their tokens, and the tokenizer's cleaning."""
    from sentiment140_bert.data import data_json
    from sentiment140_bert.data.pipeline import tokenize_splits
    from sentiment140_bert.data.tokenize import find_cleaning

    tokens = tokenize_splits(prepared, tokenizer, max_length).report
    splits = {
        name: data_json.describe_split(split.with_format("arrow")[:])
        | {"token_length": tokens["splits"][name]["token_length"]}
        for name, split in prepared.splits().items()
    }
    unpublished = {name: split for name, split in claimed["splits"].items() if name in UNPUBLISHED}
    return {
        "fingerprint": prepared.report["fingerprint"],
        "splits": {name: split for name, split in unpublished.items() if "published" in prepared.report} | splits,
        "settings": claimed["settings"] | ({"cleaning": level} if (level := find_cleaning(tokenizer)) else {}),
        "tokenizer": claimed["tokenizer"] | {key: tokens["tokenizer"][key] for key in ("sha256", "max_length")},
    }


def _check_distinct(claimed: schemas.Data, prepared: Prepared) -> Iterator[Check]:
    """Check what both cards say: no text occurs in two splits, nor twice in one but with other labels."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from sentiment140_bert.data import clean
    from sentiment140_bert.data.published_dataset import MANUAL, SPLITS

    tables = {name: table for name, table in prepared.tables().items() if name in SPLITS}
    texts = {name: pc.unique(clean.make_keys(table["text"])) for name, table in tables.items()}
    shared = sum(map(len, texts.values())) - len(pc.unique(pa.chunked_array([*texts.values()])))
    yield check_exactly("texts that occur in two splits", 0, shared)
    if claimed["settings"]["conflicts"] != "keep":
        repeated = sum(len(table) - len(texts[name]) for name, table in tables.items() if name != MANUAL)
        yield check_exactly("texts that occur twice in a split", 0, repeated)


def _measure_origin(
    claimed: schemas.Data, prepared: Prepared, recipe: Recipe, named_here: bool
) -> tuple[dict[str, Any], list[Check]]:
    """Measure the sources, as parts of ``data.json``; published splits are prepared again."""
    sources, claim = claimed["sources"], "data.json: source of the tweets"
    training = sources["training"]
    what = f"{training['name']}, {training['rows']:,} rows"
    if training["name"] != SAMPLE and is_sample(prepared):
        return {}, [Check(claim, what, "the packaged sample", FALSE)]
    again = prepared
    if "published" in prepared.report:
        try:
            again = _prepare_again(claimed, prepared, recipe)
        except RecipeError as error:
            return {}, [leave_unchecked("data.json: settings", None, error.problems[0])]
        except S140Error as error:
            reason = f"it cannot be prepared again: {error.message}"
            roles = [role for role in ("training", "manual") if role in sources]
            return {}, [_leave_source(role, sources[role], reason) for role in roles]
        if again.report["fingerprint"] != prepared.report["fingerprint"]:
            manual, own = (part.get("manual") for part in (sources, again.report["sources"]))
            if manual and (own is None or own["name"] != manual["name"]):
                why = f"the hand-labeled tweets of {manual['name']} are needed to prepare it again"
                return {}, [leave_unchecked(claim, what, why)]
            return {}, [Check("data.json: sources and settings", what, "they give other tweets", FALSE)]
    parts = (*ORIGIN, "settings", "seed")
    origin: dict[str, Any] = {key: value for key, value in again.report.items() if key in parts}
    reading = {key: value for key, value in claimed["settings"].items() if key in SOURCE_SETTINGS}
    origin["settings"] = origin["settings"] | reading
    stated: dict[str, Any] = {**sources}
    if named_here:
        hashes = [{role: source["sha256"] for role, source in part.items()} for part in (stated, origin["sources"])]
        if hashes[0] != hashes[1]:
            origin = {key: origin[key] for key in ("settings", "seed")}
            return origin, [Check(claim, what, None, CLAIMED, "--dataset has the same tweets in another file")]
    origin["sources"] = {
        role: _take_name(source, stated.get(role), named_here) for role, source in origin["sources"].items()
    }
    return origin, []


def _take_name(source: schemas.Source, stated: schemas.Source | None, named_here: bool) -> schemas.Source:
    """Return a source by the name that the page gives the same file."""
    is_same = stated and stated["sha256"] == source["sha256"] and (named_here or source["sha256_of"] == "file")
    return source | {"name": stated["name"]} if stated and is_same else source


def _leave_source(role: str, source: schemas.Source, reason: str) -> Check:
    """Return the check of a source that is not measured: a claim, or, where others could measure it, a gap."""
    claim = f"data.json: source of the {'' if role == 'training' else f'{role} '}tweets"
    verdict = UNCHECKED if _is_named_publicly(source) else CLAIMED
    return Check(claim, f"{source['name']}, {source['rows']:,} rows", None, verdict, reason)


def _is_named_publicly(source: schemas.Source) -> bool:
    """Return True if ``data.json`` says that these tweets are where others find them, too."""
    name = re.sub(r" \([^()]*\)$", "", _find_public_name(source))  # as in "stanford (manual)"
    return source["on_hub"] or name in PUBLIC or bool(re.fullmatch(REPO_ID, name))


def _find_public_name(source: schemas.Source) -> str:
    """Return the name by which anyone can load a source, or its own: the hash of a public file makes it public."""
    names = {STANFORD_SHA256: "stanford", SAMPLE_SHA256: SAMPLE}
    return names.get(source["sha256"], source["name"]) if source["sha256_of"] == "file" else source["name"]


def _prepare_again(claimed: schemas.Data, prepared: Prepared, recipe: Recipe) -> Prepared:
    """Prepare published splits again from the source that the page names.

    Raises:
        RecipeError: A recipe cannot have these settings.
        S140Error: The source is a file of its owner, or not available.
    """
    source = claimed["sources"]["training"]
    values = {key: value for key, value in claimed["settings"].items() if key != "max_length"}
    values |= {"dataset": _find_public_name(source), "manual_test": None if "manual" in claimed["sources"] else "none"}
    values |= {"drop_suspects": None, "dataset_revision": source["revision"] or values.get("dataset_revision")}
    if "suspects" in claimed:  # fewer tweets are drawn after those of the list are left out
        values["max_train_samples"] = None
    data = recipe.with_values(values).data
    if not is_public(data):
        raise DataError("it is a file of its owner")
    again = loading.load_splits(data)[0]
    if "published" in again.report:
        raise DataError("it is a published dataset itself")
    return _leave_out_label_issues(again, prepared.table("train"), claimed) if "suspects" in claimed else again


def _leave_out_label_issues(full: Prepared, train: pa.Table, claimed: schemas.Data) -> Prepared:
    """Return splits prepared without a list of label issues, with the report of those for which it may be true.

    The list is its owner's, but what it left out is missing: the report describes the training tweets that are in
    ``train``, too, and the rest as left out. Where fewer tweets were drawn, too, nobody knows which of the two left a
    tweet out; then only the sum must be right.
    """
    import pyarrow.compute as pc

    from sentiment140_bert.data import data_json, leakage, subset

    tables, report, listed = full.tables(), full.report, claimed["suspects"]
    is_kept = pc.is_in(subset.join_label(tables["train"]), value_set=subset.join_label(train))
    missing = tables["train"].filter(pc.invert(is_kept))
    tables["train"] = tables["train"].filter(is_kept)
    drawn = claimed["settings"].get("max_train_samples")
    stated = claimed["steps"].get("suspects_dropped", 0) if drawn else len(missing)
    steps = report["steps"] | {"suspects_dropped": min(stated, len(missing))}
    if rest := len(missing) - steps["suspects_dropped"]:
        steps["left_out_of_train"] = rest
    # A text with two labels is one text of a list without labels.
    fewest = -(-steps["suspects_dropped"] // (2 if report["settings"]["conflicts"] == "keep" else 1))
    found = min(max(listed["found"], fewest), steps["suspects_dropped"])
    splits = report["splits"] | {"train": data_json.describe_split(tables["train"])}
    described = {
        "steps": steps,
        "splits": splits,
        "fingerprint": data_json.compute_fingerprint({name: split["sha256"] for name, split in splits.items()}),
        "settings": report["settings"] | ({"max_train_samples": len(tables["train"])} if drawn else {}),
        "suspects": listed | {"found": found, "rows": max(listed["rows"], found)},
        "leakage": leakage.count_shared(tables),
    }
    return dataclasses.replace(full, report=cast(schemas.Data, {**report, **described}))


def _check_label_issues(claimed: schemas.Data, recipe: Recipe) -> Iterator[Check]:
    """Check that the recipe names the list of ``data.json``, unless that came with a published dataset."""
    file, listed = recipe.data.drop_suspects, claimed.get("suspects")
    names = (listed["name"] if listed else None, Path(file).name if file else None)
    is_own = recipe.data.dataset == claimed["sources"]["training"]["name"]
    if is_own and names[0] != names[1]:
        yield check_exactly("data.json: list of label issues, as in the recipe", *names)
    elif listed:
        yield Check(
            "list of label issues", f"{names[0]}, {listed['sha256']}", None, CLAIMED, "it is a file of its owner"
        )


def check_training(environment: schemas.Environment, rows: int) -> Iterator[Check]:
    """Compare the steps of a training with its epochs, and its speed with its time: nobody can measure them again, but
    they must agree with each other.

    Args:
        environment: ``environment.json``.
        rows: Training tweets.
    """
    training = environment["training"]
    tweets, epochs = training.get("batch", {}).get("tweets"), training["epochs"]
    seconds = max(training["seconds"], HUNDREDTH)
    has_changed = any(change.startswith("processes:") for change in environment.get("changed", []))
    if tweets and not has_changed:  # tweets of a step, by which the number of processes is multiplied
        right = round(training["steps"] / math.ceil(rows / tweets), 4)
        if abs(right - epochs) > ROUNDING:
            name = "environment.json: epochs of these steps"
            yield Check(name, f"{epochs} of {training['steps']:,} steps", right, FALSE)
    speed = epochs * rows / seconds
    if abs(speed - training["tweets_per_second"]) > 0.1 + speed * (HUNDREDTH / seconds + ROUNDING):
        name = "environment.json: tweets per second"
        yield Check(name, training["tweets_per_second"], round(speed, 1), FALSE)


def check_training_rows(file: Path, prepared: Prepared) -> Check:
    """Compare the model's hashes of training texts with those of the texts; it may also have those of its ancestors."""
    import numpy as np

    from sentiment140_bert.data import leakage

    claim = "hashes of training texts"
    try:
        stated = leakage.read_hashes(file)
    except RunError as error:
        return leave_unchecked(claim, None, error.message)
    right = np.unique(leakage.hash_texts(prepared.table("train")["text"]))
    if np.array_equal(stated, right):
        return Check(claim, len(stated), len(right), TRUE)
    has_all = np.isin(right, stated).all()
    why = f"{len(stated) - len(right):,} more, of models that it was trained from, are not checked" if has_all else ""
    return Check(claim, len(stated), len(right), CLAIMED if has_all else FALSE, why)
