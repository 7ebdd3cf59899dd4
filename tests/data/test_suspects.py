"""``--drop-suspects``: some training tweets are left out, and nothing else changes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from sentiment140_bert import recipe
from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.data.pipeline import prepare_splits
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.recipe.privacy import make_public

BASE: dict[str, Any] = {"dataset": "t.csv", "manual_test": "manual.csv", "validation_size": 20, "test_size": 20}


def prepared(**values: object) -> Prepared:
    return prepare_splits(DataConfig(**(BASE | values)))


def rows_of(result: Prepared) -> dict[str, list[tuple[str, int]]]:
    return {name: list(zip(part["text"], part["label"], strict=True)) for name, part in result.splits().items()}


def listed(rows: list[dict[str, object]], name: str = "suspects.csv") -> str:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return name


@pytest.fixture(autouse=True)
def _tweets(cache, write) -> None:
    write("t.csv", 200)
    write("manual.csv", [["4", "by hand, glad"], ["0", "by hand, sad"], ["2", "by hand"]])


def test_they_are_left_out_of_train_and_all_else_stays(cache):
    before = prepared()
    rows = rows_of(before)
    doubted, held_out = rows["train"][:7], rows["test"][0]
    # With other columns, another order, another case, one twice, one that is held out, one that nobody knows.
    texts = [text.upper() for text, _ in doubted[::-1]] + [doubted[0][0], held_out[0], "unheard of"]
    file = listed([{"given": 1, "text": text, "score": 0.5} for text in texts])
    after = prepared(drop_suspects=file)
    assert not after.cached
    found = rows_of(after)
    assert found["train"] == rows["train"][7:]
    assert {name: part for name, part in found.items() if name != "train"} == {
        name: part for name, part in rows.items() if name != "train"
    }
    steps = after.report["steps"]
    assert steps == before.report["steps"] | {"suspects_dropped": 7}
    assert after.report["suspects"] == {
        "name": "suspects.csv",
        "sha256": after.report["suspects"]["sha256"],
        "rows": 10,
        "found": 7,
    }
    assert after.report["fingerprint"] != before.report["fingerprint"]


@pytest.mark.parametrize("labels", [(0, 1), ("negative", "positive"), ("Negative", "1")])
def test_of_a_text_with_both_labels_the_row_with_that_label(write, labels):
    write("t.csv", [[label, f"tweet {n}"] for n in range(60) for label in ("0", "4")])
    both = {"conflicts": "keep", "validation_size": 10, "test_size": 10}
    rows = rows_of(prepared(**both))
    text = rows["train"][0][0]
    assert {(text, 0), (text, 1)} <= set(rows["train"])
    found = rows_of(prepared(**both, drop_suspects=listed([{"text": text, "label": labels[1]}])))
    assert [row for row in rows["train"] if row not in found["train"]] == [(text, 1)]
    without_label = prepared(**both, drop_suspects=listed([{"text": text}, {"text": text}, {"text": "unheard of"}]))
    found = rows_of(without_label)
    assert [row for row in rows["train"] if row not in found["train"]] == sorted(
        [(text, 0), (text, 1)], key=rows["train"].index
    )
    about = without_label.report["suspects"]
    assert (about["rows"], about["found"]) == (3, 1), "texts that are listed and found, not the rows that have them"
    assert without_label.report["steps"]["suspects_dropped"] == 2


def test_cells_that_a_spreadsheet_would_compute_are_those_of_the_command_alone(write):
    """``s140 suspects`` writes an apostrophe before them, and a column label_quality by which its lists are known."""
    texts = ["=1+1 is two", "@somebody hi", "'quoted'", "-- no", *(f"tweet {n}" for n in range(96))]
    write("t.csv", [[str(4 * (n % 2)), text] for n, text in enumerate(texts)])
    values = {"cleaning": "raw", "validation_size": 10, "test_size": 10}
    train = [text for text, _ in rows_of(prepared(**values))["train"]]
    odd = [text for text in train if text in texts[:4]]
    assert odd
    ours = listed([{"text": f"'{text}", "label_quality": 0.1} for text in odd] + [{"text": train[-1]}])
    after = [text for text, _ in rows_of(prepared(**values, drop_suspects=ours))["train"]]
    assert after == [text for text in train if text not in {*odd, train[-1]}]
    another = listed([{"text": f"'{text}"} for text in odd] + [{"text": train[-1]}], "another.csv")
    after = [text for text, _ in rows_of(prepared(**values, drop_suspects=another))["train"]]
    assert after == [text for text in train if text != train[-1]]


def test_the_list_counts_by_its_content(tmp_path):
    texts = [text for text, _ in rows_of(prepared())["train"][:2]]
    first = prepared(drop_suspects=listed([{"text": texts[0]}]))
    again = prepared(drop_suspects=listed([{"text": texts[0]}], str(tmp_path / "renamed.csv")))
    other = prepared(drop_suspects=listed([{"text": texts[1]}]))
    assert (first.cached, again.cached, other.cached) == (False, True, False)
    assert again.folder == first.folder != other.folder
    assert again.report["suspects"]["name"] == "renamed.csv"
    assert rows_of(other)["train"] != rows_of(first)["train"]
    assert prepared().report["steps"].keys() >= {"drawn"}
    assert "suspects" not in prepared().report


def test_where_the_source_is_no_file(cache):
    from datasets import Dataset

    Dataset.from_dict({"text": [f"tweet {n}" for n in range(100)], "label": [n % 2 for n in range(100)]}).save_to_disk(
        "d"
    )
    values = {"dataset": "d", "manual_test": None}
    text = rows_of(prepared(**values))["train"][0][0]
    dropped = prepared(**values, drop_suspects=listed([{"text": text}]))
    assert dropped.report["steps"]["suspects_dropped"] == 1
    assert prepared(**values, drop_suspects="suspects.csv").cached


def test_cleaning_makes_no_difference(write):
    write("t.csv", [[str(4 * (n % 2)), f"@somebody  I &amp; you, {n} http://a.example/{n}"] for n in range(100)])
    for cleaning in ("raw", "mask", "repair"):
        rows = rows_of(prepared(cleaning=cleaning))["train"]
        for level in ("raw", "repair"):
            texts = [text for text, _ in rows_of(prepared(cleaning=level))["train"][:3]]
            result = prepared(cleaning=cleaning, drop_suspects=listed([{"text": text} for text in texts]))
            assert len(rows_of(result)["train"]) == len(rows) - 3


def test_the_folder_of_the_list_is_not_published(tmp_path):
    text = rows_of(prepared())["train"][0][0]
    file = listed([{"text": text}], str(tmp_path / "suspects.csv"))
    result = prepared(drop_suspects=file)
    for content in (str(result.report), (result.folder / "data.json").read_text("utf-8")):
        assert str(tmp_path) not in content
        assert "suspects.csv" in content
    shown = make_public(recipe.Recipe().with_values({"drop_suspects": file}))
    assert shown.data.drop_suspects == "suspects.csv"


def written(content: str) -> str:
    Path("suspects.csv").write_text(content, "utf-8")
    return "suspects.csv"


def everything_sad() -> str:
    return listed([{"text": text} for text, label in rows_of(prepared())["train"] if label == 0])


WRONG = {
    "missing": (lambda: "gone.csv", "There is no file gone.csv"),
    "empty": (lambda: written(""), "is empty"),
    "no text": (lambda: listed([{"tweet": "tweet 1 is sad, café"}]), "has no column text"),
    "nothing matches": (lambda: listed([{"text": "unheard of"}]), "none of them is among the 160 to train on"),
    "no row": (lambda: written("text\n"), "lists 0 tweets"),
    "another label": (
        lambda: listed([{"text": "tweet 1 is sad, café", "label": "odd"}]),
        "line 2 has the label 'odd'",
    ),
    "the other label": (
        lambda: listed([{"text": text, "label": 1 - label} for text, label in rows_of(prepared())["train"]]),
        "none of them is among",
    ),
    "one class left": (everything_sad, "does not hold both labels"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_list_that_is_no_use_is_a_sentence(case):
    make, message = WRONG[case]
    name = make()
    with pytest.raises(DataError, match=message) as caught:
        prepared(drop_suspects=name)
    assert name in str(caught.value)
    assert caught.value.hint


def test_the_command_line_says_how_many(s140):
    text = rows_of(prepared())["train"][0][0]
    file = listed([{"text": text}])
    words = ["--dataset", "t.csv", "--model-name-or-path", "bundled:minilm", "--drop-suspects", file]
    shown = s140("prepare", *words, "--validation-size", 20, "--test-size", 20).stdout
    assert "suspects, left out of train" in shown
