"""Keep the text that people write into a card, on the Hub or in the run, with each push."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from hub_server import HubServer
from on_hub import BOTH, DATA, MODEL, changed_by_last, commits_of_ours, titles

pytest_plugins = "hub_fixtures"

JUST_MODEL = ("--repo-id", MODEL)
NOTE = "## Who made this\n\nTwo students, one winter.\n"


def card(hub: HubServer, repo_id: str = MODEL, kind: str = "model", revision: str = "main") -> str:
    return hub.files(repo_id, kind, revision)["README.md"].decode()


def front_matter(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def on_hub(hub: HubServer, old: str, new: str, repo_id: str = MODEL, kind: str = "model") -> None:
    """Somebody edits the card on the website."""
    text = card(hub, repo_id, kind)
    assert old in text
    hub.write(repo_id, "README.md", text.replace(old, new, 1).encode(), kind)


def here(run: Path, old: str, new: str) -> None:
    file = run / "model" / "README.md"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


USE, SCORES = "<!-- begin s140: use -->", "<!-- begin s140: scores -->"


def edited(run: Path) -> None:
    """Something else of the run changes, so that its card does too."""
    environment = json.loads((run / "environment.json").read_text("utf-8"))
    (run / "environment.json").write_text(json.dumps(environment | {"cpu": "Another Processor"}))


def test_text_from_the_hub_survives_where_it_was(hub: HubServer, push, pushed: Path) -> None:
    on_hub(hub, USE, f"{NOTE}\n{USE}")
    edited(pushed)
    push()
    text = card(hub)
    assert "Another Processor" in text
    assert text.index("end s140: summary") < text.index(NOTE) < text.index(USE)
    assert NOTE in (pushed / "model" / "README.md").read_text("utf-8")


def test_it_alone_is_no_reason_for_a_commit(hub: HubServer, pushed: Path, push) -> None:
    on_hub(hub, USE, f"{NOTE}\n{USE}")
    push()
    assert titles(hub, MODEL)[0] == "Update README.md"


def test_text_from_here_survives(hub: HubServer, push, run_copy: Path) -> None:
    here(run_copy, USE, f"{NOTE}\n{USE}")
    push()
    assert NOTE in card(hub)
    edited(run_copy)
    push()
    assert NOTE in card(hub)
    assert "Another Processor" in card(hub)


def test_text_written_here_after_a_push_is_published(hub: HubServer, push, pushed: Path) -> None:
    here(pushed, USE, f"{NOTE}\n{USE}")
    push()
    assert NOTE in card(hub)
    assert changed_by_last(hub, MODEL) == {"README.md"}
    here(pushed, "one winter", "two winters")
    push()
    assert "two winters" in card(hub)


@pytest.mark.parametrize("where", ["hub", "here"])
def test_text_that_was_removed_stays_removed(hub: HubServer, push, run_copy: Path, where: str) -> None:
    here(run_copy, USE, f"{NOTE}\n{USE}")
    push()
    if where == "hub":
        on_hub(hub, NOTE, "")
    else:
        here(run_copy, NOTE, "")
    push()
    assert NOTE not in card(hub)
    assert NOTE not in (run_copy / "model" / "README.md").read_text("utf-8")


def test_the_same_text_on_both_sides_is_no_conflict(hub: HubServer, push, pushed: Path) -> None:
    here(pushed, USE, f"{NOTE}\n{USE}")
    on_hub(hub, USE, f"{NOTE}\n{USE}")
    push()
    assert card(hub).count(NOTE) == 1


@pytest.mark.parametrize("first", [True, False])
def test_different_text_on_both_sides_is_refused_and_nothing_is_published(
    hub: HubServer, push, run_copy: Path, first: bool
) -> None:
    if first:
        hub.create(MODEL)
        hub.write(MODEL, "README.md", b"# A page of my own\n")
    else:
        push(to=JUST_MODEL)
        on_hub(hub, USE, f"## On the Hub\n\n{USE}")
    here(run_copy, USE, f"{NOTE}\n{USE}")
    before = card(hub), (run_copy / "model" / "README.md").read_text("utf-8")
    result = push(to=BOTH, code=1)
    assert "edited both" in result.stderr
    assert (card(hub), (run_copy / "model" / "README.md").read_text("utf-8")) == before
    assert commits_of_ours(hub)[0] == 0  # nor the dataset


def test_a_card_written_by_hand_as_a_whole_is_kept_below(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.write(MODEL, "README.md", b"---\nlicense: mit\n---\n# My model\n\nI am proud of it.\n")
    push()
    assert "I am proud of it." in card(hub)
    assert SCORES in card(hub)
    assert front_matter(card(hub))["license"] == "mit"
    push()
    assert commits_of_ours(hub)[1] == 2  # its first, and ours


def test_a_dataset_card_is_kept_too(hub: HubServer, pushed: Path, push) -> None:
    on_hub(hub, "<!-- begin s140: use -->", f"{NOTE}\n<!-- begin s140: use -->", DATA, "dataset")
    push("--public")
    assert NOTE in card(hub, DATA, "dataset")


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_front_matter_from_the_hub_survives(hub: HubServer, push, pushed: Path, kind: str) -> None:
    repo_id = {"model": MODEL, "dataset": DATA}[kind]
    on_hub(hub, "---\n", "---\nco2_eq_emissions: 12\nthumbnail: me.png\n", repo_id, kind)
    on_hub(hub, "tags:\n", "tags:\n- winter\n", repo_id, kind)
    on_hub(hub, "license: mit" if kind == "dataset" else "license: unknown", "license: cc-by-4.0", repo_id, kind)
    edited(pushed)
    push()
    front = front_matter(card(hub, repo_id, kind))
    assert (front["co2_eq_emissions"], front["thumbnail"], front["license"]) == (12, "me.png", "cc-by-4.0")
    assert "winter" in front["tags"]


@pytest.mark.parametrize("when", ["before the first push", "afterwards"])
def test_front_matter_from_here_survives(hub: HubServer, push, run_copy: Path, when: str) -> None:
    if when == "afterwards":
        push()
    here(run_copy, "---\n", "---\nco2_eq_emissions: 12\n")
    here(run_copy, "license: unknown", "license: cc-by-4.0")
    push()
    front = front_matter(card(hub))
    assert (front.get("co2_eq_emissions"), front["license"]) == (12, "cc-by-4.0")
    assert "co2_eq_emissions" in (run_copy / "model" / "README.md").read_text("utf-8")


def test_front_matter_from_the_hub_survives_text_from_here(hub: HubServer, push, pushed: Path) -> None:
    on_hub(hub, "---\n", "---\nco2_eq_emissions: 12\n")
    here(pushed, USE, f"{NOTE}\n{USE}")
    push()
    assert NOTE in card(hub)
    assert front_matter(card(hub)).get("co2_eq_emissions") == 12


def test_our_own_front_matter_is_not_kept_from_an_older_card(hub: HubServer, pushed: Path, push) -> None:
    on_hub(hub, "pipeline_tag: text-classification", "pipeline_tag: text-generation")
    push()
    assert front_matter(card(hub))["pipeline_tag"] == "text-classification"


def test_text_of_ours_that_was_changed_is_written_anew(hub: HubServer, push, pushed: Path) -> None:
    on_hub(hub, "## Limits\n", "## Limits, improved by me\n")
    push()
    assert "improved by me" not in card(hub)


def test_text_from_here_is_not_lost_to_a_page_that_never_had_it(hub: HubServer, push, run_copy: Path) -> None:
    push(to=JUST_MODEL)
    push(to=("--repo-id", "tester/second"))
    here(run_copy, USE, f"{NOTE}\n{USE}")
    push(to=JUST_MODEL)
    push(to=("--repo-id", "tester/second"))
    assert NOTE in card(hub, "tester/second")
    assert NOTE in (run_copy / "model" / "README.md").read_text("utf-8")


def test_nor_to_main_after_a_pull_request(hub: HubServer, push, run_copy: Path) -> None:
    push(to=JUST_MODEL)
    here(run_copy, USE, f"{NOTE}\n{USE}")
    push("--create-pr", to=JUST_MODEL)
    assert NOTE in card(hub, revision="refs/pr/1")
    push(to=JUST_MODEL)
    assert NOTE in card(hub)
    assert NOTE in (run_copy / "model" / "README.md").read_text("utf-8")


def test_a_copy_of_the_run_goes_on_from_what_is_on_the_hub(
    hub: HubServer, push, run_copy: Path, small_run: Path
) -> None:
    push(to=JUST_MODEL)
    on_hub(hub, USE, f"{NOTE}\n{USE}")
    other = shutil.copytree(small_run, "other", ignore=shutil.ignore_patterns("checkpoints"))
    push(run=other, to=JUST_MODEL)
    assert NOTE in card(hub)


BROKEN = "---\ntags: [a, b\n---\n# Mine\n"


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_damaged_card_on_the_hub_is_a_sentence_that_says_where(hub: HubServer, push, kind: str) -> None:
    hub.create(MODEL)
    hub.create(DATA, "dataset")
    repo_id = {"model": MODEL, "dataset": DATA}[kind]
    hub.write(repo_id, "README.md", BROKEN.encode(), kind)
    result = push(code=1)
    assert "Traceback" not in result.stderr
    assert f"{kind} {repo_id}" in result.stderr
    assert card(hub, repo_id, kind) == BROKEN
    assert "s140 push-to-hub: model" not in titles(hub, MODEL)
    assert "s140 push-to-hub: dataset" not in titles(hub, DATA, "dataset")


@pytest.mark.parametrize("exists", [False, True])
def test_a_damaged_card_here_is_a_sentence_that_says_where(hub: HubServer, push, run_copy: Path, exists: bool) -> None:
    if exists:
        push(to=JUST_MODEL)
    (run_copy / "model" / "README.md").write_text(BROKEN)
    result = push(to=BOTH, code=1)
    assert str(run_copy / "model" / "README.md") in result.stderr
    assert ("dataset", DATA) not in hub.repos or titles(hub, DATA, "dataset") == ["initial commit"]


def test_a_card_on_the_hub_that_is_no_utf8_is_a_sentence(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.write(MODEL, "README.md", "# Café".encode("latin-1"))
    result = push(to=JUST_MODEL, code=1)
    assert f"README.md of {MODEL}" in result.stderr


def test_a_card_with_the_line_ends_of_windows(hub: HubServer, push, run_copy: Path) -> None:
    push(to=JUST_MODEL)
    text = card(hub).replace(USE, f"{NOTE}\n{USE}").replace("\n", "\r\n")
    hub.write(MODEL, "README.md", text.encode())
    push(to=JUST_MODEL)
    assert "Two students, one winter." in card(hub)
    assert card(hub).count(USE) == 1


def test_an_empty_card_is_filled(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.write(MODEL, "README.md", b"")
    push(to=JUST_MODEL)
    assert SCORES in card(hub)
