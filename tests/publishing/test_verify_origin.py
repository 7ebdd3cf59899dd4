"""``s140 verify`` prepares the tweets of a page again where anybody can, to measure their origin."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import sentiment140_bert as s140
from eavesdropper import Eavesdropper
from hub_server import HubServer
from on_hub import DATA, MODEL
from once import make_once
from page_fixtures import DATA_JSON, Published, Verdict, copy_of, edit, publish_forged_facts, train_copy, trained
from sentiment140_bert.data import loading, sources
from sentiment140_bert.data.corpora import STANFORD_SHA256
from sentiment140_bert.publishing import origin
from sentiment140_bert.recipe import DataConfig

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

Verify = Callable[..., Verdict]
SOURCE = "somebody/tweets"
ROWS = [f"{4 * (at % 2)},{'glad sun cake' if at % 2 else 'sad rain bus'} number {at % 190}\n" for at in range(200)]


def write_source(hub: HubServer) -> None:
    hub.create(SOURCE, "dataset")
    hub.write(SOURCE, "train.csv", ("label,text\n" + "".join(ROWS)).encode(), "dataset")


@pytest.fixture
def from_hub(hub: HubServer, encoder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A model of tweets that lie on the Hub, published with its splits."""
    write_source(hub)
    changes = {"model_name_or_path": encoder, "dataset": SOURCE, "max_samples": 150, "test_size": 20}
    run = make_once(tmp_path_factory, "run_from_hub", lambda folder: trained(folder, validation_size=20, **changes))
    copy = train_copy(run, tmp_path / "runs" / "copy")
    s140.push_to_hub(copy, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    return Published(hub, copy)


def test_tweets_of_the_hub_are_prepared_again(from_hub: Published, verify: Verify) -> None:
    verdict = verify(MODEL)
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked")
    assert "source of the tweets" not in verdict.named("claimed")
    forgeries: dict[str, Callable[[Any], object]] = {
        "steps.duplicates": lambda data: data["steps"].update(duplicates=0),
        "sources.training.rows": lambda data: data["sources"]["training"].update(rows=1_600_000),
        "leakage.test.near": lambda data: data["leakage"]["test"].update(near=99),
        "sources and settings": lambda data: data["settings"].update(split_seed=1),
    }
    assert find_passed(from_hub, verify, forgeries) == []


@pytest.fixture
def without_issues(
    hub: HubServer, encoder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    """The same without tweets that a file of its owner lists."""
    write_source(hub)
    (tmp_path / "issues.csv").write_text("text\n" + "".join(row.partition(",")[2] for row in ROWS[:20]))
    changes = {"model_name_or_path": encoder, "dataset": SOURCE, "test_size": 20, "validation_size": 20}
    changes |= {"drop_suspects": tmp_path / "issues.csv", "max_samples": 150}
    run = make_once(tmp_path_factory, "run_without_issues", lambda folder: trained(folder, **changes))
    copy = train_copy(run, tmp_path / "runs" / "copy")
    s140.push_to_hub(copy, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    return Published(hub, copy)


LISTED = {"name": "issues.csv", "sha256": "0" * 64, "rows": 5_000, "found": 4_000}


def find_passed(
    published: Published, verify: Verify, forgeries: dict[str, Callable[[Any], object]]
) -> list[tuple[str, str]]:
    """Forge ``data.json`` in each way; return those that were not called false by their name."""
    before = {key: dict(repo.refs) for key, repo in published.hub.repos.items()}
    passed = []
    for finding, change in forgeries.items():
        publish_forged_facts(published, DATA_JSON, change)
        verdict = verify(MODEL)
        if verdict.code != 1 or finding not in verdict.named():
            passed.append((finding, verdict.named()))
        for key, refs in before.items():
            published.hub.repos[key].refs = dict(refs)
    return passed


def test_a_list_of_label_issues_does_not_hide_the_source(from_hub: Published, verify: Verify) -> None:
    """Neither one that the recipe does not name, nor one that left nothing out."""

    def add_list(data: Any, **steps: int) -> None:
        data["steps"] |= steps
        data["suspects"] = LISTED

    forgeries: dict[str, Callable[[Any], object]] = {
        "list of label issues": add_list,
        "suspects.found": add_list,
        "steps.suspects_dropped": lambda data: add_list(data, suspects_dropped=4_000),
        "steps.duplicates": lambda data: add_list(data, duplicates=0),
    }
    assert find_passed(from_hub, verify, forgeries) == []


def test_tweets_without_label_issues_are_prepared_again(without_issues: Published, verify: Verify) -> None:
    verdict = verify(MODEL, "--strict")
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked") + verdict.named("warning")
    assert "issues.csv" in verdict.named("claimed")
    assert "source of the tweets" not in verdict.named("claimed")
    forgeries: dict[str, Callable[[Any], object]] = {
        "suspects.found": lambda data: data["suspects"].update(found=1),
        "suspects.rows": lambda data: data["suspects"].update(rows=1),
        "list of label issues": lambda data: data["suspects"].update(name="others.csv"),
        "steps.suspects_dropped": lambda data: data["steps"].update(suspects_dropped=1),
        "steps.duplicates": lambda data: data["steps"].update(duplicates=0),
        "sources.training.rows": lambda data: data["sources"]["training"].update(rows=1_600_000),
        "leakage.test.near": lambda data: data["leakage"]["test"].update(near=99),
        "sources and settings": lambda data: data["settings"].update(split_seed=1),
    }
    assert find_passed(without_issues, verify, forgeries) == []
    del without_issues.hub.repos["dataset", SOURCE]
    verdict = verify(MODEL)
    assert (verdict.code, SOURCE in verdict.named("unchecked")) == (2, True)


def test_a_part_of_published_tweets_without_label_issues(
    without_issues: Published, encoder: Path, tmp_path: Path, verify: Verify
) -> None:
    """A model that was trained on them has their list, and a recipe that names none."""
    run = trained(tmp_path / "later", model_name_or_path=encoder, dataset=DATA, max_train_samples=60)
    s140.push_to_hub(run, s140.Destination(repo_id="tester/later", dataset_repo_id="tester/part"))
    verdict = verify("tester/later", "--strict")
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked") + verdict.named("warning")
    assert "issues.csv" in verdict.named("claimed")


def test_a_source_that_is_gone_is_unchecked(from_hub: Published, verify: Verify) -> None:
    del from_hub.hub.repos["dataset", SOURCE]
    verdict = verify(MODEL)
    assert (verdict.code, verdict.named()) == (2, "")
    (line,) = [line for line in verdict.named("unchecked").splitlines() if "source of the tweets" in line]
    assert SOURCE in line
    assert "cannot be prepared again" in line


def test_public_tweets_with_hand_labeled_ones_from_a_file_are_unchecked(
    hub: HubServer, encoder: Path, tmp_path: Path, verify: Verify
) -> None:
    """Nobody else can leave these out of the training tweets."""
    write_source(hub)
    (tmp_path / "hand.csv").write_text("0,what a sad thing\n4,a glad one\n" + "".join(ROWS[:4]))
    changes = {"model_name_or_path": encoder, "dataset": SOURCE, "test_size": 20, "validation_size": 20}
    run = trained(tmp_path / "run", max_samples=150, manual_test=tmp_path / "hand.csv", **changes)
    s140.push_to_hub(run, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    verdict = verify(MODEL)
    assert (verdict.code, verdict.named()) == (2, "")
    assert "hand.csv" in verdict.named("unchecked")


def test_a_page_that_names_another_source_than_its_recipe(small_run: Path, tmp_path: Path, verify: Verify) -> None:
    """It was published without its tweets, so they are made again from the recipe."""
    folder = copy_of(small_run / "model", tmp_path / "another")
    edit(folder / DATA_JSON, lambda data: data["sources"]["training"].update(name="stanford", sha256="0" * 64))
    verdict = verify(folder)
    assert (verdict.code, "the packaged sample" in verdict.named()) == (1, True)
    edit(folder / DATA_JSON, lambda data: data["sources"]["training"].update(name="sample"))
    verdict = verify(folder)
    assert (verdict.code, "sources.training.sha256" in verdict.named()) == (1, True)


def test_a_source_that_is_a_file_is_claimed_and_not_checked(
    hub: HubServer, local_run: Path, tmp_path: Path, verify: Verify
) -> None:
    s140.push_to_hub(train_copy(local_run, tmp_path / "copy"), s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    verdict = verify(MODEL, "--strict")
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked")
    assert "tweets.csv" in verdict.named("claimed")


def test_a_file_that_is_called_sentiment140_by_its_hash_is_prepared_again(
    hub: HubServer, local_run: Path, tmp_path: Path, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cards say that it is Sentiment140: whoever cannot fetch that cannot say so."""
    run = train_copy(local_run, tmp_path / "copy")
    edit(run / "data.json", lambda data: data["sources"]["training"].update(sha256=STANFORD_SHA256))
    s140.push_to_hub(run, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    assert b"tweets of Sentiment140" in hub.files(MODEL)["README.md"]
    with Eavesdropper(status=404) as stanford:
        monkeypatch.setattr(sources, "STANFORD_URL", f"{stanford.url}/archive.zip")
        verdict = verify(MODEL)
        assert stanford.heard
    assert (verdict.code, "source of the tweets" in verdict.named("unchecked")) == (2, True)


@pytest.mark.parametrize("name", ["stanfordnlp/sentiment140 (test)", "stanford (manual)", "sample (manual)"])
def test_hand_labeled_tweets_of_a_file_with_a_public_name_are_not_verified(
    name: str, hub: HubServer, local_run: Path, tmp_path: Path, verify: Verify
) -> None:
    run = train_copy(local_run, tmp_path / "copy")
    edit(run / "data.json", lambda data: data["sources"]["manual"].update(name=name))
    s140.push_to_hub(run, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    verdict = verify(MODEL)
    assert (verdict.code, "source of the manual tweets" in verdict.named("unchecked")) == (2, True)


HOSTILE: list[Callable[[Any], Any]] = [
    lambda data: data["settings"].update(cleaning="raw", unknown=[1]),
    lambda data: data["settings"].update(max_samples="x"),
    lambda data: data["settings"].update(label_map={"a": {}}),
    lambda data: data["settings"].update(model_name_or_path="/etc/passwd", output_dir="/tmp/x"),
    lambda data: data["sources"]["training"].update(name="no/such", on_hub=True, revision="refs/../x"),
    lambda data: data["sources"]["training"].update(name="../x"),
    lambda data: data["sources"]["training"].update(sha256_of="accuracy", sha256="0.991"),
    lambda data: data["sources"]["training"].update(name="table:a.b.c"),
    lambda data: data["sources"].update(other=data["sources"]["manual"]),
    lambda data: data["steps"].update({"a b": 2**70}),
    lambda data: data.update(configs={"default": {"x": {"num_examples": 1, "num_bytes": 1}}}),
    lambda data: data["tokenizer"].update(max_length=0),
    lambda data: data["sources"].pop("training"),
    lambda data: data["sources"].pop("manual"),
    lambda data: data.update(suspects={"name": "x.csv", "sha256": "0" * 64, "rows": 1, "found": 1}),
]


@pytest.mark.long
def test_hostile_descriptions_are_no_traceback(find_missed) -> None:
    """An exception that is not the package's own goes through, and fails the test."""

    def change_both(published: Published, change: Callable[[Any], Any]) -> None:
        published.change_json(DATA_JSON, change, DATA, "dataset")
        published.move_pin(published.hub.head(DATA, "dataset"))
        published.change_json(DATA_JSON, change)

    rows = {str(number): (lambda page, how=how: change_both(page, how),) for number, how in enumerate(HOSTILE)}
    assert find_missed(rows, codes=(1, 2)) == []


def test_splits_that_nobody_can_train_on_are_no_traceback(published: Published, verify: Verify) -> None:
    from sentiment140_bert.data.data_json import compute_fingerprint

    def leave_out(data: Any) -> None:
        del data["splits"]["train"]
        data["fingerprint"] = compute_fingerprint({name: split["sha256"] for name, split in data["splits"].items()})

    published.change_json(DATA_JSON, leave_out, DATA, "dataset")
    published.move_pin(published.hub.head(DATA, "dataset"))
    verdict = verify(MODEL)
    assert verdict.code in (1, 2)
    assert "train" in verdict.named("unchecked")


@pytest.mark.parametrize("left_out", [0, 3])
def test_the_sample_is_known_by_its_rows(left_out: int, tmp_path: Path) -> None:
    """Whatever it is called, and if some rows are taken away so that no fingerprint is the same."""
    lines = (files("sentiment140_bert.data") / "sample" / "tweets.csv").read_text("latin-1").splitlines(True)
    (tmp_path / "real tweets.csv").write_text("".join(lines[left_out:]), "latin-1")
    named, _ = loading.load_splits(DataConfig(dataset=str(tmp_path / "real tweets.csv")))
    rows = [f"{4 * (at % 2)},{'sad' if at % 2 else 'glad'} number {at}\n" for at in range(200)]
    (tmp_path / "others.csv").write_text("".join(rows))
    others, _ = loading.load_splits(DataConfig(dataset=str(tmp_path / "others.csv"), test_size=20, validation_size=20))
    assert (origin.is_sample(named), origin.is_sample(others)) == (True, False)
