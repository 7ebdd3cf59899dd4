"""Check another author's page: the scores that its card states, on the tweets that it or the user names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from sentiment140_bert.cards import merge
from sentiment140_bert.cards.metadata import format_front_matter
from sentiment140_bert.errors import ModelError, S140Error
from sentiment140_bert.evaluation.evaluate import evaluate
from sentiment140_bert.publishing import claims, origin, pages
from sentiment140_bert.publishing.checks import WARNING, Check, leave_unchecked
from sentiment140_bert.publishing.claims import Claim
from sentiment140_bert.recipe import DataConfig

# Words in the names of tweets and of metrics that say nothing else than the tweets and the metric themselves do.
PLAIN_WORDS = {"a", "the", "of", "on", "dataset", "data", "set", "split", "tweets", "default"}
PLAIN_WORDS_OF_METRICS = {"score", "eval", "binary", "macro", "weighted", "coefficient"}
SPLIT_WORDS = {"train": {"training"}, "validation": {"dev", "eval", "evaluation"}, "test": {"eval", "evaluation"}}
WORD = re.compile(r"[^\W_]+")


def check_page(
    folder: Path, model_id: str, missing: list[str], data: DataConfig | None, tolerance: float
) -> Iterator[Check]:
    """Check a page that `s140 push-to-hub` did not write, or not as a whole.

    Args:
        folder: The page's.
        model_id: The model's name, for messages.
        missing: The files that a page of `s140 push-to-hub` has, and this one lacks.
        data: The tweets to score on, for claims that name none.
        tolerance: Largest difference of a score.

    Raises:
        ModelError: The page has no card, or none that states a score.
    """
    try:
        card = merge.parse_card((folder / "README.md").read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{model_id} has no card, so it claims nothing.", "Score it: s140 evaluate MODEL --dataset …"
        ) from None
    except ValueError as error:
        raise ModelError(f"The card of {model_id} cannot be read: {error}.", "Tell its owner.") from None
    if card.sections:
        yield leave_unchecked("card: sections", None, f"the page has no {', '.join(missing)}")
    index = card.metadata.get("model-index")
    stated = [*claims.read_model_index(index)]
    indexed = {(claim.metric, round(claim.value, 4)) for claim in stated}
    body = "".join(card.between)
    stated += [claim for claim in claims.read_text(body) if (claim.metric, round(claim.value, 4)) not in indexed]
    if not stated:
        raise ModelError(
            f"The card of {model_id} states no score that could be measured.",
            "Score it: s140 evaluate MODEL --dataset …",
        )
    yield from _measure(folder, stated, data, tolerance)
    for entry in claims.list_unread_scores(index):
        yield Check(f"model-index: {entry}", entry, None, WARNING, "nobody measured it")
    yield from pages.warn("card", claims.drop_read_numbers(body))
    rest = {key: value for key, value in card.metadata.items() if key != "model-index"}
    yield from pages.warn("card, front matter", format_front_matter(rest))
    for results in sorted(folder.glob(".eval_results/*")):
        yield leave_unchecked(str(results.relative_to(folder)), None, "nothing here can measure these results")


def _measure(folder: Path, stated: list[Claim], data: DataConfig | None, tolerance: float) -> Iterator[Check]:
    """Score the model on the tweets of each claim, and compare its value, and what it calls tweets and metric."""
    for tweets, group in _group_by_data(stated, data).items():
        splits, why = {}, "it names no usable data; name some with --dataset"
        try:
            splits = evaluate(folder, tweets).splits if tweets else {}
        except S140Error as error:
            why = " ".join(str(error).split())
        for claim in group:
            split = "manual" if claim.split == "manual" and splits.get("manual") else "test"
            if tweets and (scores := splits.get(split)):
                check = claims.check_claim(claim, scores, tolerance)
                yield replace(check, claim=f"{check.claim}, on {_name_tweets(tweets, split)}")
                yield from _compare_names(claim, tweets, split)
            else:
                yield leave_unchecked(claim.where, claim.value, why)


def _name_tweets(tweets: DataConfig, split: str) -> str:
    """Return the name of the measured tweets for the table."""
    if split == "manual" and tweets.manual_test:
        return Path(tweets.manual_test).name
    if origin.is_on_hub(tweets.dataset):
        return f"{tweets.dataset} ({split if split == 'manual' else tweets.dataset_split})"
    return Path(tweets.dataset).name


def _compare_names(claim: Claim, tweets: DataConfig, split: str) -> Iterator[Check]:
    """Warn of the names in a model-index that are not those of what was measured: its value may be of anything."""
    measured, on_hub = _name_tweets(tweets, split), origin.is_on_hub(tweets.dataset)
    words = _list_words(measured if on_hub else f"{measured} {claim.split or ''}")  # nobody knows the split of a file
    words |= PLAIN_WORDS.union(*(SPLIT_WORDS.get(word, ()) for word in words))
    stated = {"dataset": claim.dataset, "dataset's name": claim.dataset_name, "config": claim.config}
    if on_hub and split != "manual":
        stated |= {"split": claim.split}
        if claim.revision and claim.revision != tweets.dataset_revision:
            yield Check(f"{claim.where}: revision", claim.revision, tweets.dataset_revision, WARNING, "it is another")
    for name, text in stated.items():
        if text and not _says_only(text, words):
            yield Check(f"{claim.where}: {name}", text, measured, WARNING, "these tweets were measured")
    aliases = [claim.metric, *(alias for alias, metric in claims.ALIASES.items() if metric == claim.metric)]
    of_metric = PLAIN_WORDS_OF_METRICS.union(words, *map(_list_words, aliases))
    if claim.metric_name and not _says_only(claim.metric_name, of_metric):
        yield Check(f"{claim.where}: metric's name", claim.metric_name, claim.metric, WARNING, "this was measured")


def _list_words(text: str) -> set[str]:
    return {*WORD.findall(text.lower())}


def _says_only(text: str, words: set[str]) -> bool:
    """Return True if a name has none but these words, however it spells them: SST-2 is sst2."""
    return _list_words(text) <= words or "".join(WORD.findall(text.lower())) in words


def _find_own_data(claim: Claim) -> DataConfig | None:
    """Return the dataset of the Hub that a claim names; None if it names none, or one that cannot be."""
    if not (claim.dataset and origin.is_on_hub(claim.dataset)):
        return None
    try:
        return DataConfig(dataset=claim.dataset, dataset_split=claim.split or "test", dataset_revision=claim.revision)
    except ValidationError:  # a revision with '..'
        return None


def _group_by_data(stated: list[Claim], data: DataConfig | None) -> dict[DataConfig | None, list[Claim]]:
    """Group claims by the tweets to measure them on."""
    groups: dict[DataConfig | None, list[Claim]] = {}
    for claim in stated:
        own = _find_own_data(claim)
        elsewhere = data and own and origin.is_on_hub(data.dataset) and own.dataset != data.dataset
        groups.setdefault(own if elsewhere or not data else data, []).append(claim)
    return groups
