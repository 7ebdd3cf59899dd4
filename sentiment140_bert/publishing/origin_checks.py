"""Where a page's tweets come from and what became of them, measured by preparing them again."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.data import preparing
from sentiment140_bert.errors import DataError, RecipeError, S140Error
from sentiment140_bert.publishing import verification
from sentiment140_bert.publishing.verification import CLAIMED, FALSE, TRUE, UNCHECKED, Check
from sentiment140_bert.recipe import READING
from sentiment140_bert.settings import DataConfig, file_settings
from sentiment140_bert.shapes import REPO_ID

if TYPE_CHECKING:
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.recipe import Recipe

ORIGIN = ("sources", "steps", "leakage", "suspects")  # of data.json: what only the source itself shows
UNPUBLISHED = ("neutral", "manual_neutral")  # splits that a published dataset may leave out
SAMPLE = "sample"
ROUNDED = 1e-3


def is_public(data: DataConfig) -> bool:
    """Return True if a recipe names tweets that are the same everywhere, and no file of this machine."""
    known = data.dataset in (SAMPLE, "stanford") or is_on_hub(data.dataset)
    files = (getattr(data, name) for name in file_settings(DataConfig) if name != "drop_suspects")  # told apart
    return known and all(file in (None, "none") for file in files)


def is_on_hub(name: str) -> bool:
    """Return True if a name is one that the Hub may have, and nothing here."""
    return bool(re.fullmatch(REPO_ID, name)) and not Path(name).exists()


def is_sample(prepared: Prepared) -> bool:
    """Return True if most training tweets are those of the packaged sample, whatever they are called."""
    import pyarrow.compute as pc

    from sentiment140_bert.data import clean
    from sentiment140_bert.data.prepare import whole

    sample = pc.unique(clean.keys(whole(DataConfig(dataset=SAMPLE))["test"]["text"]))
    rows = prepared.split("train").with_format("arrow")[: 2 * len(sample) + 1]
    known = pc.sum(pc.is_in(clean.keys(rows["text"]), sample)).as_py() or 0
    return bool(2 * known > len(rows))


def check_data(
    claimed: dict[str, Any], prepared: Prepared, recipe: Recipe, tokenizer: Any, *, named_here: bool
) -> tuple[dict[str, Any], list[Check]]:
    """Compare a ``data.json`` with its tweets, and with what comes of its sources where anybody can have them.

    Args:
        claimed: The page's.
        prepared: The splits that the page was scored on.
        recipe: The page's.
        tokenizer: Of the model.
        named_here: The tweets came from ``--dataset``, so the same ones may have another name and layout.

    Returns:
        What it should say, as far as it was measured; and the checks.
    """
    measured = _measure_splits(claimed, prepared, recipe.data.max_length, tokenizer)
    origin, checks = _measure_origin(claimed, prepared, recipe, named_here)
    measured |= origin
    wanted = {*measured, *(ORIGIN if "sources" in origin else ())}
    settled, leaves = verification.settle({key: claimed[key] for key in claimed if key in wanted}, measured)
    for leaf in leaves:
        name = f"data.json: {'.'.join(leaf.path)}"
        if leaf.verdict == FALSE:
            checks.append(Check(name, leaf.claimed, leaf.measured, FALSE))
        elif leaf.verdict == UNCHECKED:
            checks.append(verification.unchecked(name, leaf.claimed, "it was not measured"))
    if not any(check.verdict == FALSE for check in checks):
        agreed = f"{sum(leaf.verdict == TRUE for leaf in leaves)} values"
        checks.append(Check("data.json: splits, tokens, sources, steps", agreed, agreed, TRUE))
    return claimed | settled, checks


def _measure_splits(claimed: dict[str, Any], prepared: Prepared, max_length: int, tokenizer: Any) -> dict[str, Any]:
    """Return what the tweets themselves show: their counts and hashes, and their tokens."""
    from sentiment140_bert.data import report
    from sentiment140_bert.data.prepare import tokenized

    tokens = tokenized(prepared, tokenizer, max_length).report
    splits = {
        name: report.described_split(split.with_format("arrow")[:])
        | {"token_length": tokens["splits"][name]["token_length"]}
        for name, split in prepared.splits().items()
    }
    unpublished = {name: split for name, split in claimed["splits"].items() if name in UNPUBLISHED}
    return {
        "fingerprint": prepared.report["fingerprint"],
        "splits": {name: split for name, split in unpublished.items() if "published" in prepared.report} | splits,
        "tokenizer": claimed["tokenizer"] | {key: tokens["tokenizer"][key] for key in ("sha256", "max_length")},
    }


def _measure_origin(
    claimed: dict[str, Any], prepared: Prepared, recipe: Recipe, named_here: bool
) -> tuple[dict[str, Any], list[Check]]:
    """Return what the sources show, as parts of ``data.json``: of published splits by preparing them again."""
    sources, claim = claimed["sources"], "data.json: source of the tweets"
    training = sources["training"]
    what = f"{training['name']}, {training['rows']:,} rows"
    if training["name"] != SAMPLE and is_sample(prepared):
        return {}, [Check(claim, what, "the packaged sample", FALSE)]
    again = prepared
    if "published" in prepared.report:
        try:
            again = _prepare_again(claimed, recipe)
        except RecipeError as error:
            return {}, [verification.unchecked("data.json: settings", None, error.problems[0])]
        except S140Error as error:
            return {}, [Check(claim, what, None, CLAIMED, f"it cannot be prepared again: {error.message}")]
        if "published" in again.report:
            return {}, [Check(claim, what, None, CLAIMED, "it is a published dataset itself")]
        if again.report["fingerprint"] != prepared.report["fingerprint"]:
            return {}, [Check("data.json: sources and settings", what, "other tweets come of them", FALSE)]
    origin = {key: again.report[key] for key in (*ORIGIN, "settings", "seed") if key in again.report}
    reading = {key: claimed["settings"][key] for key in READING if key in claimed["settings"]}
    origin["settings"] = origin["settings"] | reading
    if named_here:
        hashes = [{role: source["sha256"] for role, source in part.items()} for part in (sources, origin["sources"])]
        if hashes[0] != hashes[1]:
            origin = {key: origin[key] for key in ("settings", "seed")}
            return origin, [Check(claim, what, None, CLAIMED, "--dataset has the same tweets in another file")]
        origin["sources"] = {
            role: source | {"name": sources[role]["name"]} for role, source in origin["sources"].items()
        }
    return origin, []


def _prepare_again(claimed: dict[str, Any], recipe: Recipe) -> Prepared:
    """Prepare published splits again from the source that the page names.

    Raises:
        RecipeError: The settings are none that a recipe can have.
        S140Error: The source is a file of its owner, or cannot be had.
    """
    source = claimed["sources"]["training"]
    values = {key: value for key, value in claimed["settings"].items() if key != "max_length"}
    values |= {"dataset": source["name"], "manual_test": None if "manual" in claimed["sources"] else "none"}
    values |= {"drop_suspects": None, "dataset_revision": source["revision"] or values.get("dataset_revision")}
    data = recipe.with_values(values).data
    if "suspects" in claimed or not is_public(data):
        raise DataError("it is a file of its owner")
    return preparing.splits(data)[0]


def check_training(environment: dict[str, Any], rows: int) -> Iterator[Check]:
    """Compare the steps of a training with its epochs, and its speed with its time: nobody can measure them again, but
    they have to agree with each other.

    Args:
        environment: ``environment.json``.
        rows: Training tweets.
    """
    training = environment["training"]
    tweets, seconds, epochs = training.get("batch", {}).get("tweets"), training["seconds"], training["epochs"]
    if "changed" in environment:
        return
    if tweets:
        right = round(training["steps"] / math.ceil(rows / tweets), 4)
        if abs(right - epochs) > ROUNDED:
            name = "environment.json: epochs of these steps"
            yield Check(name, f"{epochs} of {training['steps']:,} steps", right, FALSE)
    if seconds > 0:
        speed = epochs * rows / seconds
        if abs(speed - training["tweets_per_second"]) > 0.1 + speed * (0.01 / seconds + ROUNDED):
            name = "environment.json: tweets per second"
            yield Check(name, training["tweets_per_second"], round(speed, 1), FALSE)
