"""Damage the cache: damaged parts are made again with a warning, and nobody gets a traceback or other tweets."""

from __future__ import annotations

import json
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sentiment140_bert.data import cache as caching
from sentiment140_bert.data import loading
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import Recipe, load_recipe

ARROW = "train/data-00000-of-00001.arrow"
Damage = Callable[[Path], Any]


def make_recipe(**values: Any) -> Recipe:
    small = {"validation_size": 20, "test_size": 20, "max_samples": 200, "dataset": "sample", "manual_test": None}
    return load_recipe("quickstart").with_values(small | {"model_name_or_path": "bundled:minilm"} | values)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A cache, and the report of `s140 prepare` with it."""
    folder = tmp_path_factory.mktemp("intact")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S140_CACHE", str(folder))
        loading.prepare(make_recipe())
        yield folder, loading.prepare(make_recipe())


@pytest.fixture
def copy(intact: tuple[Path, dict[str, Any]], cache: Path) -> Path:
    """A copy of that cache, to damage."""
    return Path(shutil.copytree(intact[0], cache, dirs_exist_ok=True))


def find_only(cache: Path, kind: str) -> Path:
    [folder] = (cache / kind).iterdir()
    return folder


def write_bytes(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def edit_report(edit: Callable[[dict[str, Any]], Any]) -> Damage:
    def edit_file(folder: Path) -> None:
        report = json.loads((folder / "data.json").read_text())
        edit(report)
        (folder / "data.json").write_text(json.dumps(report))

    return edit_file


def truncate_arrow(folder: Path) -> None:
    content = (folder / ARROW).read_bytes()
    (folder / ARROW).write_bytes(content[: len(content) // 2])


def exchange_split(folder: Path) -> None:
    shutil.rmtree(folder / "train")
    shutil.copytree(folder / "test", folder / "train")


DAMAGES: dict[str, Damage] = {
    "no data.json": lambda folder: (folder / "data.json").unlink(),
    "empty data.json": write_bytes("data.json", b""),
    "data.json {}": write_bytes("data.json", b"{}"),
    "data.json a list": write_bytes("data.json", b"[]"),
    "data.json too deep": write_bytes("data.json", b"[" * 100_000),
    "data.json a folder": lambda folder: ((folder / "data.json").unlink(), (folder / "data.json").mkdir()),
    "empty dataset_dict.json": write_bytes("dataset_dict.json", b""),
    "no splits": write_bytes("dataset_dict.json", b'{"splits": []}'),
    "a split less": write_bytes("dataset_dict.json", b'{"splits": ["train"]}'),
    "arrow replaced": write_bytes(ARROW, b"xx"),
    "arrow empty": write_bytes(ARROW, b""),
    "arrow truncated": truncate_arrow,
    "no arrow": lambda folder: (folder / ARROW).unlink(),
    "another split": exchange_split,
    "state.json {}": write_bytes("train/state.json", b"{}"),
    "no split": lambda folder: shutil.rmtree(folder / "train"),
    "an empty folder": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "data.json a pipe": lambda folder: ((folder / "data.json").unlink(), os.mkfifo(folder / "data.json")),
    "data.json a link": lambda folder: (
        (folder / "data.json").unlink(),
        (folder / "data.json").symlink_to("/dev/zero"),
    ),
    "arrow a link": lambda folder: ((folder / ARROW).unlink(), (folder / ARROW).symlink_to("/dev/zero")),
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
}
PREPARED_DAMAGES: dict[str, Damage] = {
    "no sources": edit_report(lambda report: report.pop("sources")),
    "no train in the report": edit_report(lambda report: report["splits"].pop("train")),
    "train without rows": edit_report(lambda report: report["splits"]["train"].pop("rows")),
    "a row less": edit_report(lambda report: report["splits"]["train"].update(rows=159)),
    "a row more": edit_report(lambda report: report["splits"]["train"].update(rows=161)),
}
TOKENIZED_DAMAGES: dict[str, Damage] = {
    "train without total": edit_report(lambda report: report["train"].pop("total")),
    "a token less": edit_report(lambda report: report["train"].update(total=report["train"]["total"] - 1)),
    "a token more": edit_report(lambda report: report["train"].update(total=report["train"]["total"] + 1)),
}


@pytest.mark.parametrize("kind", ["prepared", "tokenized"])
def test_a_damaged_folder_is_removed_with_a_warning(
    intact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    missed = []
    for name, damage in (DAMAGES | (PREPARED_DAMAGES if kind == "prepared" else TOKENIZED_DAMAGES)).items():
        cache = Path(shutil.copytree(intact[0], tmp_path / name))
        monkeypatch.setenv("S140_CACHE", str(cache))
        folder = find_only(cache, kind)
        assert caching.load_cached(kind, folder.name) is not None
        damage(folder)
        caplog.clear()
        loaded = caching.load_cached(kind, folder.name)
        levels = [record.levelname for record in caplog.records if "was damaged" in record.getMessage()]
        if (loaded, levels, list((cache / kind).iterdir())) != (None, ["WARNING"], []):
            missed.append(name)
        shutil.rmtree(cache)
    assert not missed


@pytest.mark.parametrize(("kind", "damage"), [("prepared", "no data.json"), ("tokenized", "arrow truncated")])
def test_it_is_made_again(intact, copy: Path, caplog: pytest.LogCaptureFixture, kind: str, damage: str) -> None:
    untouched = loading.prepare(make_recipe())
    assert untouched == intact[1] | {"folder": untouched["folder"]}
    assert "damaged" not in caplog.text
    DAMAGES[damage](find_only(copy, kind))
    report = loading.prepare(make_recipe())
    assert caplog.text.count("was damaged") == 1
    assert report["cached"] == {"splits": kind == "tokenized", "tokens": kind == "prepared"}
    again = loading.prepare(make_recipe())
    assert again == intact[1] | {"folder": again["folder"]}
    assert [folder.name for folder in (copy / kind).iterdir()] == [find_only(copy, kind).name]


def test_a_damaged_subset_is_made_again(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = loading.prepare(make_recipe(max_train_samples=100))
    for kind in ("prepared", "tokenized"):
        for folder in (copy / kind).iterdir():
            truncate_arrow(folder)
    after = loading.prepare(make_recipe(max_train_samples=100))
    assert after == before | {"cached": {"splits": False, "tokens": False}, "folder": after["folder"]}
    assert caplog.text.count("was damaged") == 4


@pytest.mark.parametrize("kind", ["prepared", "tokenized"])
def test_damaged_data_are_not_found_for_a_run(intact, tmp_path: Path, monkeypatch, kind: str) -> None:
    for damage in ("no data.json", "data.json {}", "arrow truncated", "a split less"):
        cache = Path(shutil.copytree(intact[0], tmp_path / damage))
        monkeypatch.setenv("S140_CACHE", str(cache))
        assert caching.find_cached(intact[1]) is not None
        DAMAGES[damage](find_only(cache, kind))
        assert caching.find_cached(intact[1]) is None, damage
    loading.prepare(make_recipe())
    assert caching.find_cached(intact[1]) is not None


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A damaged folder of a cache that may only be read; root becomes another user meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        home, folder = Path(name), Path(name) / "prepared" / "key"
        folder.mkdir(parents=True)
        (folder / "data.json").write_text("")
        for path in (home, folder.parent, folder):
            path.chmod(0o555)
        monkeypatch.setenv("S140_CACHE", name)
        user = os.geteuid()
        os.seteuid(user or 65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            for path in (home, folder.parent, folder):
                path.chmod(0o755)


def test_a_damaged_folder_that_cannot_be_removed_is_an_error(read_only: Path) -> None:
    if not read_only.exists():
        pytest.skip("the folder of temporary files is for one user alone")
    with pytest.raises(DataError, match="cannot be removed: Permission denied"):
        caching.load_cached("prepared", read_only.name)


def test_a_folder_that_cannot_be_opened_at_the_moment_stays(copy: Path) -> None:
    key = find_only(copy, "prepared").name
    assert caching.load_cached("prepared", key)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        with pytest.raises(DataError, match=r"cannot be read: .*Too many open files"):
            caching.load_cached("prepared", key)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert caching.load_cached("prepared", key)


def test_neutral_tweets_may_be_in_the_report_and_not_stored(copy: Path) -> None:
    """A published dataset of which a subset is drawn has such a report."""
    folder = find_only(copy, "prepared")
    edit_report(lambda report: report["splits"].update(neutral=report["splits"]["test"]))(folder)
    assert caching.load_cached("prepared", folder.name)
