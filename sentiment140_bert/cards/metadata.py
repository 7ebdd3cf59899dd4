"""The front matter of a card: what the Hub reads and searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from sentiment140_bert import schemas
from sentiment140_bert.cards.facts import Facts
from sentiment140_bert.data.corpora import identify_corpus, identify_source
from sentiment140_bert.models.labels import LABEL_NAMES
from sentiment140_bert.schemas import SCORES
from sentiment140_bert.text import HIDDEN
from sentiment140_bert.trust import plain_yaml

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

HEADLINES = {"test": "held-out tweets labeled as the training tweets", "manual": "hand-labeled tweets"}
# Licenses that these base models state; a fine-tuned model keeps its base model's.
LICENSES = {
    "sentence-transformers/all-MiniLM-L6-v2": "apache-2.0",
    "google-bert/bert-base-uncased": "apache-2.0",
    "distilbert/distilbert-base-uncased": "apache-2.0",
    "answerdotai/ModernBERT-base": "apache-2.0",
    "microsoft/deberta-v3-base": "mit",
}
TAGS = ("sentiment-analysis",)
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}
SIZES |= {10**8: "10M<n<100M", 10**9: "100M<n<1B", 10**10: "1B<n<10B", 10**11: "10B<n<100B", 10**12: "100B<n<1T"}
LARGEST = "n>1T"


def format_front_matter(metadata: dict[str, Any]) -> str:
    """Return front matter, marks included; what would hide or reverse a text in it is escaped."""
    text = plain_yaml.dump(metadata)
    if HIDDEN.search(text):
        text = plain_yaml.dump(metadata, allow_unicode=False)
    return f"---\n{text.strip()}\n---\n"


def find_dataset_id(facts: Facts) -> str | None:
    """Return the dataset's id on the Hub: that of the published splits, else that of the source, if it has one."""
    if facts.published:
        return facts.published["repo_id"]
    return _find_hub_id(facts.data["sources"]["training"])


def _find_hub_id(source: schemas.Source) -> str | None:
    return source["name"] if source["on_hub"] else identify_source(source).hub_id


def describe_model(facts: Facts, title: str) -> dict[str, Any]:
    """Return a model card's front matter; huggingface_hub reads the same scores back from its ``model-index``."""
    from huggingface_hub import ModelCardData

    base, dataset, corpus = facts.base_model, find_dataset_id(facts), facts.corpus
    card = ModelCardData(
        language=corpus.language[0] if len(corpus.language) == 1 else [*corpus.language] or None,
        license=facts.data.get("description", {}).get("license", LICENSES.get(base or "", "unknown")),
        base_model=base,
        base_model_relation="finetune" if base else None,
        library_name="transformers",
        pipeline_tag="text-classification",
        datasets=[dataset] if dataset else None,
        tags=[*TAGS, *corpus.tags],
        metrics=[name for name in SCORES if name != "log_loss" and _is_scored(facts, name)],
        widget=[
            {"text": example["text"], "output": [{"label": example["label"], "score": example["score"]}]}
            for example in facts.metrics["examples"]
        ],
        model_name=title,
        eval_results=_list_results(facts) or None,
        co2_eq_emissions=_describe_carbon(facts.environment),
    )
    return dict(card.to_dict())


def _describe_carbon(environment: schemas.Environment) -> dict[str, Any] | None:
    """Return the CO2 of the training as the Hub shows it; None if it was not estimated."""
    if "carbon" not in environment:
        return None
    carbon = environment["carbon"]
    return {
        "emissions": carbon["grams"],
        "source": carbon["source"],
        "training_type": "fine-tuning",
        "geographical_location": carbon["country"],
        "hardware_used": environment["gpu"] or environment["cpu"],
    }


def _is_scored(facts: Facts, metric: str) -> bool:
    return any(metric in split for split in facts.metrics["splits"].values())


def _list_results(facts: Facts) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-classification",
            task_name="Sentiment analysis",
            **_locate_split(facts, name),
            metric_type=metric,
            metric_value=float(score["value"]),
        )
        for name, split in facts.metrics["splits"].items()
        for metric in SCORES
        if name in HEADLINES and (score := schemas.get_score(split, metric))
    ]


def _locate_split(facts: Facts, split: str) -> dict[str, Any]:
    """Return where a split can be found: in the published dataset, else by the name of its source."""
    if facts.published:
        repo_id, revision = facts.published["repo_id"], facts.published["revision"]
        return {
            "dataset_type": repo_id,
            "dataset_name": f"{repo_id} ({split})",
            "dataset_config": "default",
            "dataset_split": split,
            "dataset_revision": revision,
        }
    sources = facts.data["sources"]
    source = sources.get("manual", sources["training"]) if split == "manual" else sources["training"]
    dataset_name = facts.data.get("description", {}).get("dataset_name", source["name"])
    return {
        "dataset_type": _find_hub_id(source) or source["name"],
        "dataset_name": source["name"] if split == "manual" else f"{dataset_name} ({split})",
        # A split that was held out of that dataset is not one of the splits that it has itself.
        "dataset_split": None if source["on_hub"] else split,
    }


def format_eval_results(facts: Facts) -> str | None:
    """Return ``.eval_results/*.yaml``, the accuracies for the page of the dataset; None without an id on the Hub."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    dataset = find_dataset_id(facts)
    if dataset is None:
        return None
    entries = [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=name,
            value=float(facts.metrics["splits"][name]["accuracy"]["value"]),
            dataset_revision=facts.published["revision"] if facts.published else None,
            date=facts.environment["started"],
            notes=f"accuracy on {facts.metrics['splits'][name]['n']} {meaning}",
        )
        for name, meaning in HEADLINES.items()
        if "accuracy" in facts.metrics["splits"].get(name, {})
    ]
    return str(yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False)) if entries else None


def describe_dataset(data: schemas.Data) -> dict[str, Any]:
    """Return a dataset card's front matter.

    Args:
        data: ``data.json``, with the sizes of the published ``configs``.
    """
    corpus = identify_corpus(data)
    name = corpus.name or "tweets"
    rows = sum(split["num_examples"] for split in data["configs"]["default"].values())
    text, topic = ({"name": column, "dtype": "string"} for column in ("text", "topic"))
    tokens = [{"name": "input_ids", "list": "int32"}, {"name": "attention_mask", "list": "int8"}]
    labels = schemas.count_labels(data)
    features = {
        "default": [text, _describe_classes("label", labels)],
        "tokenized": [*tokens, _describe_classes("labels", labels)],
        "three_way": [text, _describe_classes("label", len(LABEL_NAMES)), topic],
    }
    configs: list[dict[str, Any]] = []
    infos: list[dict[str, Any]] = []
    for config, splits in data["configs"].items():
        files = [{"split": split, "path": f"{config}/{split}-*.parquet"} for split in splits]
        default = {"default": True} if config == "default" else {}
        configs.append({"config_name": config, **default, "data_files": files})
        sizes = [{"name": split, **size} for split, size in splits.items()]
        infos.append({"config_name": config, "features": features[config], "splits": sizes})
    return ({"language": [*corpus.language]} if corpus.language else {}) | {
        "license": corpus.license or "unknown",
        "pretty_name": f"{name[0].upper()}{name[1:]}, cleaned and split",
        "task_categories": ["text-classification"],
        "task_ids": ["sentiment-classification"],
        "size_categories": [next((name for limit, name in SIZES.items() if rows < limit), LARGEST)],
        "tags": [*TAGS, *corpus.tags],
        "configs": configs,
        "dataset_info": infos,
    }


def _describe_classes(name: str, count: int) -> dict[str, Any]:
    names = {str(label): LABEL_NAMES[label] for label in range(count)}
    return {"name": name, "dtype": {"class_label": {"names": names}}}
