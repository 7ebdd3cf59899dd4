"""``s140 card``: offline, from the run's own files, with people's edits, and without anything of this machine."""

from __future__ import annotations

import json
import platform
import re
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from on_hub import hashes
from page_fixtures import FOLDER, Published, copy_of
from sentiment140_bert.cards.merge import parse_card
from sentiment140_bert.cli import main

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    """Return a copy with the name of the run, which its card contains."""
    return copy_of(small_run, tmp_path / "folder" / small_run.name)


@pytest.fixture
def card(run: Path) -> Path:
    return run / "model" / "README.md"


def run_into_error(*arguments: object) -> Result:
    """Run a command that fails without a traceback, and return the result."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) <= 4
    return result


def test_the_card_and_its_companions_are_written_again(run: Path, card: Path, s140, monkeypatch) -> None:
    """Write the same card from any working directory."""
    names = (
        *("metrics.json", "data.json", "environment.json", "recipe.yaml", "figures/confusion_matrix.png"),
        "README.md",
    )
    before = {name: (run / "model" / name).read_bytes() for name in names}
    for name in names:
        (run / "model" / name).unlink()
    assert s140("card", run).stdout == f"{card}\n"
    assert {name: (run / "model" / name).read_bytes() for name in names} == before
    assert json.loads(s140("card", run, "--json").stdout) == {"card": str(card)}
    monkeypatch.chdir(run.parent)
    for place in (run.name, f"../{run.parent.name}/{run.name}"):
        s140("card", place)
        assert card.read_bytes() == before["README.md"]


def test_a_card_for_an_id_on_the_hub(run: Path, card: Path, s140) -> None:
    s140("card", run, "--repo-id", "somebody/some_model")
    text = card.read_text("utf-8")
    assert 'model="somebody/some_model"' in text
    assert parse_card(text).metadata["model-index"][0]["name"] == "some_model"
    for name in ("no owner", "a/b/c", "../x/y", "a/b; rm -rf .", ""):
        run_into_error("card", run, "--repo-id", name)
        assert card.read_text("utf-8") == text, name


def test_the_snippet_names_the_folder_of_runs_and_no_other(run: Path, tmp_path: Path, s140) -> None:
    """So it works where training was run, which writes to runs/NAME by default."""
    for parent, shown in (("runs", "runs/mine/model"), ("thesis of a friend", "mine/model")):
        copy = copy_of(run, tmp_path / parent / "mine")
        s140("card", copy)
        assert f'model="{shown}"' in (copy / "model" / "README.md").read_text("utf-8")


def test_after_a_push_the_card_is_the_published_one(published: Published, tmp_path: Path, s140) -> None:
    """Check this without any request to the network."""
    run = copy_of(published.run, tmp_path / "run")
    s140("card", run)
    assert published.hub.requests == []
    assert (run / "model" / "README.md").read_text("utf-8") == published.text("README.md")


EDITS = {
    "<!-- end s140: use -->\n": "<!-- end s140: use -->\n\n## AFTER USE\n\nWith 3 lines.\n",
    "<!-- begin s140: summary -->": "BEFORE ALL\n\n<!-- begin s140: summary -->",
    "license: unknown": "license: mit\nthumbnail: mine.png\nco2_eq_emissions: 0.5",
    "tags:\n": "tags:\n- mine\n",
}


def edit_card(card: Path) -> None:
    text = card.read_text("utf-8") + "\nAT THE END\n"
    title = next(line for line in text.splitlines(keepends=True) if line.startswith("# "))
    for before, after in {title: f"{title}\nREPLACED 0.123\n", **EDITS}.items():
        assert before in text
        text = text.replace(before, after, 1)
    card.write_text(text, "utf-8")


@pytest.mark.parametrize("verb", ["card", "evaluate"])
def test_what_people_wrote_is_kept_and_the_rest_replaced(run: Path, card: Path, s140, verb: str) -> None:
    rendered = parse_card(card.read_text("utf-8"))
    edit_card(card)
    for _ in range(2):
        s140(verb, run)
    text = card.read_text("utf-8")
    merged = parse_card(text)
    assert merged.sections == rendered.sections
    assert re.findall(r"AFTER USE|BEFORE ALL|AT THE END|REPLACED|With 3 lines", text) == [
        *("BEFORE ALL", "AFTER USE", "With 3 lines", "AT THE END")
    ]
    assert merged.metadata["license"] == "mit"
    assert (merged.metadata["thumbnail"], merged.metadata["co2_eq_emissions"]) == ("mine.png", 0.5)
    assert {"mine", "sentiment-analysis"} <= {*merged.metadata["tags"]}
    assert {key: merged.metadata[key] for key in ("model-index", "widget")} == {
        key: rendered.metadata[key] for key in ("model-index", "widget")
    }


def test_edits_are_kept_with_any_line_ends_and_byte_order_mark(run: Path, card: Path, s140) -> None:
    edit_card(card)
    text = card.read_text("utf-8")
    for newline, encoding in (("\r\n", "utf-8"), ("\r\n", "utf-8-sig")):
        card.write_bytes(text.replace("\n", newline).encode(encoding))
        s140("card", run)
        merged = parse_card(card.read_text("utf-8"))
        assert merged.metadata["license"] == "mit", (newline, encoding)
        assert merged.handwritten.splitlines()[0] == "BEFORE ALL", (newline, encoding)
        assert merged.handwritten.splitlines()[-1] == "AT THE END", (newline, encoding)


def test_added_pictures_stay(run: Path, card: Path, s140) -> None:
    picture = run / "model" / "figures" / "mine.png"
    shutil.copy(run / "figures" / "calibration.png", picture)
    card.write_text(card.read_text("utf-8") + "\n![Mine](figures/mine.png)\n", "utf-8")
    s140("card", run)
    assert picture.is_file()


def test_runs_without_a_card(run: Path, card: Path, tmp_path: Path) -> None:
    """Try folders without a run, and a run with other weights than the scored ones, without scores, without a model."""
    (tmp_path / "file.txt").write_text("x")
    for place in ("nowhere", ".", "file.txt"):
        assert "no run" in run_into_error("card", place).stderr
    before = card.read_bytes()
    with (run / "model" / "model.safetensors").open("ab") as file:
        file.write(b" ")
    assert "s140 evaluate" in run_into_error("card", run).stderr
    assert card.read_bytes() == before
    (run / "metrics.json").unlink()
    assert "not finished" in run_into_error("card", run).stderr
    shutil.rmtree(run / "model")
    assert "--resume" in run_into_error("card", run).stderr


DAMAGED = {
    "recipe.yaml": [b"a: [", b"[]", b"model: 1\n", b"\xff", b"model: {model_name_or_path: [1]}"],
    "history.jsonl": [b'{"loss": 1, "st\n', b"\xff\n", b"{}\n", b"[" * 20_000 + b"\n"],
    "model/README.md": [b"\xff\xfe", b"---\n[\n---\n", b"---\n- a\n---\n"],
}


def test_a_damaged_file_is_named(run: Path) -> None:
    for name, contents in DAMAGED.items():
        whole = (run / name).read_bytes() if (run / name).is_file() else None
        for content in contents:
            (run / name).write_bytes(content)
            before = hashes(run / "model")
            assert Path(name).name in run_into_error("card", run).stderr, content
            assert hashes(run / "model") == before, content  # nor are the pictures gone
        if whole is None:
            (run / name).unlink()
        else:
            (run / name).write_bytes(whole)
    (run / "data.json").unlink()
    assert "data.json" in run_into_error("card", run).stderr


def read_published(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run / "model")): path.read_bytes() for path in (run / "model").rglob("*") if path.is_file()
    }


def test_no_folder_and_no_name_of_this_machine_is_published(local_run: Path, private_folder: Path) -> None:
    recipe = (local_run / "recipe.yaml").read_text("utf-8")
    assert FOLDER in recipe  # the run itself must know
    files = read_published(local_run)
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


def test_no_folder_is_published_from_any_working_directory(
    local_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s140
) -> None:
    run = copy_of(local_run, tmp_path / FOLDER / "runs" / "local")
    before = read_published(local_run)
    for place, name in ((run.parent, "local"), (run.parents[1], "runs/local"), (tmp_path, run), (run, ".")):
        monkeypatch.chdir(place)
        s140("card", name)
        for file, content in read_published(run).items():
            assert FOLDER.encode() not in content, file
    assert read_published(run).keys() == before.keys()
