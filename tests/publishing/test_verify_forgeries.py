"""``s140 verify`` of forged pages: each forgery of one true page is found and named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import reduce
from operator import getitem
from typing import Any

from on_hub import DATA, MODEL
from page_fixtures import DATA_JSON, METRICS, README, RESULTS, Published, Verdict, publish_forged_facts

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

Verify = Callable[..., Verdict]
Edit = Callable[[str], str]
ENVIRONMENT, RECIPE = "environment.json", "recipe.yaml"
SECTION = r"<!-- begin s140: {0} -->.*?<!-- end s140: {0} -->\n"


def replace(old: str, new: str) -> Edit:
    return lambda text: text.replace(old, new, 1)


def section(text: str, name: str) -> str:
    match = re.search(SECTION.format(name), text, re.DOTALL)
    assert match
    return match[0]


def false_copy(text: str) -> str:
    """The summary with a better accuracy."""
    return re.sub(r"accuracy \| \*\*0\.\d+", "accuracy | **0.982", section(text, "summary"))


def swap_sections(text: str) -> str:
    use, scores = section(text, "use"), section(text, "scores")
    return text.replace(use, "\0").replace(scores, use).replace("\0", scores)


ANOTHER_RESULT = """  - task:
      type: text-classification
    dataset:
      name: SST-2
      type: stanfordnlp/sst2
    metrics:
    - type: accuracy
      value: 0.982
"""
PEARSON = "\n    - type: pearsonr\n      value: 0.99\n"
TEXT: dict[str, tuple[Edit, str]] = {
    "a comment inside of a section": (replace("## Limits\n", "## Limits\n<!-- accuracy 0.98 -->\n"), "card, limits"),
    "a heading inside of a section": (replace("## Limits\n", "# Accuracy 98.2 %\n\n## Limits\n"), "card, limits"),
    "a paragraph inside of a section": (replace("## Use\n", "State of the art.\n\n## Use\n"), "card, use"),
    "a snippet for another model": (replace('model="tester/sentiment"', 'model="evil/model"'), "card, use"),
    "a false copy of a section": (lambda text: text + false_copy(text), "card: section summary, again"),
    "a false copy before the section": (
        lambda text: text.replace("---\n\n<!-- begin", f"---\n\n{false_copy(text)}\n<!-- begin", 1),
        "card, summary",
    ),
    "a section of its own": (
        lambda text: text + "<!-- begin s140: awards -->\nBest.\n<!-- end s140: awards -->\n",
        "card: section awards",
    ),
    "a section left out": (lambda text: text.replace(section(text, "limits"), ""), "card: section limits"),
    "sections in another order": (swap_sections, "card: order of the sections"),
    "an older version": (replace("written by sentiment140_bert ", "written by sentiment140_bert 0.0."), "version"),
}
FRONT: dict[str, tuple[Edit, str]] = {
    "a tag of another source": (replace("tags:\n", "tags:\n- sentiment140\n"), "tags"),
    "a tag that says what the Hub says": (replace("tags:\n", "tags:\n- dataset:stanfordnlp/sst2\n"), "tags"),
    "the language": (replace("language: en\n", "language:\n- en\n- de\n"), "language"),
    "the metrics": (replace("metrics:\n- accuracy\n", "metrics:\n- accuracy\n- bleu\n"), "metrics"),
    "a base model": (replace("license:", "base_model: google-bert/bert-base-uncased\nlicense:"), "base_model"),
    "one more dataset": (replace("datasets:\n", "datasets:\n- stanfordnlp/sst2\n"), "datasets"),
    "eval_results": (replace("license:", "eval_results:\n- accuracy: 0.98\nlicense:"), "eval_results"),
    "a score nobody measured": (
        lambda text: re.sub(r"(type: log_loss\n +value: [\d.]+)\n", rf"\1{PEARSON}", text, count=1),
        "model-index",
    ),
    "one more result": (replace("  results:\n", f"  results:\n{ANOTHER_RESULT}"), "model-index"),
    "one more model": (
        replace("model-index:\n", f"model-index:\n- name: best\n  results:\n{ANOTHER_RESULT}"),
        "model-index",
    ),
    "a key that is given twice": (replace("license:", "model-index: []\nlicense:"), "duplicate key"),
    "a key in other letters": (replace("license:", "Model_Index: []\nlicense:"), "Model_Index"),
    "a number as another kind": (lambda text: re.sub(r"score: 0\.\d+", "score: true", text, count=1), "widget"),
}


def of_result(dataset: str, task: str, value: str = "0.982") -> str:
    return f"- dataset:\n    id: {dataset}\n    task_id: {task}\n  value: {value}\n"


def write(path: str, text: str) -> tuple[Any, ...]:
    return lambda page: page.hub.write(MODEL, path, text.encode()), path


OF_ANOTHER = of_result("stanfordnlp/sst2", "test")
FALSE_RESULTS = {
    "of the same dataset": write(".eval_results/more.yaml", of_result(DATA, "test")),
    "of the same dataset, another task": write(".eval_results/more.yaml", of_result(DATA, "default")),
    "with another ending": write(".eval_results/x.yml", of_result(DATA, "test")),
    "one more in the file": (lambda page: page.change(RESULTS, lambda text: text + OF_ANOTHER), RESULTS),
}
OTHER_RESULTS = {
    "of another dataset": write(".eval_results/sst2.yaml", OF_ANOTHER),
    "of nothing": write(".eval_results/x.yaml", "["),
}


def without_tweets(rows: dict[str, tuple[Edit, str]]) -> dict[str, tuple[Any, ...]]:
    """Return edits of the card as changes of a page whose tweets cannot be fetched, so that nothing is scored."""

    def change(published: Published, edit: Edit) -> None:
        del published.hub.repos["dataset", DATA]
        published.change(README, edit)

    return {name: (lambda page, edit=edit: change(page, edit), words) for name, (edit, words) in rows.items()}


def test_text_that_the_tool_did_not_write_is_found(find_missed) -> None:
    assert find_missed(without_tweets(TEXT), codes=(1, 2)) == []


def test_front_matter_that_the_tool_did_not_write_is_found(find_missed) -> None:
    assert find_missed(without_tweets(FRONT), codes=(1, 2)) == []


def test_results_that_the_tool_did_not_write_are_found(find_missed) -> None:
    assert find_missed(FALSE_RESULTS) == []
    assert find_missed(OTHER_RESULTS, codes=(2,)) == []


def test_a_page_without_the_files_of_its_numbers_is_not_true(find_missed) -> None:
    """Else its sections would go unread, as those of other tools' pages do."""
    names = (METRICS, DATA_JSON, ENVIRONMENT, RECIPE)
    rows = {name: (lambda page, name=name: page.remove(name), name) for name in names}
    rows["changes that are none"] = (lambda page: page.change_json(ENVIRONMENT, update(changed=[])),)
    assert find_missed(rows, codes=(2,)) == []


# ---- forged files, and all pages written again from them


def set_origin(name: str) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        data["sources"]["training"] |= {"name": name, "on_hub": "/" in name, "revision": None}
        data["sources"]["training"] |= {"rows": 1_600_000, "sha256": "0" * 64}
        data["steps"]["rows_read"] = 1_600_000

    return change


def update(*keys: str | int, **values: Any) -> Callable[[Any], Any]:
    """Return what sets values of a part of a JSON file."""
    return lambda content: reduce(getitem, keys, content).update(values)


FACTS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "the sample as Stanford's tweets": (DATA_JSON, set_origin("stanfordnlp/sentiment140"), "packaged sample"),
    "the sample as a file": (DATA_JSON, set_origin("tweets.csv"), "packaged sample"),
    "rows of the source": (DATA_JSON, update("sources", "training", rows=1_600_000), "sources"),
    "the source's hash": (DATA_JSON, update("sources", "manual", sha256="0" * 64), "sources"),
    "duplicates": (DATA_JSON, update("steps", duplicates=0), "steps.duplicates"),
    "a step left out": (DATA_JSON, lambda data: data["steps"].pop("conflicting_texts"), "steps.conflicting_texts"),
    "rows of a split": (DATA_JSON, update("splits", "train", rows=180_000), "split train"),
    "tokens": (DATA_JSON, update("splits", "train", "token_length", p50=12), "token_length"),
    "tweets that were cut": (DATA_JSON, update("splits", "test", "token_length", truncated=9), "truncated"),
    "the tokenizer's hash": (DATA_JSON, update("tokenizer", sha256="0" * 64), "tokenizer"),
    "the cleaning": (DATA_JSON, update("settings", cleaning="raw"), "sources and settings"),
    "the split's seed": (DATA_JSON, update("settings", split_seed=7), "sources and settings"),
    "users who wrote training tweets": (DATA_JSON, update("leakage", "test", same_user=0), "leakage.test.same_user"),
    "training steps": (ENVIRONMENT, update("training", steps=60_000), "steps"),
    "epochs": (ENVIRONMENT, update("training", epochs=30.0), "epochs"),
    "speed": (ENVIRONMENT, update("training", tweets_per_second=9_999.0), "tweets per second"),
    "what changed": (
        ENVIRONMENT,
        update(changed=["threads: 1, then 2"]),
        "tweets per second",
    ),  # which is checked anyway
    "a split left out": (METRICS, lambda metrics: metrics["splits"].pop("manual"), "manual"),
    "an answer left out": (METRICS, lambda metrics: metrics["examples"].pop(), "great, another monday"),
    "the level of the intervals": (METRICS, update(confidence_level=0.99), "confidence_level"),
    "how the intervals were made": (METRICS, update("intervals", calibration_error="exact"), "intervals"),
    "the share it abstains on": (METRICS, update("abstention", share=0.01), "share"),
    "the tweets of the temperature": (METRICS, update("temperature", n=60_000), "temperature"),
    "neutral tweets": (METRICS, update("splits", "manual", neutral_left_out=2), "neutral"),
    "accuracy": (METRICS, update("splits", "test", "accuracy", value=0.9), "test: accuracy"),
    "an interval": (METRICS, update("splits", "test", "recall", low=0.01), "test: recall.low"),
    "a count": (METRICS, update("splits", "test", "true_positive", value=29), "test: true_positive"),
    "calibration": (METRICS, update("splits", "test", "calibration", "brier_score", value=0.01), "brier_score"),
    "a slice": (METRICS, update("splits", "test", "slices", 0, worse=True), "slices"),
    "near duplicates": (METRICS, update("splits", "test", "leakage", near=59), "leakage.near"),
    "three classes": (METRICS, update("splits", "manual", "three_way", "accuracy", value=0.99), "three_way"),
    "a baseline": (METRICS, update("splits", "test", "baselines", "tfidf", "lift", value=0.9), "baselines"),
    "the temperature": (METRICS, update("temperature", value=9.5), "temperature"),
    "the threshold": (METRICS, update("abstention", threshold=0.99), "abstention threshold"),
    "an answer": (METRICS, update("examples", 1, label="neutral"), "missed the last bus"),
    "a text": (METRICS, update("examples", 0, text="a dull day"), "what a lovely surprise"),
    "tweets": (METRICS, update("splits", "test", n=61), "test: tweets"),
}


ALONE = {  # what hides other findings
    *("the sample as Stanford's tweets", "the sample as a file", "rows of a split", "the cleaning", "the split's seed"),
    *("a split left out", "epochs"),
}


def test_facts_that_were_forged_wherever_they_stand_are_found(published: Published, verify: Verify) -> None:
    """Model, dataset, both cards and the results say the same; nothing but the tweets and the weights is true."""
    missed = []
    for names in [*({name} for name in sorted(ALONE)), FACTS.keys() - ALONE]:
        published.put_back()
        for name in sorted(names):
            publish_forged_facts(published, *FACTS[name][:2])
        verdict = verify(MODEL)
        missed += [(name, verdict.named()) for name in sorted(names) if FACTS[name][2] not in verdict.named()]
        assert verdict.code == 1
    assert missed == []


DATASET_CARD: dict[str, tuple[Edit, str]] = {
    "a heading": (replace("## Limits\n", "# 1,600,000 tweets\n\n## Limits\n"), "dataset card, limits"),
    "a section twice": (
        lambda text: text + section(text, "processing").replace("1,465", "1,600,000"),
        "section processing, again",
    ),
    "a number": (replace("| train | 180 |", "| train | 187 |"), "dataset card"),
    "its name": (replace("pretty_name: Invented tweets", "pretty_name: Sentiment140"), "pretty_name"),
    "a task": (replace("task_categories:\n", "task_categories:\n- summarization\n"), "task_categories"),
    "a size": (replace("num_examples: 180", "num_examples: 180000"), "dataset_info"),
}


def test_a_card_of_the_dataset_that_the_tool_did_not_write_is_found(find_missed) -> None:
    def change(published: Published, edit: Edit) -> None:
        published.move_pin(published.change(README, edit, DATA, "dataset"))

    rows = {name: (lambda page, edit=edit: change(page, edit), words) for name, (edit, words) in DATASET_CARD.items()}
    assert find_missed(rows) == []


def test_numbers_that_only_the_datasets_description_has_are_found(published: Published, verify: Verify) -> None:
    """Nothing but its ``data.json`` says so; its card is right."""

    def forge(data: Any) -> None:
        data["splits"]["train"]["positive"] = 1_000_000
        data["splits"]["test"]["token_length"]["truncated"] = 77
        data["configs"]["default"]["train"]["num_examples"] = 1_600_000

    published.change_json("data.json", forge, DATA, "dataset")
    published.move_pin(published.hub.head(DATA, "dataset"))
    named = verify(MODEL).named()
    assert [number for number in ("1000000", "77", "1600000") if f"| {number} |" not in named] == []


def test_tokens_of_another_tokenizer_are_listed_as_claimed(published: Published, verify: Verify) -> None:
    """A second model may be trained on a published dataset; its tokens were not made again here."""

    def name_another(text: str) -> str:
        return json.dumps(json.loads(text) | {"tokenizer": json.loads(text)["tokenizer"] | {"sha256": "0" * 64}})

    published.move_pin(published.change("data.json", name_another, DATA, "dataset"))
    assert "the dataset's tokens" in verify(MODEL).named("claimed")


def test_another_file_of_the_dataset_is_a_warning(published: Published, verify: Verify) -> None:
    """``datasets`` reads settings out of it, which name other tweets."""
    published.hub.write(DATA, ".huggingface.yaml", b"configs: []\n", "dataset")
    published.move_pin(published.hub.head(DATA, "dataset"))
    assert ".huggingface.yaml" in verify(MODEL).named("warning")
