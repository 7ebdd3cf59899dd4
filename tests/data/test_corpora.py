"""State on cards what is known of the tweets' source, what its publisher says of it, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from hub_server import HubServer
from on_hub import BOTH, DATA, MODEL
from page_fixtures import README, Verdict, copy_of, edit, trained
from sentiment140_bert.cards.dataset import render_dataset_card
from sentiment140_bert.cards.facts import Facts, read_facts
from sentiment140_bert.cards.merge import merge_cards, parse_card
from sentiment140_bert.cards.model import render_model_card
from sentiment140_bert.data.corpora import FILES, HUB_NAMES, SAMPLE_SHA256, STANFORD_SHA256, identify_source
from sentiment140_bert.files import hash_file
from sentiment140_bert.publishing import pages
from sentiment140_bert.publishing.checks import FALSE, TRUE, WARNING, reach_verdict

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

Verify = Callable[..., Verdict]
S140 = Callable[..., Result]
BIBTEX = "@misc{perez2021,\n  title = {Tuits},\n}"
FLAGS = ("--language", "es", "--license", "cc-by-4.0", "--dataset-name", "Tuits 2021", "--citation", BIBTEX)
DESCRIPTION = {"language": ["es"], "license": "cc-by-4.0", "dataset_name": "Tuits 2021", "citation": BIBTEX}


# ---- the source


def test_a_source_is_identified_by_its_name_on_the_hub_or_by_its_hash() -> None:
    """On the Hub a name has one owner; the name of a file proves nothing."""
    other, file = "0" * 64, {"on_hub": False, "sha256_of": "file"}
    hub, folder = {"on_hub": True, "sha256_of": "rows"}, {"on_hub": False, "sha256_of": "rows"}
    rows: list[tuple[dict[str, Any], str, str, str]] = [
        *((hub, name, other, "sentiment140") for name in HUB_NAMES),
        *((hub, name, SAMPLE_SHA256, "other") for name in ("somebody/sentiment140", "sample")),
        *((file, name, STANFORD_SHA256, "sentiment140") for name in ("stanford", "mine.zip")),
        *(
            (file, name, other, "other")
            for name in ("stanford", HUB_NAMES[0], "training.1600000.processed.noemoticon.csv")
        ),
        *((folder, name, other, "other") for name in ("stanford", "sample")),
        *((file, name, SAMPLE_SHA256, "sample") for name in ("sample", "copy.csv")),
    ]
    kinds = [identify_source(source | {"name": name, "sha256": sha256}).kind for source, name, sha256, _ in rows]
    assert kinds == [kind for *_, kind in rows]
    assert hash_file(Path(str(files("sentiment140_bert.data") / "sample" / "tweets.csv"))) == SAMPLE_SHA256
    assert {STANFORD_SHA256, SAMPLE_SHA256} == {*FILES}


# ---- the cards

# Words of the cards, and the sources of which they are true.
CLAIMS = {
    "language: en": {"sample", "sentiment140"},
    "- sentiment140\n": {"sentiment140"},
    "- twitter\n": {"sentiment140"},
    "fine-tuned on 180 tweets of Sentiment140 to": {"sentiment140"},
    "fine-tuned on 180 invented tweets to": {"sample"},
    "fine-tuned on 180 tweets to": {"other"},
    "in English, by": {"sentiment140"},
    "distant supervision": {"sentiment140"},
    "happy emoticon": {"sentiment140"},
    "Twitter": {"sentiment140"},
    "Sentiment140 has no license": {"sentiment140"},
    "go2009twitter": {"sentiment140"},
    "begin s140: citation": {"sentiment140"},
    "invented": {"sample"},
    "(MIT)": {"sample"},
    "Only their owner knows how the tweets were collected and labeled, and what may be done with them.": {"other"},
    "    truncation=True,\n": {"sample", "sentiment140", "other"},
}
DATASET_CLAIMS = {
    "language:\n- en": {"sample", "sentiment140"},
    "license: mit": {"sample"},
    "license: unknown": {"sentiment140", "other"},
    "pretty_name: Sentiment140, cleaned and split": {"sentiment140"},
    "pretty_name: Invented tweets, cleaned and split": {"sample"},
    "pretty_name: Tweets, cleaned and split": {"other"},
    "- sentiment140\n": {"sentiment140"},
    "Tweets of Sentiment140, cleaned": {"sentiment140"},
    "Tweets, cleaned": {"other"},
    "emoticon": {"sentiment140"},
    "Twitter": {"sentiment140", "sample"},  # "nobody wrote them on Twitter"
    "go2009twitter": {"sentiment140"},
    "Only their owner knows": {"other"},
}
SOURCES: dict[str, dict[str, Any]] = {
    "sample": {"name": "sample", "sha256": SAMPLE_SHA256},
    "sentiment140": {"name": "stanfordnlp/sentiment140", "on_hub": True, "sha256_of": "rows", "sha256": "0" * 64},
    "other": {"name": "sentiment140.csv", "sha256": "0" * 64},
}


def replace_source(facts: Facts, kind: str, **more: Any) -> Facts:
    """Return the facts of a run with such a source; its other files name none."""
    sources = facts.data["sources"]
    recipe = facts.recipe | {"data": facts.recipe["data"] | {"dataset": SOURCES[kind]["name"]}}
    sources = {"training": sources["training"] | SOURCES[kind]}
    environment = facts.environment | {"command": None}
    return replace(facts, data=facts.data | {"sources": sources} | more, recipe=recipe, environment=environment)


def make_model_card(facts: Facts) -> str:
    return render_model_card(facts, "title", "tester/title", [])


def make_dataset_card(facts: Facts) -> str:
    sizes = {"default": {"train": {"num_examples": 1, "num_bytes": 1}}}
    return render_dataset_card(facts.data | {"configs": sizes}, "tester/data", None)


def test_each_claim_is_on_the_cards_of_its_sources_alone(small_run: Path) -> None:
    facts = {kind: replace_source(read_facts(small_run), kind) for kind in SOURCES}
    for make, claims in ((make_model_card, CLAIMS), (make_dataset_card, DATASET_CLAIMS)):
        cards = {kind: make(kind_facts) for kind, kind_facts in facts.items()}
        assert {claim: {kind for kind, text in cards.items() if claim in text} for claim in claims} == claims


def test_the_description_is_on_both_cards_and_nothing_else(small_run: Path) -> None:
    facts = replace_source(read_facts(small_run), "other", description=DESCRIPTION)
    of_model, of_dataset = make_model_card(facts), make_dataset_card(facts)
    front, dataset = parse_card(of_model).metadata, parse_card(of_dataset).metadata
    assert (front["language"], front["license"]) == ("es", "cc-by-4.0")
    assert (dataset["language"], dataset["license"]) == (["es"], "cc-by-4.0")
    assert dataset["pretty_name"] == "Tuits 2021, cleaned and split"
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == "Tuits 2021 (test)"
    assert "fine-tuned on 180 tweets of Tuits 2021 to tell" in of_model
    assert "Tweets of Tuits 2021, cleaned" in of_dataset
    for text in (of_model, of_dataset):
        assert f"```bibtex\n{BIBTEX}\n```" in text
        assert "labeled; they are said to be under `cc-by-4.0`." in text
        assert not any(word in text for word in ("Twitter", "in English", "happy emoticon", "go2009"))
    text = make_model_card(replace_source(read_facts(small_run), "sentiment140", description={"citation": BIBTEX}))
    assert text.index("go2009twitter") < text.index("perez2021") < text.index("<!-- end s140: citation")


def test_false_claims_of_an_older_card_are_removed(small_run: Path) -> None:
    """Its language and its tag were written by this tool; text that people added stays."""
    facts = read_facts(small_run)
    older = make_model_card(replace_source(facts, "sentiment140")).replace("tags:\n", "tags:\n- mine\n")
    card = parse_card(merge_cards(make_model_card(replace_source(facts, "other")), f"{older}\nBy hand.\n"))
    assert "language" not in card.metadata
    assert card.metadata["tags"] == ["sentiment-analysis", "mine"]
    merged = merge_cards(make_model_card(facts), "---\ntags: [twitter]\n---\n")
    assert parse_card(merged).metadata["tags"][-1] == "twitter"
    assert "citation" not in card.sections
    assert card.handwritten == "By hand."


# ---- verify


def test_claims_of_sentiment140_are_false_of_any_other_source(small_run: Path, tmp_path: Path) -> None:
    """In the tool's own sections, written by another version, and by hand."""
    facts = read_facts(small_run)
    right, claimed = (make_model_card(replace_source(facts, kind)) for kind in ("other", "sentiment140"))
    older = claimed.replace("written by sentiment140_bert ", "written by sentiment140_bert 0.0.")
    claims = {
        "all, by this version": claimed,
        "all, by another version": older,
        "the dataset": right.replace("180 tweets to", "180 tweets of Sentiment140 to"),
        "the language": right.replace("whether a tweet", "whether an English tweet"),
        "the labels": f"{right}\nA tweet counts as positive because it held a *happy*\nemoticon.\n",
        "the license": f"{right}\n**Sentiment140** has no license of its own.\n",
        "the dataset, by hand": f"{right}\nThis model was fine-tuned on the\nwell-known Sentiment140 corpus.\n",
        "the tag": right.replace("tags:\n", "tags:\n- sentiment140\n"),
        "the key": right.replace("\nlicense:", "\nlanguage: en\nlicense:"),
        "the citation": right + claimed[claimed.index("<!-- begin s140: citation") :],
    }
    for name, text in claims.items():
        (tmp_path / README).write_text(text, "utf-8")
        checks = [*pages.compare_card("card", tmp_path / README, right)]
        assert reach_verdict(checks) == FALSE, name
        (tmp_path / README).write_text(right, "utf-8")
        assert reach_verdict(pages.compare_card("card", tmp_path / README, right)) == TRUE, name


def test_so_are_those_of_a_dataset_card_of_another_version(small_run: Path, tmp_path: Path) -> None:
    facts = read_facts(small_run)
    right, claimed = (make_dataset_card(replace_source(facts, kind)) for kind in ("other", "sentiment140"))
    front = right.partition("<!--")[0]
    older = front + claimed.replace("sentiment140_bert 0.", "sentiment140_bert 0.0.")[claimed.index("<!--") :]
    (tmp_path / README).write_text(older, "utf-8")
    checks = pages.compare_card("dataset card", tmp_path / README, right)
    named = {check.claim for check in checks if check.verdict == FALSE}
    assert named == {f"dataset card: the {claim}, as of Sentiment140" for claim in ("dataset", "labels", "license")}


def test_words_about_sentiment140_are_no_false_claim(small_run: Path, tmp_path: Path) -> None:
    """If they name it, and nothing says that it is the source, they are a warning."""
    facts = read_facts(small_run)
    note = "\nUnlike models that were fine-tuned on Sentiment140 (English, emoticons), it was labeled by hand.\n"
    own_copy = replace_source(facts, "other", description={"dataset_name": "Sentiment140"})
    for right, text, warnings in (
        (make_model_card(replace_source(facts, "other")), note, 1),
        (make_model_card(replace_source(facts, "other")), "\nMade with sentiment140_bert.\n", 0),
        (make_model_card(own_copy), "\nSentiment140 has no license.\n", 0),
        (make_model_card(replace_source(facts, "sample")), "\nIt tells whether an English tweet is positive.\n", 0),
    ):
        (tmp_path / README).write_text(right + text, "utf-8")
        checks = [*pages.compare_card("card", tmp_path / README, right)]
        assert (reach_verdict(checks), sum(check.verdict == WARNING for check in checks)) == (TRUE, warnings), text


# ---- the commands

TWEETS = "".join(f"{'qué pena' if at % 2 else 'me encanta'} número {at},{4 - 4 * (at % 2)}\n" for at in range(160))


@pytest.fixture
def spanish(encoder: Path, tmp_path: Path) -> Path:
    (tmp_path / "tuits.csv").write_text(f"text,label\n{TWEETS}", "utf-8")
    sizes = {"max_samples": 160, "validation_size": 20, "test_size": 20}
    return trained(tmp_path / "runs" / "es", model_name_or_path=encoder, dataset="tuits.csv", language="es", **sizes)


def read_front(run: Path) -> dict[str, Any]:
    return parse_card((run / "model" / README).read_text("utf-8")).metadata


def test_a_run_of_other_tweets_from_training_to_the_hub(
    hub: HubServer, spanish: Path, tmp_path: Path, s140: S140, verify: Verify
) -> None:
    """Its card states the description, which may grow later; `verify` lists it, and finds false claims."""
    assert read_front(spanish)["language"] == "es"
    before = (spanish / "data.json").read_bytes()
    s140("push-to-hub", spanish, *BOTH, *FLAGS, "--dry-run")
    assert (spanish / "data.json").read_bytes() == before
    s140("push-to-hub", spanish, *BOTH, *FLAGS)
    assert json.loads((spanish / "data.json").read_text("utf-8"))["description"] == DESCRIPTION
    for kind, repo_id in (("model", MODEL), ("dataset", DATA)):
        published = hub.files(repo_id, kind)
        front = parse_card(published[README].decode()).metadata
        assert (front["license"], json.loads(published["data.json"])["description"]) == ("cc-by-4.0", DESCRIPTION)
    for place in (MODEL, spanish):
        result = verify(place)
        assert result.code == 0, result.named() + result.named("unchecked")
        assert "tweets: dataset name | Tuits 2021" in result.named("claimed")
    text = hub.files(MODEL)[README].decode()
    hub.write(MODEL, README, text.replace("whether a tweet", "whether an English tweet").encode())
    result = verify(MODEL)
    assert (result.code, "the language, as of Sentiment140 | an english tweet" in result.named()) == (1, True)


def test_a_training_on_published_splits_has_their_description(
    hub: HubServer, spanish: Path, encoder: Path, tmp_path: Path, s140: S140
) -> None:
    s140("push-to-hub", spanish, "--dataset-repo-id", DATA, *FLAGS)
    run = trained(tmp_path / "again", model_name_or_path=encoder, dataset=DATA, language="es,gl")
    assert json.loads((run / "data.json").read_text("utf-8"))["description"] == DESCRIPTION | {"language": ["es", "gl"]}
    assert read_front(run)["language"] == ["es", "gl"]


def test_card_and_train_describe_a_finished_or_resumed_run(run_copy: Path, s140: S140) -> None:
    s140("card", run_copy, "--license", "cc-by-4.0")
    assert read_front(run_copy)["license"] == "cc-by-4.0"
    s140("train", "--recipe", run_copy / "recipe.yaml", "--output-dir", run_copy, "--language", "pt-BR")
    assert (read_front(run_copy)["license"], read_front(run_copy)["language"]) == ("cc-by-4.0", "pt-BR")
    assert yaml.safe_load((run_copy / "recipe.yaml").read_text("utf-8"))["card"]["language"] == []
    edit(run_copy / "data.json", lambda data: data["description"].update(language="pt"))
    assert "description.language" in s140("card", run_copy, code=1).stderr


def test_values_that_the_hub_refuses_are_refused(small_run: Path, s140: S140) -> None:
    for flag, value, problem in (
        (
            "--language",
            "Spanish",
            "language: must be comma-separated language codes, as in es or pt-BR,gl, got 'Spanish'",
        ),
        ("--license", "CC BY 4.0", "license: must be a license as the Hub names it, as in cc-by-4.0, mit or other"),
    ):
        assert problem in s140("card", copy_of(small_run, Path("run")), flag, value, code=1).stderr
        shutil.rmtree("run")
