"""A pytest plugin for tests of ``--dataset user/dataset``, of one that ``s140 push-to-hub`` made."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result

import sentiment140_bert
from hub_server import HubServer
from on_hub import DATA
from sentiment140_bert.errors import S140Error


@pytest.fixture
def stranger() -> None:
    """Nothing was downloaded here before: neither by huggingface_hub nor by datasets."""
    for name in ("hub", "datasets"):
        shutil.rmtree(Path(os.environ["HF_HOME"]) / name, ignore_errors=True)


@pytest.fixture
def train(s140: Callable[..., Result], encoder: Path) -> Callable[..., Result]:
    """The quickstart on the published splits, for two steps."""

    def invoke(*arguments: object, dataset: str = DATA, model: object = encoder, code: int = 0) -> Result:
        words = ["--recipe", "quickstart", "--dataset", dataset, "--model-name-or-path", model, "--max-steps", 2]
        return s140("train", "--output-dir", "new", *words, *arguments, code=code)

    return invoke


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture
def prepared(encoder: Path) -> Callable[..., dict[str, Any]]:
    """``s140 prepare`` of the published splits, with the quickstart's other settings."""

    def invoke(name: str = DATA, **values: Any) -> dict[str, Any]:
        values = {"dataset": name, "model_name_or_path": str(encoder)} | values
        return sentiment140_bert.prepare(sentiment140_bert.load_recipe("quickstart").with_values(values))

    return invoke


@pytest.fixture
def refused(prepared: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Check for an error that names the dataset."""

    def invoke(*words: str) -> None:
        with pytest.raises(S140Error) as caught:
            prepared()
        for part in (DATA, *words):
            assert part in str(caught.value)

    return invoke


def rewrite(hub: HubServer, path: str, change: Callable[[Any], Any]) -> None:
    """Change a parquet file on the website."""
    table = pq.read_table(io.BytesIO(hub.files(DATA, "dataset")[path]))
    content = io.BytesIO()
    pq.write_table(change(table), content)
    hub.write(DATA, path, content.getvalue(), "dataset")


def split_rows(report: dict[str, Any]) -> dict[str, int]:
    return {name: split["rows"] for name, split in report["splits"].items()}
