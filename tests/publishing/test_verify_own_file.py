"""``s140 verify`` of pages whose tweets came from their owner's file: what can be measured is, the rest is searched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import sentiment140_bert as s140
from hub_server import HubServer
from on_hub import DATA, MODEL
from page_fixtures import DATA_JSON, Published, Verdict, publish_forged_facts, train_copy
from sentiment140_bert.data import data_json
from sentiment140_bert.data.cache import save_splits
from sentiment140_bert.evaluation.run import load_run_data
from sentiment140_bert.inference.predict import load_classifier
from sentiment140_bert.publishing import origin
from sentiment140_bert.publishing.checks import FALSE
from sentiment140_bert.run import RunDir, saved_recipe

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

Verify = Callable[..., Verdict]
ENVIRONMENT = "environment.json"


@pytest.fixture
def from_file(hub: HubServer, local_run: Path, tmp_path: Path) -> Published:
    copy = train_copy(local_run, tmp_path / "copy")
    s140.push_to_hub(copy, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    return Published(hub, copy)


def test_every_text_that_nobody_measured_is_searched_for_claims(from_file: Published, verify: Verify) -> None:
    """Cards print them, as they are written: values and keys, wherever they are."""

    def claim_in_data(data: Any) -> None:
        data["steps"] = {
            "read by three people, 91.1 % right": 300,
            "accuracy": 92,
            **data["steps"],
        }
        data["sources"]["training"]["name"] = "tweets.csv (accuracy 0.913)"
        data["sources"]["manual"]["revision"] = "accuracy 0.914"
        data["tokenizer"] |= {"name": "bert, accuracy 0.915", "revision": "accuracy 0.916"}

    def claim_in_environment(environment: Any) -> None:
        environment["cpu"] = "<!-- accuracy 0.921 -->"
        environment["base_model"]["revision"] = "accuracy 0.922"
        environment["packages"] |= {"accuracy": "0.923"}
        environment["changed"] = ["threads: 1, then an accuracy of 0.924"]
        environment["command"] = "s140 train --recipe r.yaml --metric-for-best-model accuracy --warmup-steps 0.1 "
        environment["command"] += "--seed 3 # accuracy 0.925 --of 0.926"

    publish_forged_facts(from_file, DATA_JSON, claim_in_data)
    publish_forged_facts(from_file, ENVIRONMENT, claim_in_environment)
    verdict = verify(MODEL, "--strict")
    assert (verdict.code, verdict.named(), verdict.named("unchecked")) == (1, "", "")
    claims = ["91.1 %", "| 92 |", *(f"0.{number}" for number in (913, 914, 915, 916, *range(921, 926)))]
    assert [claim for claim in claims if claim not in verdict.named("warning")] == []
    assert "--warmup-steps 0.1" not in verdict.named("warning")


def test_the_cleaning_is_that_of_the_tokenizer(from_file: Published, verify: Verify) -> None:
    for level in ("raw", "repair"):  # it is "mask"
        publish_forged_facts(from_file, DATA_JSON, lambda data, level=level: data["settings"].update(cleaning=level))
        verdict = verify(MODEL)
        assert (verdict.code, "data.json: settings.cleaning" in verdict.named()) == (1, True)


def test_no_text_is_in_two_splits_nor_twice_in_one(local_run: Path) -> None:
    """Whatever hashes and scores say of such splits, and whatever the case of the letters."""
    run = RunDir(local_run)
    prepared, recipe, tokenizer = load_run_data(run), saved_recipe(run.path), load_classifier(str(run.model)).tokenizer
    train = prepared.table("train")
    capitals = pa.array([text.upper() for text in train["text"].to_pylist()])
    shouted = train.set_column(train.column_names.index("text"), "text", capitals)
    forged = {"validation": train[:7], "test": shouted[:6], "train": pa.concat_tables([train, train[:5]])}
    for split, table in forged.items():
        tables = {**prepared.tables(), split: table}
        report = json.loads(json.dumps({**run.read_data(), **{key: prepared.report[key] for key in ("settings",)}}))
        report["splits"][split] |= data_json.describe_split(table)
        copy = save_splits(f"{len(table):064x}", tables, report | {"published": {"repo_id": DATA}}, {})
        _, checks = origin.check_data(report, copy, recipe, tokenizer, named_here=False)
        counts = {check.claim: check.measured for check in checks if check.claim.startswith("texts that occur")}
        texts = {"validation": (7, 0), "test": (6, 0), "train": (0, 5)}[split]
        assert tuple(counts.values()) == texts
        assert {check.verdict for check in checks if check.measured in texts and check.measured} == {FALSE}
