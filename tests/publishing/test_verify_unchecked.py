"""``s140 verify`` of our own pages: it names what cannot be checked, and no page ends in a traceback."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sentiment140_bert as s140
from hub_server import HubServer
from on_hub import DATA, MODEL
from page_fixtures import DATA_JSON, METRICS, README, RESULTS, Published, Verdict, copy_of, edit

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

Verify = Callable[..., Verdict]


# ---- what cannot be checked


def check_unchecked(verdict: Verdict, *words: str) -> None:
    """Check for exit code 2 and the reason, either of one claim or of everything."""
    assert verdict.code == 2, verdict.named()
    text = verdict.named("unchecked") + verdict.stderr
    assert [word for word in words if word not in text] == []
    assert "Traceback" not in text


def test_a_private_dataset_without_a_login(published: Published, verify: Verify, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert published.hub.repos["dataset", DATA].private
    verdict = verify(MODEL)
    check_unchecked(verdict, "scores", DATA, "private")
    assert "weights' sha256" in verdict.named("true")


def test_the_hub_out_of_reach(hub_down: HubServer, impatient: list[float], verify: Verify) -> None:
    verdict = verify(MODEL)
    check_unchecked(verdict, "cannot be reached")
    assert len(verdict.stderr.strip().splitlines()[-2:]) == 2


def test_what_is_no_model(hub: HubServer, tmp_path: Path, verify: Verify) -> None:
    (tmp_path / "file.txt").write_text("x")
    for name in ("", "a b/c", "nothing/at/all", "./nothing", "file.txt"):
        check_unchecked(verify(name), "Error: ")
    check_unchecked(verify("tester/nothing"), "tester/nothing", "not found")


def test_parts_of_a_page_that_are_gone(find_missed, published: Published, verify: Verify) -> None:
    """Its dataset, and the commit of it that the page names."""
    rows: dict[str, tuple[Any, ...]] = {
        "the dataset": (lambda page: page.hub.repos.pop(("dataset", DATA)), "scores", DATA),
        "its commit": (lambda page: page.move_pin("f" * 40), "scores"),
    }
    assert find_missed(rows, codes=(2,)) == []
    published.put_back()
    published.remove(README)
    check_unchecked(verify(MODEL), "README.md")


def test_a_run_without_model(run_copy: Path, verify: Verify) -> None:
    shutil.rmtree(run_copy / "model")
    check_unchecked(verify(run_copy), "no model")


HOSTILE_FILES = {
    METRICS: [b"[]", b"{}", b"{", b"\xff", b'{"splits": {"test": 1}}'],
    DATA_JSON: [b"[]", b"{}", b"{", b'{"sources": [], "published": "x"}'],
    "environment.json": [b"0", b"{}", b"{", b'{"base_model": null, "training": []}'],
    "recipe.yaml": [b"[]", b"", b"a: [", b"\xff", b"model: 1", b"model: {model_name_or_path: [1]}"],
    "config.json": [
        *(b"null", b"{"),
        *(b'{"model_type": "bert", "id2label": [1]}', b'{"model_type": "bert", "hidden_size": "x"}'),
    ],
    "tokenizer.json": [b"[]", b"null", b"{"],
    "tokenizer_config.json": [b"[]", b"{"],
    RESULTS: [b"[1, 2]", b"a: 1", b"", b"\xff", b"[", b"- dataset: {task_id: [1]}\n  value: 2\n"],
    README: [b"\xff", b"---\n[\n---\n", b"---\n- a\n---\n", b"---\nx: " + b"[" * 3_000 + b"\n---\n"],
}


@pytest.mark.long
def test_a_file_of_the_page_that_makes_no_sense(small_run: Path, tmp_path: Path, verify: Verify) -> None:
    """The exit code 1 is for a claim that was measured and is false; a traceback would be one, too."""
    whole, folder, wrong = small_run / "model", tmp_path / "model", []
    for path, contents in HOSTILE_FILES.items():
        for content in contents:
            shutil.copytree(whole, folder)
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)
            if path == RESULTS:
                edit(folder / DATA_JSON, lambda data: data | {"published": {"repo_id": DATA, "revision": "0" * 40}})
                (folder / README).unlink()
            verdict = verify(folder)
            if not (verdict.code == 2 or (verdict.code == 1 and verdict.named())):
                wrong.append((path, content, verdict.code))
            shutil.rmtree(folder)
    assert wrong == []


NO_PINS = ["x", 5, {"repo_id": DATA}, {"repo_id": DATA, "revision": None}, {"repo_id": 3, "revision": 4}]


def test_a_pin_that_is_none(small_run: Path, tmp_path: Path, hub: HubServer, verify: Verify) -> None:
    folder = shutil.copytree(small_run / "model", tmp_path / "model")
    for published_as in NO_PINS:
        edit(folder / DATA_JSON, lambda data, pin=published_as: data | {"published": pin})
        assert verify(folder).code in (1, 2), published_as


def test_a_training_of_a_version_without_early_stopping(small_run: Path, tmp_path: Path, verify: Verify) -> None:
    folder = copy_of(small_run / "model", tmp_path / "model")

    def leave_out(environment: Any) -> None:
        del environment["training"]["stopped_early"]

    edit(folder / "environment.json", leave_out)
    verdict = verify(folder)
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked")


def test_numbers_that_are_none(find_missed) -> None:
    """The result is JSON all the same."""

    def replace(pattern: str, *values: str) -> Callable[[str], str]:
        def edit(text: str) -> str:
            for value in values:
                text = re.sub(pattern, lambda match, value=value: f"{match[1]}{value}", text, count=1)
            return text

        return edit

    scores = [("2020-01-01", ".nan", "-.inf", "!!binary aGk=", "!!set {a}"), ("[1]", "null", "{a: 1}")]
    edits = {values: (README, replace(r"(    score: )0\.\d+", *values), "front matter") for values in scores}
    for value in ("NaN", "Infinity", '"0.6"', "null"):
        edits[value,] = (METRICS, replace(r'(_loss": \{\s*"value": )[\d.]+', value), "")
    rows = {
        str(values): (lambda page, path=path, edit=edit: page.change(path, edit), word)
        for values, (path, edit, word) in edits.items()
    }
    assert find_missed(rows, codes=(1, 2)) == []


def test_yaml_that_grows_without_end(small_run: Path, tmp_path: Path, verify: Verify) -> None:
    folder = shutil.copytree(small_run / "model", tmp_path / "model")
    text = (folder / README).read_text("utf-8").replace("widget:", "others:", 1)
    bomb = "a: &a [1,1,1,1,1,1,1,1,1]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        bomb += f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    (folder / README).write_text(text.replace("---\n", f"---\n{bomb}widget: *h\n", 1), "utf-8")
    assert verify(folder).code in (1, 2)


# ---- tweets of one's own


@pytest.fixture
def local_page(hub: HubServer, local_run: Path, tmp_path: Path) -> str:
    """A model that was trained on a file at home, without its dataset."""
    s140.push_to_hub(copy_of(local_run, tmp_path / "local"), s140.Destination(repo_id="tester/local"))
    return "tester/local"


@pytest.fixture
def tweets(private_folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The right files under other names."""
    names = (tmp_path / "mine.csv", tmp_path / "by hand.csv")
    for source, to in zip(("tweets.csv", "hand.csv"), names, strict=True):
        shutil.copy(private_folder / source, to)
    return names


def test_without_the_tweets_scores_are_not_checked(local_page: str, verify: Verify) -> None:
    verdict = verify(local_page)
    check_unchecked(verdict, "scores", "tweets.csv", "--dataset")
    assert "card: " in verdict.named("true")


def test_with_the_tweets_they_are(local_page: str, tweets: tuple[Path, Path], verify: Verify) -> None:
    verdict = verify(local_page, "--dataset", tweets[0], "--manual-test", tweets[1])
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked") + verdict.stderr


def test_with_other_tweets_nothing_is_false(local_page: str, tweets, write, verify: Verify) -> None:
    verdict = verify(local_page, "--dataset", write("others.csv", 400), "--manual-test", tweets[1])
    check_unchecked(verdict, "others")
    check_unchecked(verify(local_page, "--dataset", tweets[0]))  # and none that were labeled by hand


def test_a_file_of_that_name_here_proves_nothing(local_page: str, write, verify: Verify) -> None:
    """The page names a file ``tweets.csv`` of its author."""
    write("tweets.csv", 400)
    write("hand.csv", "0,sad\n4,glad\n")
    check_unchecked(verify(local_page))


def test_flags_for_reading_the_tweets_are_used(
    local_page: str, tweets: tuple[Path, Path], tmp_path: Path, verify: Verify
) -> None:
    """The same rows, in a file of another layout, are not the same file, but the same tweets."""
    rows = [line.split(",", 1) for line in tweets[0].read_text("utf-8").splitlines()]
    other = tmp_path / "other.csv"
    other.write_text("mood;words\n" + "".join(f"{label};{text}\n" for label, text in rows), "utf-8")
    flags = ("--dataset", other, "--manual-test", tweets[1], "--delimiter", ";")
    verdict = verify(local_page, *flags, "--text-column", "words", "--label-column", "mood")
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked") + verdict.stderr


def test_a_run_whose_scores_were_edited(run_copy: Path, verify: Verify) -> None:
    def change(metrics: Any) -> None:
        metrics["splits"]["test"]["accuracy"]["value"] = 0.99

    edit(run_copy / METRICS, change)
    verdict = verify(run_copy)
    assert verdict.code == 1
    assert "test: accuracy" in verdict.named()
    assert "summary" not in verdict.named()  # its card still says what is measured


def test_a_run_whose_tweets_are_gone(run_copy: Path, verify: Verify) -> None:
    recipe = (run_copy / "recipe.yaml").read_text("utf-8")
    (run_copy / "recipe.yaml").write_text(recipe.replace("dataset: sample", "dataset: /nowhere/tweets.csv"), "utf-8")
    check_unchecked(verify(run_copy), "/nowhere/tweets.csv")


def test_a_strangers_recipe_names_no_file_of_this_machine(small_run: Path, tmp_path: Path, verify: Verify) -> None:
    folder = copy_of(small_run / "model", tmp_path / "another")
    for name in ("recipe.yaml", "data.json", "environment.json", "metrics.json"):
        shutil.copy(small_run / name, folder)
    private = tmp_path / "private.csv"
    private.write_text("text\nsomething private\n")
    recipe = (folder / "recipe.yaml").read_text("utf-8")
    assert "drop_suspects: null" in recipe
    (folder / "recipe.yaml").write_text(recipe.replace("drop_suspects: null", f"drop_suspects: {private}"), "utf-8")
    private.chmod(0)
    check_unchecked(verify(folder), "private.csv, were left out")
    for other in (f"manual_test: {private}", f"dataset: {private}"):
        name = other.partition(":")[0]
        (folder / "recipe.yaml").write_text(re.sub(rf"(?m)^( *){name}: .*$", rf"\1{other}", recipe), "utf-8")
        check_unchecked(verify(folder), "Pass that file with --dataset.")


def test_flags_that_describe_a_dataset_need_one(s140) -> None:
    """They are not ignored in silence."""
    for flags in (("--label-map", "0=negative,1=positive"), ("--manual-test", "x.csv")):
        assert f"{flags[0]} was given without --dataset" in s140("verify", "user/model", *flags, code=2).stderr
