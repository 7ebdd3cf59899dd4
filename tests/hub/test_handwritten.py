"""Keep the text that people write into a card, on the Hub or in the run, with each push."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hub_server import HubServer
from on_hub import BOTH, DATA, MODEL, changed_by_last, commits_of_ours, titles
from sentiment140_bert.cards.model import card as make_card

pytest_plugins = "hub_fixtures"

JUST_MODEL, SECOND = ("--repo-id", MODEL), ("--repo-id", "tester/second")
REPOS = {"model": MODEL, "dataset": DATA}
NOTE = "## Who made this\n\nTwo students, one winter.\n"
USE, SCORES = "<!-- begin s140: use -->", "<!-- begin s140: scores -->"
NOTED = f"{NOTE}\n{USE}"
BROKEN = b"---\ntags: [a, b\n---\n# Mine\n"


def card(hub: HubServer, repo_id: str = MODEL, kind: str = "model", revision: str = "main") -> str:
    return hub.files(repo_id, kind, revision)["README.md"].decode()


def local_card(run: Path) -> str:
    return (run / "model" / "README.md").read_text("utf-8")


def front_matter(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def edit_on_hub(hub: HubServer, old: str, new: str, kind: str = "model") -> None:
    """Edit the card on the website."""
    text = card(hub, REPOS[kind], kind)
    assert old in text
    hub.write(REPOS[kind], "README.md", text.replace(old, new, 1).encode(), kind)


def edit_here(run: Path, old: str, new: str) -> None:
    text = local_card(run)
    assert old in text
    (run / "model" / "README.md").write_text(text.replace(old, new, 1), "utf-8")


def change_processor(run: Path) -> None:
    """Change something else of the run, so that its card changes, too."""
    environment = json.loads((run / "environment.json").read_text("utf-8"))
    (run / "environment.json").write_text(json.dumps(environment | {"cpu": "Another Processor"}))


def test_text_from_the_hub_survives_where_it_was(hub: HubServer, push, pushed: Path) -> None:
    edit_on_hub(hub, USE, NOTED)
    push()
    assert titles(hub, MODEL)[0] == "Update README.md"  # it alone is no reason for a commit
    change_processor(pushed)
    push()
    text = card(hub)
    assert "Another Processor" in text
    assert text.index("end s140: summary") < text.index(NOTE) < text.index(USE)
    assert NOTE in local_card(pushed)


def test_text_from_here_is_published_with_its_changes(hub: HubServer, push, run_copy: Path) -> None:
    edit_here(run_copy, USE, NOTED)
    push()
    assert NOTE in card(hub)
    change_processor(run_copy)
    push()
    assert NOTE in card(hub)
    assert "Another Processor" in card(hub)
    edit_here(run_copy, "one winter", "two winters")
    push()
    assert "two winters" in card(hub)
    assert changed_by_last(hub, MODEL) == {"README.md"}


@pytest.mark.parametrize("is_on_hub", [True, False])
def test_text_that_was_removed_stays_removed(hub: HubServer, push, run_copy: Path, is_on_hub: bool) -> None:
    edit_here(run_copy, USE, NOTED)
    push()
    edit_on_hub(hub, NOTE, "") if is_on_hub else edit_here(run_copy, NOTE, "")
    push()
    assert NOTE not in card(hub)
    assert NOTE not in local_card(run_copy)


@pytest.mark.parametrize("is_written_again", [True, False])
def test_text_survives_that_the_card_was_deleted_here(
    hub: HubServer, push, run_copy: Path, is_written_again: bool
) -> None:
    edit_here(run_copy, USE, NOTED)
    push()
    (run_copy / "model" / "README.md").unlink()
    if is_written_again:
        make_card(run_copy)
        assert NOTE in local_card(run_copy)
    change_processor(run_copy)
    push()
    assert "Another Processor" in card(hub)
    assert NOTE in card(hub)
    assert NOTE in local_card(run_copy)


@pytest.mark.parametrize("way", ["merged", "another branch", "renamed"])
def test_text_that_was_removed_on_the_hub_stays_removed_whichever_way_it_went_there(
    hub: HubServer, push, run_copy: Path, way: str
) -> None:
    edit_here(run_copy, USE, NOTED)
    push({"merged": "--create-pr", "another branch": "--revision=dev"}.get(way, "--public"), to=JUST_MODEL)
    repo = hub.repos["model", MODEL]
    if way == "merged":
        proposal = hub.commits(MODEL, revision="refs/pr/1")[0]
        message = f"\n\n- {proposal.title} ({proposal.oid})\n"
        repo.add("refs/heads/main", replace(proposal, title=f"{proposal.title} (#1)", description=message))
        repo.discussions[0]["status"] = "merged"
    elif way == "another branch":
        repo.refs["refs/heads/main"] = repo.refs["refs/heads/dev"]
    to = JUST_MODEL
    if way == "renamed":
        hub.repos["model", SECOND[1]] = hub.repos.pop(("model", MODEL))
        to = SECOND
    text = card(hub, to[1])
    hub.write(to[1], "README.md", text.replace(NOTE, "").encode())
    push(to=to)
    assert NOTE not in card(hub, to[1])
    assert NOTE not in local_card(run_copy)


def test_the_same_text_on_both_sides_is_no_conflict(hub: HubServer, push, pushed: Path) -> None:
    edit_here(pushed, USE, NOTED)
    edit_on_hub(hub, USE, NOTED)
    push()
    assert card(hub).count(NOTE) == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_different_text_on_both_sides_is_refused_and_nothing_is_published(
    hub: HubServer, push, run_copy: Path, is_first: bool
) -> None:
    if is_first:
        hub.create(MODEL)
        hub.write(MODEL, "README.md", b"# A page of my own\n")
    else:
        push(to=JUST_MODEL)
        edit_on_hub(hub, USE, f"## On the Hub\n\n{USE}")
    edit_here(run_copy, USE, NOTED)
    before = card(hub), local_card(run_copy)
    assert "edited both" in push(to=BOTH, code=1).stderr
    assert (card(hub), local_card(run_copy)) == before
    assert commits_of_ours(hub)[0] == 0  # nor the dataset


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_text_and_front_matter_from_the_hub_survive(hub: HubServer, push, pushed: Path, kind: str) -> None:
    edit_on_hub(hub, USE, NOTED, kind)
    edit_on_hub(hub, "---\n", "---\nco2_eq_emissions: 12\nthumbnail: me.png\n", kind)
    edit_on_hub(hub, "tags:\n", "tags:\n- winter\n", kind)
    edit_on_hub(hub, "license: mit" if kind == "dataset" else "license: unknown", "license: cc-by-4.0", kind)
    change_processor(pushed)
    push("--public")
    text = card(hub, REPOS[kind], kind)
    front = front_matter(text)
    assert NOTE in text
    assert (front["co2_eq_emissions"], front["thumbnail"], front["license"]) == (12, "me.png", "cc-by-4.0")
    assert "winter" in front["tags"]


def test_front_matter_is_merged_key_by_key(hub: HubServer, push, pushed: Path) -> None:
    """Change, add and remove keys and tags on both sides, by turns and at once, next to text from one of them."""
    edit_here(pushed, "---\n", "---\nown: first\nother: 1\n")
    edit_here(pushed, "tags:\n", "tags:\n- mine\n- soon gone\n")
    push()
    edit_here(pushed, "own: first", "own: second")
    push()
    assert front_matter(card(hub))["own"] == "second"
    edit_on_hub(hub, "own: second", "own: third")
    edit_on_hub(hub, "- mine\n", "- mine\n- theirs\n")
    edit_here(pushed, "- soon gone\n", "- last\n")
    edit_here(pushed, "other: 1\n", "")
    edit_here(pushed, USE, NOTED)
    push()
    for text in (card(hub), local_card(pushed)):
        front = front_matter(text)
        assert (front["own"], front.get("other")) == ("third", None)
        assert {"mine", "theirs", "last"} < {*front["tags"]}
        assert "soon gone" not in front["tags"]
    edit_on_hub(hub, "own: third", "own: there")
    edit_here(pushed, "own: third", "own: here")
    assert f"on the Hub ({MODEL}): own." in push(code=1).stderr
    edit_here(pushed, "own: here", "own: there")
    push()


@pytest.mark.parametrize("is_here", [True, False])
def test_front_matter_survives_the_first_push(hub: HubServer, push, run_copy: Path, is_here: bool) -> None:
    """The Hub's form for a new model writes a license and tags; the text is on the other side."""
    hub.create(MODEL)
    front, text = "license: mit\ntags:\n- winter\n", "Two students, one winter.\n"
    if is_here:
        edit_here(run_copy, "license: unknown", "license: mit")
        edit_here(run_copy, "tags:\n", "tags:\n- winter\n")
    else:
        edit_here(run_copy, USE, f"{text}\n{USE}")
    hub.write(MODEL, "README.md", (text if is_here else f"---\n{front}---\n").encode())
    push()
    for pushed in (card(hub), local_card(run_copy)):
        assert (front_matter(pushed)["license"], "winter" in front_matter(pushed)["tags"]) == ("mit", True)
        assert text in pushed


@pytest.mark.parametrize("text", ["---\nlicense: mit\n---\n", "---\nlicense: mit\n---\n# By another tool\n"])
def test_a_note_survives_a_card_of_another_tool(hub: HubServer, push, run_copy: Path, text: str) -> None:
    """The repository was made again under its name, or another tool wrote there."""
    edit_here(run_copy, USE, NOTED)
    push(to=JUST_MODEL)
    hub.write(MODEL, "README.md", text.encode())
    if "another" in text:
        assert "edited both" in push(to=JUST_MODEL, code=1).stderr
        assert NOTE in local_card(run_copy)
    else:
        push(to=JUST_MODEL)
        for pushed in (card(hub), local_card(run_copy)):
            assert (NOTE in pushed, front_matter(pushed)["license"]) == (True, "mit")


def test_text_that_was_moved_stays_where_it_is(hub: HubServer, push, run_copy: Path) -> None:
    edit_here(run_copy, USE, NOTED)
    push()
    edit_here(run_copy, NOTED, USE)
    edit_here(run_copy, SCORES, f"{NOTE}\n{SCORES}")
    push()
    for text in (card(hub), local_card(run_copy)):
        assert text.index(USE) < text.index(NOTE) < text.index(SCORES)


def test_an_edit_during_the_push_is_kept_and_published_by_the_next(hub: HubServer, push, run_copy: Path) -> None:
    hub.fail("commit", meanwhile=lambda: edit_here(run_copy, USE, NOTED))
    assert "was edited meanwhile" in push(to=JUST_MODEL).stderr
    assert NOTE in local_card(run_copy)
    assert NOTE not in card(hub)
    push(to=JUST_MODEL)
    assert NOTE in card(hub)


def test_the_tools_own_text_and_front_matter_are_written_again(hub: HubServer, push, pushed: Path) -> None:
    edit_on_hub(hub, "## Limits\n", "## Limits, improved by me\n")
    edit_on_hub(hub, "pipeline_tag: text-classification", "pipeline_tag: text-generation")
    push()
    assert "improved by me" not in card(hub)
    assert front_matter(card(hub))["pipeline_tag"] == "text-classification"


def test_text_from_here_is_not_lost_to_a_page_that_never_had_it(hub: HubServer, push, run_copy: Path) -> None:
    for to in (JUST_MODEL, SECOND):
        push(to=to)
    edit_here(run_copy, USE, NOTED)
    push("--create-pr", to=JUST_MODEL)
    assert NOTE in card(hub, revision="refs/pr/1")
    for to in (JUST_MODEL, SECOND):
        push(to=to)
        assert NOTE in card(hub, to[1])
        assert NOTE in local_card(run_copy)


def test_a_copy_of_the_run_continues_from_the_hub(hub: HubServer, push, run_copy: Path, small_run: Path) -> None:
    push(to=JUST_MODEL)
    edit_on_hub(hub, USE, NOTED)
    other = shutil.copytree(small_run, "other")
    push(run=other, to=JUST_MODEL)
    assert NOTE in card(hub)


def test_a_card_written_by_hand_as_a_whole_stays_below(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.write(MODEL, "README.md", b"---\nlicense: mit\n---\n# My model\n\nI am proud of it.\n")
    for _ in range(2):
        push()
    assert "I am proud of it." in card(hub)
    assert SCORES in card(hub)
    assert front_matter(card(hub))["license"] == "mit"
    assert commits_of_ours(hub)[1] == 2  # its first, and ours


def test_a_card_with_the_line_ends_of_windows_and_an_empty_one(hub: HubServer, push, run_copy: Path) -> None:
    hub.create(MODEL)
    hub.write(MODEL, "README.md", b"")
    push(to=JUST_MODEL)
    assert SCORES in card(hub)
    text = card(hub).replace(USE, NOTED).replace("\n", "\r\n")
    hub.write(MODEL, "README.md", text.encode())
    push(to=JUST_MODEL)
    assert "Two students, one winter." in card(hub)
    assert card(hub).count(USE) == 1


@pytest.mark.parametrize(
    ("kind", "content"), [("model", BROKEN), ("dataset", BROKEN), ("model", "# Café".encode("latin-1"))]
)
def test_a_damaged_card_on_the_hub_is_named_and_stays(hub: HubServer, push, kind: str, content: bytes) -> None:
    for repo_kind, repo_id in REPOS.items():
        hub.create(repo_id, repo_kind)
    hub.write(REPOS[kind], "README.md", content, kind)
    result = push(code=1)
    assert "Traceback" not in result.stderr
    assert REPOS[kind] in result.stderr
    assert hub.files(REPOS[kind], kind)["README.md"] == content
    assert "s140 push-to-hub: model" not in titles(hub, MODEL)
    assert "s140 push-to-hub: dataset" not in titles(hub, DATA, "dataset")


@pytest.mark.parametrize("is_pushed", [False, True])
def test_a_damaged_card_here_is_named(hub: HubServer, push, run_copy: Path, is_pushed: bool) -> None:
    if is_pushed:
        push(to=JUST_MODEL)
    (run_copy / "model" / "README.md").write_bytes(BROKEN)
    assert str(run_copy / "model" / "README.md") in push(to=BOTH, code=1).stderr
    assert ("dataset", DATA) not in hub.repos or titles(hub, DATA, "dataset") == ["initial commit"]


@pytest.mark.parametrize("written", ["tags: mine", "tags:\n- 2024\n- true\n- mine"])
def test_tags_of_any_kind_that_people_write_stay(hub: HubServer, push, pushed: Path, written: str) -> None:
    text = card(hub)
    listed = re.search(r"^tags:\n(- .*\n)+", text, re.MULTILINE)
    assert listed
    hub.write(MODEL, "README.md", text.replace(listed[0], f"{written}\n").encode())
    push(to=JUST_MODEL)
    tags = front_matter(card(hub))["tags"]
    assert "mine" in tags
    assert ("2024" in tags) == ("true" in tags) == ("2024" in written)


def test_a_card_that_is_edited_during_a_push_loses_nothing_of_the_hub(hub: HubServer, push, pushed: Path) -> None:
    edit_on_hub(hub, USE, NOTED)
    change_processor(pushed)
    hub.fail("commit", meanwhile=lambda: edit_here(pushed, SCORES, f"## Mine\n\n{SCORES}"))
    assert "was edited meanwhile" in push(to=JUST_MODEL).stderr
    assert NOTE in card(hub)
    refused = push(to=JUST_MODEL, code=1)  # the next push does not choose between the two texts
    assert "The card was edited both in" in refused.stderr
    assert NOTE in card(hub)
    assert "## Mine" in local_card(pushed)


def test_what_was_removed_on_the_hub_stays_removed_after_a_push_elsewhere(hub: HubServer, push, pushed: Path) -> None:
    edit_here(pushed, USE, NOTED)
    for to in (JUST_MODEL, SECOND):
        push(to=to)
    edit_on_hub(hub, NOTE, "")
    push("--create-pr", "--citation", "@misc{x}", to=SECOND)
    push(to=JUST_MODEL)
    assert NOTE not in card(hub)
    assert NOTE not in local_card(pushed)
