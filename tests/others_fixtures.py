"""A pytest plugin for tests of other people's pages: a model of somebody, its tweets, and their scores."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import sentiment140_bert as s140
from hub_server import HubServer
from page_fixtures import Verdict
from sentiment140_bert.recipe import DataConfig

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

MODEL, TWEETS, OTHERS = "somebody/model", "somebody/tweets", "somebody/others"
WORDS = ("good", "bad", "sad", "glad", "happy", "rain", "sun", "bus", "cat", "dog", "love", "hate", "fine", "poor")
Verify = Callable[..., Verdict]


def rows(count: int, seed: int, labels: tuple[int, ...] = (0, 1)) -> list[tuple[str, int]]:
    chosen = random.Random(seed)
    return [(f"{' '.join(chosen.choices(WORDS, k=6))} {at}", chosen.choice(labels)) for at in range(count)]


def as_csv(table: list[tuple[str, int]]) -> bytes:
    return ("text,label\n" + "".join(f"{text},{label}\n" for text, label in table)).encode()


TABLES = {"test": rows(80, 1), "train": rows(40, 2), "others": rows(80, 3)}


@pytest.fixture
def hub_model(hub: HubServer, classifier_folder: Path) -> HubServer:
    """A model without a card, and two datasets."""
    for repo_id, splits in ((TWEETS, ("test", "train")), (OTHERS, ("others", "train"))):
        hub.create(repo_id, "dataset")
        for name in splits:
            hub.write(repo_id, f"{'test' if name == 'others' else name}.csv", as_csv(TABLES[name]), "dataset")
    hub.create(MODEL)
    for file in classifier_folder.iterdir():
        hub.write(MODEL, file.name, file.read_bytes())
    return hub


@pytest.fixture(scope="session")
def measured(classifier_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """The scores of the model on each table."""
    file, scores = tmp_path_factory.mktemp("tables") / "tweets.csv", {}
    for name, table in TABLES.items():
        file.write_bytes(as_csv(table))
        split = s140.evaluate(str(classifier_folder), DataConfig(dataset=str(file))).splits["test"]
        scores[name] = {
            key: score["value"] for key, score in split.items() if isinstance(score, dict) and "value" in score
        }
    return scores


def result(dataset: Any = TWEETS, split: Any = "test", **metrics: Any) -> dict[str, Any]:
    about = {"name": "tweets", "type": dataset, "split": split, "revision": metrics.pop("revision", None)}
    return {
        "task": {"type": "text-classification"},
        "dataset": {name: value for name, value in about.items() if value is not None},
        "metrics": [{"type": kind, "value": value} for kind, value in metrics.items()],
    }


def index(*results: dict[str, Any]) -> str:
    """Return a card's front matter."""
    return f"---\n{yaml.safe_dump({'model-index': [{'name': 'm', 'results': list(results)}]})}---\n"


@pytest.fixture
def verify_card(hub_model: HubServer, verify: Verify) -> Callable[..., Verdict]:
    """Verify the model with this card."""

    def judge(card: str, *arguments: object) -> Verdict:
        hub_model.write(MODEL, "README.md", card.encode())
        return verify(MODEL, *arguments)

    return judge
