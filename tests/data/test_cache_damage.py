"""What somebody broke in the cache is made anew, and told; nobody gets a traceback, or other tweets than without it."""

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


def recipe(**values: Any) -> Recipe:
    few = {"validation_size": 20, "test_size": 20, "max_samples": 200, "dataset": "sample", "manual_test": None}
    return load_recipe("quickstart").with_values(few | {"model_name_or_path": "bundled:minilm"} | values)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A cache, and what `s140 prepare` says with it."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S140_CACHE", str(folder))
        loading.prepare(recipe())
        yield folder, loading.prepare(recipe())


@pytest.fixture
def place(whole: tuple[Path, dict[str, Any]], cache: Path) -> Path:
    """A cache of one's own, with that in it."""
    return Path(shutil.copytree(whole[0], cache, dirs_exist_ok=True))


def only(place: Path, kind: str) -> Path:
    [folder] = (place / kind).iterdir()
    return folder


def written(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def cut_short(folder: Path) -> None:
    content = (folder / ARROW).read_bytes()
    (folder / ARROW).write_bytes(content[: len(content) // 2])


def without(*keys: str) -> Damage:
    """Takes something out of data.json."""

    def take(folder: Path) -> None:
        whole = report = json.loads((folder / "data.json").read_text())
        for key in keys[:-1]:
            report = report[key]
        del report[keys[-1]]
        (folder / "data.json").write_text(json.dumps(whole))

    return take


def changed_by(difference: int, *keys: str) -> Damage:
    """Changes a number in data.json."""

    def change(folder: Path) -> None:
        whole = report = json.loads((folder / "data.json").read_text())
        for key in keys[:-1]:
            report = report[key]
        report[keys[-1]] += difference
        (folder / "data.json").write_text(json.dumps(whole))

    return change


def another_split(folder: Path) -> None:
    shutil.rmtree(folder / "train")
    shutil.copytree(folder / "test", folder / "train")


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


BOTH: dict[str, Damage] = {
    "no data.json": lambda folder: (folder / "data.json").unlink(),
    "empty data.json": written("data.json", b""),
    "data.json {}": written("data.json", b"{}"),
    "data.json a list": written("data.json", b"[]"),
    "data.json too deep": written("data.json", b"[" * 100_000),
    "data.json a folder": lambda folder: ((folder / "data.json").unlink(), (folder / "data.json").mkdir()),
    "empty dataset_dict.json": written("dataset_dict.json", b""),
    "no splits": written("dataset_dict.json", b'{"splits": []}'),
    "a split less": written("dataset_dict.json", b'{"splits": ["train"]}'),
    "arrow replaced": written(ARROW, b"xx"),
    "arrow empty": written(ARROW, b""),
    "arrow cut short": cut_short,
    "no arrow": lambda folder: (folder / ARROW).unlink(),
    "another split": another_split,
    "state.json {}": written("train/state.json", b"{}"),
    "no split": lambda folder: shutil.rmtree(folder / "train"),
    "nothing": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "a file": a_file,
}
CASES = [(kind, name, damage) for kind in ("prepared", "tokenized") for name, damage in BOTH.items()]
CASES += [("prepared", f"without {' '.join(keys)}", without(*keys)) for keys in (("sources",), ("splits", "train"))]
CASES += [("prepared", "train without rows", without("splits", "train", "rows"))]
CASES += [("prepared", f"{by:+} rows in data.json", changed_by(by, "splits", "train", "rows")) for by in (-1, 1)]
CASES += [("tokenized", f"{by:+} tokens in data.json", changed_by(by, "train", "total")) for by in (-1, 1)]
CASES += [("tokenized", "train without total", without("train", "total"))]


def test_it_is_removed_and_that_is_said(
    whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    missed = []
    for number, (kind, name, damage) in enumerate(CASES):
        place = shutil.copytree(whole[0], tmp_path / str(number))
        monkeypatch.setenv("S140_CACHE", str(place))
        folder = only(place, kind)
        assert caching.load_cached(kind, folder.name) is not None
        damage(folder)
        caplog.clear()
        found = caching.load_cached(kind, folder.name)
        levels = [record.levelname for record in caplog.records if "was damaged" in record.getMessage()]
        if (found, levels, list((place / kind).iterdir())) != (None, ["WARNING"], []):
            missed.append(f"{kind}: {name}")
        shutil.rmtree(place)
    assert not missed


@pytest.mark.parametrize("damage", ["no data.json", "arrow cut short"])
@pytest.mark.parametrize("kind", ["prepared", "tokenized"])
def test_it_is_made_anew(whole, place: Path, caplog: pytest.LogCaptureFixture, kind: str, damage: str) -> None:
    BOTH[damage](only(place, kind))
    report = loading.prepare(recipe())
    assert caplog.text.count("was damaged") == 1
    assert report["cached"] == {"splits": kind == "tokenized", "tokens": kind == "prepared"}
    again = loading.prepare(recipe())
    assert again == whole[1] | {"folder": again["folder"]}
    assert [each.name for each in (place / kind).iterdir()] == [only(place, kind).name]


def test_a_whole_one_is_left_alone(whole, place: Path, caplog: pytest.LogCaptureFixture) -> None:
    report = loading.prepare(recipe())
    assert report == whole[1] | {"folder": report["folder"]}
    assert "damaged" not in caplog.text


def test_a_smaller_training_split_too(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    damage = "arrow cut short"
    before = loading.prepare(recipe(max_train_samples=100))
    for kind in ("prepared", "tokenized"):
        for each in (place / kind).iterdir():
            BOTH[damage](each)
    after = loading.prepare(recipe(max_train_samples=100))
    assert after == before | {"cached": {"splits": False, "tokens": False}, "folder": after["folder"]}
    assert caplog.text.count("was damaged") == 4


@pytest.mark.parametrize("kind", ["prepared", "tokenized"])
def test_a_run_does_not_take_it_for_its_own(whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """As those verbs do that look for a run's tweets by its data.json."""
    for damage in ("no data.json", "data.json {}", "arrow cut short", "a split less"):
        copy = shutil.copytree(whole[0], tmp_path / damage)
        monkeypatch.setenv("S140_CACHE", str(copy))
        assert caching.find_cached(whole[1]) is not None
        BOTH[damage](only(copy, kind))
        assert caching.find_cached(whole[1]) is None, damage
    loading.prepare(recipe())
    assert caching.find_cached(whole[1]) is not None


@pytest.fixture
def not_writable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache with something damaged in it that may only be read; root is somebody else meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        home, folder = Path(name), Path(name) / "prepared" / "key"
        folder.mkdir(parents=True)
        (folder / "data.json").write_text("")
        for each in (home, folder.parent, folder):
            each.chmod(0o555)
        monkeypatch.setenv("S140_CACHE", name)
        former = os.geteuid()
        os.seteuid(former or 65534)
        try:
            yield folder
        finally:
            os.seteuid(former)
            for each in (home, folder.parent, folder):
                each.chmod(0o755)


def test_what_cannot_be_removed_is_a_sentence(not_writable: Path) -> None:
    if not not_writable.exists():
        pytest.skip("the folder of temporary files is for one user alone")
    with pytest.raises(DataError, match="cannot be removed: Permission denied"):
        caching.load_cached("prepared", not_writable.name)


def test_what_cannot_be_read_for_other_reasons_stays(place: Path) -> None:
    """That no file can be opened at the moment says nothing about what lies there."""
    key = only(place, "prepared").name
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


def test_neutral_tweets_may_be_told_and_not_kept(place: Path) -> None:
    """As of a published dataset of which a part is taken."""
    folder = only(place, "prepared")
    report = json.loads((folder / "data.json").read_text())
    report["splits"]["neutral"] = report["splits"]["test"]
    (folder / "data.json").write_text(json.dumps(report))
    assert caching.load_cached("prepared", folder.name)
