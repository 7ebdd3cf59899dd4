"""``s140 card``: offline, out of the run's own files, with people's edits, and without anything of this machine."""

from __future__ import annotations

import json
import platform
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from hub_server import TOKEN, HubServer
from on_hub import hashes
from page_fixtures import FOLDER, Published, copy_of, edit
from sentiment140_bert.cards.merge import parse_card
from sentiment140_bert.cli import main

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")


@pytest.fixture
def mine(small_run: Path, tmp_path: Path) -> Path:
    """A copy that is called as the run is, whose card names it."""
    return copy_of(small_run, tmp_path / "runs" / small_run.name)


@pytest.fixture
def card(mine: Path) -> Path:
    return mine / "model" / "README.md"


def refused(*arguments: object) -> Result:
    """The command line's answer: one sentence of what is wrong, perhaps one on what to do, and no traceback."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) <= 4
    return result


def test_it_is_written_where_it_is_published_from(mine: Path, card: Path, s140) -> None:
    before = card.read_text("utf-8")
    card.unlink()
    assert s140("card", mine).stdout == f"{card}\n"
    assert card.read_text("utf-8") == before
    assert json.loads(s140("card", mine, "--json").stdout) == {"card": str(card)}
    assert card.read_text("utf-8") == before


def test_the_id_on_the_hub_is_named(mine: Path, card: Path, s140) -> None:
    s140("card", mine, "--repo-id", "somebody/some_model")
    text = card.read_text("utf-8")
    assert "model='somebody/some_model'" in text
    assert parse_card(text).metadata["model-index"][0]["name"] == "some_model"


def test_an_id_that_cannot_be_is_refused(mine: Path, card: Path) -> None:
    """As ``push-to-hub`` refuses it."""
    before = card.read_bytes()
    for name in ("no owner", "a/b/c", "../x/y", "a/b; rm -rf .", ""):
        refused("card", mine, "--repo-id", name)
        assert card.read_bytes() == before, name


def test_after_a_push_the_card_is_the_published_one(published: Published, tmp_path: Path, s140) -> None:
    """And nothing is asked of the network."""
    run = copy_of(published.run, tmp_path / "run")
    s140("card", run)
    assert published.hub.requests == []
    assert (run / "model" / "README.md").read_text("utf-8") == published.text("README.md")


def test_the_companions_are_made_anew(mine: Path, s140) -> None:
    names = ("metrics.json", "data.json", "environment.json", "recipe.yaml", "figures/confusion_matrix.png")
    before = {name: (mine / "model" / name).read_bytes() for name in names}
    for name in names:
        (mine / "model" / name).unlink()
    s140("card", mine)
    assert {name: (mine / "model" / name).read_bytes() for name in names} == before


# ---- people's edits

EDITS = {
    "<!-- end s140: use -->\n": "<!-- end s140: use -->\n\n## AFTER USE\n\nWith 3 lines.\n",
    "<!-- begin s140: summary -->": "BEFORE ALL\n\n<!-- begin s140: summary -->",
    "license: unknown": "license: mit\nthumbnail: mine.png\nco2_eq_emissions: 0.5",
    "tags:\n": "tags:\n- mine\n",
}


def edited(card: Path) -> None:
    text = card.read_text("utf-8") + "\nAT THE END\n"
    title = next(line for line in text.splitlines(keepends=True) if line.startswith("# "))
    for before, after in {title: f"{title}\nREPLACED 0.123\n", **EDITS}.items():
        assert before in text
        text = text.replace(before, after, 1)
    card.write_text(text, "utf-8")


@pytest.mark.parametrize("verb", ["card", "evaluate"])
def test_what_people_wrote_is_kept_and_the_rest_replaced(mine: Path, card: Path, s140, verb: str) -> None:
    ours = parse_card(card.read_text("utf-8"))
    edited(card)
    for _ in range(2):
        s140(verb, mine)
    text = card.read_text("utf-8")
    found = parse_card(text)
    assert found.sections == ours.sections
    assert re.findall(r"AFTER USE|BEFORE ALL|AT THE END|REPLACED|With 3 lines", text) == [
        *("BEFORE ALL", "AFTER USE", "With 3 lines", "AT THE END")
    ]
    assert found.metadata["license"] == "mit"
    assert (found.metadata["thumbnail"], found.metadata["co2_eq_emissions"]) == ("mine.png", 0.5)
    assert {"mine", "sentiment-analysis"} <= {*found.metadata["tags"]}
    assert {key: found.metadata[key] for key in ("model-index", "widget")} == {
        key: ours.metadata[key] for key in ("model-index", "widget")
    }


def test_so_it_is_where_an_editor_saves_in_its_own_way(mine: Path, card: Path, s140) -> None:
    edited(card)
    text = card.read_text("utf-8")
    for newline, encoding in (("\r\n", "utf-8"), ("\r\n", "utf-8-sig")):
        card.write_bytes(text.replace("\n", newline).encode(encoding))
        s140("card", mine)
        found = parse_card(card.read_text("utf-8"))
        assert found.metadata["license"] == "mit", (newline, encoding)
        assert found.handwritten.splitlines()[0] == "BEFORE ALL", (newline, encoding)
        assert found.handwritten.splitlines()[-1] == "AT THE END", (newline, encoding)


def test_a_picture_of_ones_own_stays(mine: Path, card: Path, s140) -> None:
    picture = mine / "model" / "figures" / "mine.png"
    shutil.copy(mine / "figures" / "calibration.png", picture)
    card.write_text(card.read_text("utf-8") + "\n![Mine](figures/mine.png)\n", "utf-8")
    s140("card", mine)
    assert picture.is_file()


# ---- what is wrong


def test_a_run_that_is_not_finished(mine: Path) -> None:
    (mine / "metrics.json").unlink()
    assert "not finished" in refused("card", mine).stderr
    shutil.rmtree(mine / "model")
    assert "--resume" in refused("card", mine).stderr


def test_other_weights_than_those_that_were_scored(mine: Path, card: Path) -> None:
    before = card.read_bytes()
    with (mine / "model" / "model.safetensors").open("ab") as file:
        file.write(b" ")
    assert "s140 evaluate" in refused("card", mine).stderr
    assert card.read_bytes() == before


def test_what_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    for place in ("nowhere", ".", "file.txt"):
        assert "no run" in refused("card", place).stderr


def without(*keys: str) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


OLDER = {
    "before examples": ("metrics.json", without("examples")),
    "before calibration": ("metrics.json", without("splits", "test", "calibration")),
    "before the level": ("metrics.json", without("confidence_level")),
    "no scores": ("metrics.json", without("splits")),
    "before base_model": ("environment.json", without("base_model")),
    "before packages": ("environment.json", without("packages")),
    "never trained": ("environment.json", without("training")),
    "before settings": ("data.json", without("settings")),
    "before on_hub": ("data.json", without("sources", "training", "on_hub")),
    "before token lengths": ("data.json", without("splits", "train", "token_length")),
    "a list": ("data.json", lambda _: []),
    "null": ("environment.json", lambda _: 0),
    "text for a number": ("metrics.json", lambda content: content["splits"]["test"]["accuracy"].update(value="0.8")),
}


def test_an_older_or_a_damaged_run_is_refused_in_a_sentence(mine: Path) -> None:
    before = hashes(mine / "model")
    for case, (name, change) in OLDER.items():
        whole = (mine / name).read_bytes()
        edit(mine / name, change)
        assert "front matter" not in refused("card", mine).stderr, case  # it is not the card that is damaged
        assert hashes(mine / "model") == before, case
        (mine / name).write_bytes(whole)


DAMAGED = {
    "recipe.yaml": [b"a: [", b"[]", b"model: 1\n", b"\xff", b"model: {model_name_or_path: [1]}"],
    "metrics.json": [b"{", b"\xff", b""],
    "data.json": [b"{", b"\xff"],
    "environment.json": [b"{", b"[1"],
    "history.jsonl": [b'{"loss": 1, "st\n', b"\xff\n", b"{}\n", b"[" * 20_000 + b"\n"],
    "published.json": [b"{", b"[]"],
    "tracking.json": [b"{", b"[]"],
    "model/README.md": [b"\xff\xfe", b"---\n[\n---\n", b"---\n- a\n---\n"],
}


def test_a_damaged_file_is_named(mine: Path) -> None:
    for name, contents in DAMAGED.items():
        whole = (mine / name).read_bytes() if (mine / name).is_file() else None
        for content in contents:
            (mine / name).write_bytes(content)
            before = hashes(mine / "model")
            assert Path(name).name in refused("card", mine).stderr, content
            assert hashes(mine / "model") == before, content  # nor are the pictures gone
        if whole is None:
            (mine / name).unlink()
        else:
            (mine / name).write_bytes(whole)
    (mine / "data.json").unlink()
    assert "data.json" in refused("card", mine).stderr


def test_a_last_line_that_was_cut_off_is_none(mine: Path, s140) -> None:
    """As a process leaves it that is killed while it writes."""
    with (mine / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"loss": 1, "st')
    s140("card", mine)


# ---- nothing of this machine


def published_files(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run / "model")): path.read_bytes() for path in (run / "model").rglob("*") if path.is_file()
    }


def test_no_folder_and_no_name_of_this_machine_is_published(local_run: Path, private_folder: Path) -> None:
    recipe = (local_run / "recipe.yaml").read_text("utf-8")
    assert FOLDER in recipe  # the run itself must know
    files = published_files(local_run)
    assert len(files) > 10
    for name, content in files.items():
        assert FOLDER.encode() not in content, name
        assert str(private_folder.parent).encode() not in content, name
        if name.endswith((".json", ".yaml", ".md")) and name != "tokenizer.json":
            assert str(Path.home()) not in content.decode(), name
            assert len(platform.node()) < 4 or platform.node() not in content.decode(), name
    public = yaml.safe_load(files["recipe.yaml"])
    assert public["model"]["model_name_or_path"] == "my_encoder"
    assert (public["data"]["dataset"], public["data"]["manual_test"]) == ("tweets.csv", "hand.csv")
    assert "--output-dir local" in files["README.md"].decode()


def test_nor_after_the_card_is_made_from_another_folder(
    local_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s140
) -> None:
    run = copy_of(local_run, tmp_path / FOLDER / "runs" / "local")
    before = published_files(local_run)
    for place, name in ((run.parent, "local"), (run.parents[1], "runs/local"), (tmp_path, run), (run, ".")):
        monkeypatch.chdir(place)
        s140("card", name)
        for file, content in published_files(run).items():
            assert FOLDER.encode() not in content, file
    assert published_files(run).keys() == before.keys()


def test_the_card_is_the_same_from_wherever_it_is_made(mine: Path, card: Path, s140, monkeypatch) -> None:
    monkeypatch.chdir(mine.parent)
    texts = []
    for name in (mine, mine.name, f"../{mine.parent.name}/{mine.name}"):
        s140("card", name)
        texts.append(card.read_text("utf-8"))
    assert len({*texts}) == 1


def test_no_token_of_the_environment(hub: HubServer, mine: Path, s140, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef0123456789abcdef01234567")
    s140("card", mine)
    for name, content in published_files(mine).items():
        assert TOKEN.encode() not in content, name
        assert b"0123456789abcdef0123456789abcdef01234567" not in content, name
