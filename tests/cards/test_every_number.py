"""Every number on a card comes from the run's own files, rounded to the digits shown."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from on_hub import DATA, MODEL
from page_fixtures import Published

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

FILES = ("metrics.json", "data.json", "environment.json", "tracking.json", "recipe.yaml")
# Words with digits that are names of things, in the templates or of the Hub.
NAMES = ("sentiment140_bert", "Sentiment140", "sentiment140", "s140", "sha256", "macro-F1", "F1", "f1", "int8", "int32")
# Not numbers of the run: the citation, marks, a picture's and a link's address, the class names of the dataset.
LEFT_OUT = (
    r"```bibtex.*?```",
    r"<!--.*?-->",
    r"\]\([^)]*\)",
    r"'[012]': (?:negative|positive|neutral)",
    r"n<1K|1K<n<10K",
)
WORD = re.compile(r"[\w.,+\-−]*\d[\w.,+\-−]*%?")
NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def leaves(content: Any) -> Iterator[Any]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from leaves(value)
    elif isinstance(content, list):
        for value in content:
            yield from leaves(value)
    else:
        yield content


class Known:
    """The values of a run's files: their numbers, and their texts with digits."""

    def __init__(self, *contents: Any) -> None:
        result = [leaf for content in contents for leaf in leaves(content)]
        self.numbers = [float(item) for item in result if isinstance(item, int | float) and not isinstance(item, bool)]
        texts = {" ".join(entry.split()) for entry in result if isinstance(entry, str) and re.search(r"\d", entry)}
        self.texts = sorted(texts, key=len, reverse=True)

    def shows(self, written: str) -> bool:
        """Return True if a number of the files, or its percentage, looks like this when rounded to as many digits."""
        plain = written.removesuffix("%").replace(",", "").replace("−", "-")
        scale = 100 if written.endswith("%") else 1
        if not NUMBER.fullmatch(plain):
            return False
        digits = len(plain.partition("e")[0].partition(".")[2])
        return any(
            float(plain) == scale * number or plain in (f"{scale * number:.{digits}f}", f"{scale * number:.2g}")
            for number in self.numbers
        )

    def unfounded(self, card: str) -> list[str]:
        """Return the words of a text that have digits and are in no file."""
        text = html.unescape(re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", card))
        for pattern in LEFT_OUT:
            text = re.sub(pattern, " ", text, flags=re.DOTALL)
        for name in (*self.texts, *NAMES):
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", " ", text)
        return [word for item in WORD.findall(text) if not self.shows(word := item.strip(".,"))]


def of_run(folder: Path) -> Known:
    files = [folder / name for name in FILES if (folder / name).is_file()]
    return Known(*(yaml.safe_load(file.read_text("utf-8")) for file in files))


def card_of(run: Path) -> str:
    return (run / "model" / "README.md").read_text("utf-8")


def check_model_card(run: Path) -> None:
    """Compare the card with the run's files, and with the published folder alone."""
    text = card_of(run)
    assert len(WORD.findall(text)) > 100  # the search does find numbers
    assert of_run(run).unfounded(text) == []
    assert of_run(run / "model").unfounded(text) == []


def test_every_number_of_a_model_card(small_run: Path, local_run: Path, bare_run: Path) -> None:
    for run in (small_run, local_run, bare_run):
        check_model_card(run)


@pytest.mark.long
@pytest.mark.realdata
def test_every_number_of_a_model_card_for_real_tweets(real_run: Path) -> None:
    check_model_card(real_run)


def test_every_number_of_a_published_page(published: Published) -> None:
    def known(*, kind: str, repo_id: str) -> Known:
        files = published.hub.files(repo_id, kind)
        return Known(*(yaml.safe_load(files[name]) for name in FILES if name in files))

    model, data = known(kind="model", repo_id=MODEL), known(kind="dataset", repo_id=DATA)
    assert model.unfounded(published.text("README.md")) == []
    assert model.unfounded(published.text(".eval_results/sentiment140.yaml")) == []
    assert data.unfounded(published.text("README.md", DATA, "dataset")) == []


@pytest.mark.realdata
def test_every_number_of_a_dataset_card_for_real_tweets(real_run: Path, tmp_path: Path) -> None:
    from sentiment140_bert.cards.dataset import render_dataset_card

    data = json.loads((real_run / "data.json").read_text("utf-8"))
    sizes = {name: {"num_examples": split["rows"], "num_bytes": 12_345} for name, split in data["splits"].items()}
    sizes.pop("manual_neutral", None)
    data["configs"] = {"default": sizes, "tokenized": sizes}
    data["sources"]["training"] |= {"name": "stanfordnlp/sentiment140", "on_hub": True}
    text = render_dataset_card(data, "tester/tweets", "tester/model")
    assert Known(data).unfounded(text) == []
    assert "no license" in text
    assert "139" in text  # of the official tweets are neutral


def test_a_number_typed_by_hand_is_caught(small_run: Path) -> None:
    assert of_run(small_run).unfounded("About 1234 of them. F1 0.98765, v9.") == ["1234", "0.98765", "v9"]
