"""``s140 verify`` of our own pages, runs and model folders: what is true passes, what is false is named."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sentiment140_bert as s140
from hub_server import HubServer
from on_hub import DATA, MODEL
from page_fixtures import (
    METRICS,
    README,
    RESULTS,
    Published,
    Verdict,
    another_digit,
    copy_of,
    other_weights,
    rewrite_page,
)

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

Verify = Callable[..., Verdict]


# ---- what is true


def test_a_page_that_was_just_pushed(published: Published, verify: Verify) -> None:
    verdict = verify(MODEL)
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked")
    assert verdict.result.keys() == {"model", "commit", "verdict", "warnings", "tolerance", "checks"}
    assert (verdict.result["model"], verdict.result["verdict"], verdict.result["warnings"]) == (MODEL, "true", 0)
    assert verdict.result["commit"] == published.hub.head(MODEL)
    claims = [item["claim"] for item in verdict.result["checks"]]
    for start in ("weights' sha256", "data fingerprint", "test: accuracy", "manual: f1", RESULTS, "answer to"):
        assert any(claim.startswith(start) for claim in claims), start
    assert len({*claims}) == len(claims)
    for check in verdict.result["checks"]:
        assert check.keys() == {"claim", "claimed", "measured", "verdict", "why", "difference"}
        assert check["verdict"] in ("true", "claimed")


def test_the_table_for_people(published: Published, s140) -> None:
    lines = s140("verify", MODEL).stdout.splitlines()
    assert lines[0].split() == ["claim", "claimed", "measured", "difference"]
    accuracy = json.loads(published.text(METRICS))["splits"]["test"]["accuracy"]["value"]
    (line,) = [line for line in lines if line.startswith("test: accuracy  ")]
    assert line.split() == ["test:", "accuracy", f"{accuracy:.4f}", f"{accuracy:.4f}", "0.0000", "agrees"]
    last = r"\d+ claims agree, 0 are false, 0 could not be checked, \d+ are claimed and not checked, 0 warnings "
    assert re.fullmatch(last + r"\(tolerance 0\.001\)", lines[-1])


def test_a_false_claim_in_the_table_for_people(published: Published, s140) -> None:
    published.change(README, another_digit(r"\| accuracy \| (0\.\d+)"))
    lines = s140("verify", MODEL, code=1).stdout.splitlines()
    (line,) = [line for line in lines if line.endswith("FALSE")]
    assert "scores" in line
    assert "accuracy" in line
    assert ", 1 are false, " in lines[-1]


def test_a_named_revision_is_verified(published: Published, verify: Verify) -> None:
    before = published.hub.head(MODEL)
    published.change(README, another_digit(r"\| accuracy \| (0\.\d+)"))
    assert verify(MODEL).code == 1
    assert verify(MODEL, "--model-revision", before).code == 0
    assert verify(MODEL, "--model-revision", "nowhere").code == 2


def test_a_run_tracked_by_a_private_server(small_run: Path, tmp_path, verify: Verify) -> None:
    """Its card names no address, although tracking.json does."""
    run = tmp_path / "tracked"
    shutil.copytree(small_run, run)
    address = "http://127.0.0.1:5000/#/experiments/1/runs/abc"
    (run / "tracking.json").write_text(json.dumps({"mlflow": {"id": "abc", "url": address}}))
    s140.card(run)
    assert address not in (run / "model" / "README.md").read_text("utf-8")
    assert verify(run).code == 0


def test_a_run_and_its_model_folder(small_run: Path, published: Published, verify: Verify) -> None:
    """Pushed or not."""
    for place in (small_run, small_run / "model", published.run, published.run / "model"):
        verdict = verify(place)
        assert verdict.code == 0, verdict.named() + verdict.named("unchecked")
        assert verdict.result["commit"] is None


@pytest.mark.long
def test_a_run_whose_name_is_a_number(small_run: Path, tmp_path: Path, verify: Verify, s140) -> None:
    """The card was made from one place, and is verified from others."""
    for name, places in (("5", ("", "model")), ("bert 3 epochs", ("model",))):
        run = copy_of(small_run, tmp_path / "runs" / name)
        s140("card", Path("runs") / name)
        for place in places:
            for result in (verify(run / place), verify(Path("runs") / name / place)):
                assert result.code == 0, (name, place, result.named())


def test_names_with_underscores(hub: HubServer, run_copy: Path, verify: Verify) -> None:
    """The cards name each other, and escape that sign."""
    s140.push_to_hub(run_copy, s140.Destination(repo_id="tester/my_model_2", dataset_repo_id="tester/my_data_2"))
    verdict = verify("tester/my_model_2")
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked")


def test_numbers_that_people_wrote_are_their_own(published: Published, verify: Verify) -> None:
    published.change(README, lambda text: text + "\nIn my own test of 12,345 tweets it was right in 99.9%.\n")
    published.change(README, lambda text: text.replace("license: unknown", "license: mit\nco2_eq_emissions: 0.5"))
    assert verify(MODEL).code == 0


def test_new_weights_with_their_own_page_are_true_too(
    hub: HubServer, classifier_folder, run_copy: Path, verify
) -> None:
    other_weights(run_copy / "model" / "model.safetensors")
    s140.evaluate_run(run_copy)
    s140.push_to_hub(run_copy, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    assert verify(MODEL).code == 0


def test_a_score_within_the_tolerance(published: Published, verify: Verify) -> None:
    """All say the same, and it differs by so much from what is measured here."""

    def change(metrics: Any) -> None:
        metrics["splits"]["test"]["log_loss"]["value"] += 0.0004

    published.change_json(METRICS, change)
    rewrite_page(published)
    verdict = verify(MODEL)
    assert (verdict.code, verdict.result["tolerance"]) == (0, 0.001)
    verdict = verify(MODEL, "--tolerance", "0.0001")
    assert (verdict.code, verdict.result["tolerance"]) == (1, 0.0001)
    assert "test: log_loss" in verdict.named()
    for _ in range(2):
        published.change_json(METRICS, change)
    rewrite_page(published)
    verdict = verify(MODEL)
    assert verdict.code == 1
    assert "test: log_loss" in verdict.named()
    assert verify(MODEL, "--tolerance", "1").code == 0


def test_a_tolerance_that_is_none(small_run: Path, s140) -> None:
    for tolerance in ("-1", "-0.001", "1.001", "nan", "inf", "x"):
        assert s140("verify", small_run, "--tolerance", tolerance, code=2).stdout == "", tolerance
