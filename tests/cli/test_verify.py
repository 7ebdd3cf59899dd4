"""``s140 verify`` of our own pages, runs and model folders: what is true passes, what is false is named."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sentiment140_bert as s140
from hub_server import HubServer
from on_hub import DATA, MODEL
from page_fixtures import Published, Verdict, copy_of, edit

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

README, METRICS, DATA_JSON, RESULTS = "README.md", "metrics.json", "data.json", ".eval_results/sentiment140.yaml"
Verify = Callable[..., Verdict]


def another_digit(where: str) -> Callable[[str], str]:
    """Changes the last digit of what the first group of a pattern finds."""

    def change(text: str) -> str:
        found = re.search(where, text)
        assert found, where
        at = found.end(1) - 1
        return text[:at] + ("7" if text[at] != "7" else "3") + text[at + 1 :]

    return change


# ---- what is true


def test_a_page_that_was_just_pushed(published: Published, verify: Verify) -> None:
    found = verify(MODEL)
    assert found.code == 0, found.named() + found.named("unchecked")
    assert found.result.keys() == {"model", "commit", "verdict", "tolerance", "checks"}
    assert (found.result["model"], found.result["verdict"]) == (MODEL, "true")
    assert found.result["commit"] == published.hub.head(MODEL)
    claims = [each["claim"] for each in found.result["checks"]]
    for named in (
        "weights' sha256",
        "data fingerprint",
        "test: accuracy",
        "manual: f1",
        f"{RESULTS}: test",
        "answer to",
    ):
        assert any(claim.startswith(named) for claim in claims), named
    assert len({*claims}) == len(claims)
    for each in found.result["checks"]:
        assert each.keys() == {"claim", "claimed", "measured", "verdict", "why", "difference"}
        assert each["verdict"] == "true"


def test_the_table_for_people(published: Published, s140) -> None:
    lines = s140("verify", MODEL).stdout.splitlines()
    assert lines[0].split() == ["claim", "claimed", "measured", "difference"]
    accuracy = json.loads(published.text(METRICS))["splits"]["test"]["accuracy"]["value"]
    (line,) = [line for line in lines if line.startswith("test: accuracy  ")]
    assert line.split() == ["test:", "accuracy", f"{accuracy:.4f}", f"{accuracy:.4f}", "0.0000", "agrees"]
    assert re.fullmatch(r"\d+ claims agree, 0 are false, 0 could not be checked \(tolerance 0\.001\)", lines[-1])


def test_a_false_claim_in_the_table_for_people(published: Published, s140) -> None:
    published.change(README, another_digit(r"\| accuracy \| (0\.\d+)"))
    lines = s140("verify", MODEL, code=1).stdout.splitlines()
    (line,) = [line for line in lines if line.endswith("FALSE")]
    assert "scores" in line
    assert "accuracy" in line
    assert ", 1 are false, " in lines[-1]


def test_it_is_verified_at_the_revision_that_is_named(published: Published, verify: Verify) -> None:
    before = published.hub.head(MODEL)
    published.change(README, another_digit(r"\| accuracy \| (0\.\d+)"))
    assert verify(MODEL).code == 1
    assert verify(MODEL, "--model-revision", before).code == 0
    assert verify(MODEL, "--model-revision", "nowhere").code == 2


@pytest.mark.parametrize("place", ["run", "model"])
def test_a_run_and_its_model_folder(small_run: Path, verify: Verify, place: str) -> None:
    found = verify(small_run if place == "run" else small_run / "model")
    assert found.code == 0, found.named() + found.named("unchecked")
    assert found.result["commit"] is None


def test_a_run_that_was_pushed(published: Published, verify: Verify) -> None:
    for place in (published.run, published.run / "model"):
        found = verify(place)
        assert found.code == 0, found.named() + found.named("unchecked")


@pytest.mark.parametrize("name", ["5", "bert 3 epochs"])
def test_a_run_whose_name_is_a_number(
    small_run: Path, tmp_path: Path, verify: Verify, s140, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The card was made from one place, and is verified from others."""
    run = copy_of(small_run, tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path)
    s140("card", Path("runs") / name)
    for place in (run, run.relative_to(tmp_path), run / "model", run.relative_to(tmp_path) / "model"):
        found = verify(place)
        assert found.code == 0, found.named()


def test_names_with_underscores(hub: HubServer, mine: Path, verify: Verify) -> None:
    """The cards name each other, and escape that sign."""
    s140.push_to_hub(mine, s140.Destination(repo_id="tester/my_model_2", dataset_repo_id="tester/my_data_2"))
    found = verify("tester/my_model_2")
    assert found.code == 0, found.named() + found.named("unchecked")


def test_numbers_that_people_wrote_are_their_own(published: Published, verify: Verify) -> None:
    published.change(README, lambda text: text + "\nIn my own test of 12,345 tweets it was right in 99.9%.\n")
    published.change(README, lambda text: text.replace("license: unknown", "license: mit\nco2_eq_emissions: 0.5"))
    assert verify(MODEL).code == 0


def test_new_weights_with_their_own_page_are_true_too(hub: HubServer, classifier_folder, mine: Path, verify) -> None:
    other_weights(mine / "model" / "model.safetensors")
    s140.evaluate_run(mine)
    s140.push_to_hub(mine, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    assert verify(MODEL).code == 0


def test_a_score_within_the_tolerance(published: Published, verify: Verify) -> None:
    """All say the same, and it differs by so much from what is measured here."""

    def change(metrics: Any) -> None:
        metrics["splits"]["test"]["log_loss"]["value"] += 0.0004

    published.change_json(METRICS, change)
    rewrite_page(published)
    assert verify(MODEL).code == 0
    found = verify(MODEL, "--tolerance", "0.0001")
    assert found.code == 1
    assert "test: log_loss" in found.named()


@pytest.mark.parametrize("tolerance", ["-1", "nan", "inf", "x"])
def test_a_tolerance_that_is_none(small_run: Path, s140, tolerance: str) -> None:
    assert s140("verify", small_run, "--tolerance", tolerance, code=2).stdout == ""


def rewrite_page(published: Published) -> None:
    """The page agrees with its own files again: whoever cheats is careful."""
    from sentiment140_bert.cards import facts, metadata, model

    files = published.hub.files(MODEL)
    import yaml

    read = facts.Facts(
        yaml.safe_load(files["recipe.yaml"]),
        *(json.loads(files[name]) for name in (DATA_JSON, "environment.json", METRICS)),
        {},
    )
    pictures = sorted(name.removeprefix("figures/") for name in files if name.startswith("figures/"))
    text = model.model_card(read, MODEL.partition("/")[2], MODEL, pictures)
    published.hub.write(MODEL, README, text.encode())
    if results := metadata.eval_results(read):
        published.hub.write(MODEL, RESULTS, results.encode())


# ---- what is false

CHANGES = {
    "score table": (README, another_digit(r"\| accuracy \| (0\.\d+)"), ["scores", "accuracy"]),
    "interval": (README, another_digit(r"\| … interval \| 0\.\d+ to (0\.\d+)"), ["scores", "interval"]),
    "confusion matrix": (README, another_digit(r"\| false positive \| (\d+)"), ["scores", "false positive"]),
    "summary sentence": (README, another_digit(r"accuracy is \*\*(0\.\d+)"), ["summary"]),
    "number of tweets": (README, another_digit(r"On (\d+) held-out"), ["summary"]),
    "model-index": (README, another_digit(r"type: accuracy\n      value: (0\.\d+)"), ["front matter", "accuracy"]),
    "far digit of model-index": (README, another_digit(r"type: f1\n      value: (0\.\d{12})"), ["front matter", "f1"]),
    "name of a metric": (README, lambda text: swapped(text, "type: accuracy\n", "type: roc_auc\n"), ["front matter"]),
    "split of a score": (README, lambda text: text.replace("split: test\n", "split: validation\n"), ["front matter"]),
    "pinned revision in model-index": (README, another_digit(r"revision: ([0-9a-f]{40})"), ["front matter"]),
    "score of the widget": (README, another_digit(r"    score: (0\.\d+)"), ["front matter"]),
    "label of the widget": (README, lambda text: swapped(text, "label: positive", "label: negative"), ["front matter"]),
    "score of an answer": (README, another_digit(r"tive \| (0\.\d+) \|"), ["use"]),
    "label of an answer": (README, lambda text: swapped(text, "| positive |", "| negative |"), ["use"]),
    "speed": (README, another_digit(r"(\d+\.\d) tweets per second"), ["training"]),
    "learning rate": (README, another_digit(r"`learning_rate` \| `(0\.\d+)`"), ["training", "learning_rate"]),
    "day": (README, another_digit(r"begun \d{4}-\d\d-(\d\d)"), ["training"]),
    "version": (README, another_digit(r"torch \d+\.(\d+)"), ["training"]),
    "base model": (README, lambda text: re.sub(r"\n.+ fine-tuned", "\nRoBERTa fine-tuned", text, count=1), ["summary"]),
    "held out": (README, lambda text: text.replace("`test` was held out", "`validation` was held out"), ["scores"]),
    "sha256 of the weights": (README, another_digit(r"sha256 `([0-9a-f]{64})`, the splits"), ["scores"]),
    "sha256 of the source": (README, another_digit(r"sha256 of its file `([0-9a-f]{64})`"), ["data"]),
    "pinned revision": (README, another_digit(r"revision `([0-9a-f]{40})`"), ["data"]),
    "rows": (README, another_digit(r"\| rows read \| ([\d,]+)"), ["data", "rows read"]),
    "eval result": (RESULTS, another_digit(r"value: (0\.\d+)"), [RESULTS, "test"]),
    "notes of an eval result": (RESULTS, another_digit(r"accuracy on (\d+)"), [RESULTS]),
    "dataset of an eval result": (RESULTS, another_digit(r"revision: ([0-9a-f]{40})"), [RESULTS]),
    "metrics.json": (METRICS, another_digit(r'"roc_auc": \{\s*"value": (0\.\d\d)'), ["roc_auc"]),
    "sha256 in metrics.json": (METRICS, another_digit(r'"weights_sha256": "([0-9a-f]{64})'), ["weights' sha256"]),
    "fingerprint in metrics.json": (METRICS, another_digit(r'"data_fingerprint": "([0-9a-f]{64})'), ["fingerprint"]),
}


def swapped(text: str, one: str, other: str) -> str:
    return text.replace(one, "\0").replace(other, one).replace("\0", other)


ONE_BY_ONE = (
    *("score table", "summary sentence", "model-index", "label of an answer", "score of the widget", "speed"),
    *("sha256 of the weights", "eval result", "metrics.json", "sha256 in metrics.json"),
)


@pytest.mark.parametrize("claim", ONE_BY_ONE)
def test_a_claim_that_was_changed_is_named(published: Published, verify: Verify, claim: str) -> None:
    path, change, names = CHANGES[claim]
    published.change(path, change)
    found = verify(MODEL)
    assert found.code == 1
    assert is_named(found, names), found.named()


def is_named(found: Verdict, names: list[str]) -> bool:
    """Whether a line of the false claims holds all of these."""
    return any(all(name in line for name in names) for line in found.named().splitlines())


def test_all_claims_that_were_changed_are_named(published: Published, verify: Verify) -> None:
    for path, change, _ in CHANGES.values():
        published.change(path, change)
    found = verify(MODEL)
    assert found.code == 1
    assert [claim for claim, (_, _, names) in CHANGES.items() if not is_named(found, names)] == []


@pytest.mark.parametrize("claim", ["name of a metric", "label of the widget", "held out", "notes of an eval result"])
def test_a_claim_that_is_no_number_is_one_all_the_same(published: Published, verify: Verify, claim: str) -> None:
    path, change, _ = CHANGES[claim]
    published.change(path, change)
    assert verify(MODEL).code == 1


def test_a_result_that_was_added(published: Published, verify: Verify) -> None:
    """Nobody measured that, and it stands among the scores that were."""
    more = "\n    - type: pearsonr\n      value: 0.99\n"
    published.change(README, lambda text: re.sub(r"(type: log_loss\n +value: [\d.]+)\n", rf"\1{more}", text, count=1))
    assert verify(MODEL).code != 0


def cheat_in_metrics(metrics: Any) -> None:
    test, manual = metrics["splits"]["test"], metrics["splits"]["manual"]
    test["accuracy"]["value"] = 0.9
    test["recall"]["low"] = 0.01
    test["true_positive"]["value"] = 29
    test["calibration"]["expected_calibration_error"] = 0.01
    manual["calibration"]["bins"][0]["observed"] = 0.99
    manual["neutral_left_out"] = 1
    manual["n"] = 7_200
    metrics["examples"][0]["text"] = "what a dull day, I hate it"
    metrics["examples"][1]["label"] = "neutral"


def cheat_in_data(data: Any) -> None:
    data["splits"]["train"]["rows"] = 180_000
    data["splits"]["test"] |= {"negative": 1, "positive": 59}


CAREFUL = [
    *(["test", "accuracy"], ["test", "recall"], ["test", "true_positive"], ["test", "calibration"]),
    *(["manual", "calibration"], ["manual", "neutral"], ["manual", "tweets"]),
    *(["answer", "what a dull day"], ["answer", "missed the last bus"]),
]


def test_claims_that_were_changed_wherever_they_stand(published: Published, verify: Verify) -> None:
    """Card, front matter and JSON agree with each other, but not with the model and its data."""
    published.change_json(METRICS, cheat_in_metrics)
    published.change_json(DATA_JSON, cheat_in_data)
    rewrite_page(published)
    found = verify(MODEL)
    assert found.code == 1
    missing = [names for names in [*CAREFUL, ["train", "rows"], ["test", "negative"]] if not is_named(found, names)]
    assert missing == []


@pytest.mark.parametrize(
    ("path", "cheat"),
    [
        (METRICS, lambda metrics: metrics["splits"]["test"]["accuracy"].update(low=0.59)),
        (METRICS, lambda metrics: metrics["splits"]["test"]["true_positive"].update(value=29)),
        (METRICS, lambda metrics: metrics["splits"]["test"]["calibration"].update(brier_score=0.01)),
        (METRICS, lambda metrics: metrics["examples"][0].update(text="what a dull day, I hate it")),
        (DATA_JSON, lambda data: data["splits"]["train"].update(rows=180_000)),
        (DATA_JSON, lambda data: data.update(fingerprint="0" * 64)),
    ],
    ids=["interval", "matrix", "calibration", "text of an answer", "rows", "fingerprint"],
)
def test_one_of_them_is_enough(published: Published, verify: Verify, path: str, cheat: Callable[[Any], None]) -> None:
    published.change_json(path, cheat)
    rewrite_page(published)
    assert verify(MODEL).code == 1


@pytest.mark.parametrize(
    "hide",
    [
        lambda text: text.replace("written by sentiment140_bert ", "written by sentiment140_bert 9"),
        lambda text: text.replace("<!-- written by sentiment140_bert", "<!-- made by"),
        lambda text: text.replace(
            "<!-- begin s140: summary", "written by sentiment140_bert 0.0.1\n<!-- begin s140: summary"
        ),
        lambda text: text.replace("<!-- begin s140: scores -->", "<!-- begin scores -->"),
        lambda text: text.replace("s140: scores -->", "s140: our-scores -->"),
    ],
    ids=["another version", "no version", "a version further up", "no begin", "another section"],
)
def test_a_card_whose_numbers_cannot_be_compared_does_not_pass(published: Published, verify: Verify, hide) -> None:
    published.change(README, another_digit(r"\| accuracy \| 0?(\.\d)"))
    published.change(README, hide)
    assert verify(MODEL).code in (1, 2)


# ---- weights, tokenizer, data


def other_weights(file: Path) -> None:
    """Of the same shapes, and of the same size on disk."""
    from safetensors.torch import load_file, save_file

    weights = {name: tensor.flip(0) if "bias" in name else tensor * 1.01 for name, tensor in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})


def test_other_weights_of_the_same_shape(published: Published, tmp_path: Path, verify: Verify) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(published.hub.files(MODEL)["model.safetensors"])
    other_weights(file)
    published.hub.write(MODEL, "model.safetensors", file.read_bytes())
    found = verify(MODEL)
    assert found.code == 1
    assert "weights' sha256" in found.named()
    assert "log_loss" in found.named()


@pytest.mark.parametrize(
    "damage", [lambda content: content[: len(content) // 2], lambda _: b"x" * 1_000, lambda _: b""]
)
def test_weights_that_are_damaged(published: Published, verify: Verify, damage: Callable[[bytes], bytes]) -> None:
    published.hub.write(MODEL, "model.safetensors", damage(published.hub.files(MODEL)["model.safetensors"]))
    found = verify(MODEL)
    assert found.code == 1
    assert "weights' sha256" in found.named()
    assert "scores" in found.named("unchecked")


def test_no_weights(published: Published, verify: Verify) -> None:
    published.remove("model.safetensors")
    found = verify(MODEL)
    assert found.code == 2
    assert "weights' sha256" in found.named("unchecked")


def with_vocabulary(change: Callable[[dict[str, int]], None]) -> Callable[[Any], None]:
    def changed(tokenizer: Any) -> None:
        change(tokenizer["model"]["vocab"])

    return changed


def test_another_tokenizer(published: Published, verify: Verify) -> None:
    def rotate(vocabulary: dict[str, int]) -> None:
        words = [word for word in vocabulary if word.isalpha()]
        ids = [vocabulary[word] for word in words]
        vocabulary.update(zip(words, [*ids[1:], ids[0]], strict=True))

    published.change_json("tokenizer.json", with_vocabulary(rotate))
    found = verify(MODEL)
    assert found.code == 1
    assert re.search(r"test: \w+|answer to", found.named())


def test_a_tokenizer_with_more_words_than_the_model_knows(published: Published, verify: Verify) -> None:
    def enlarge(vocabulary: dict[str, int]) -> None:
        vocabulary.update({word: at + 40_000 for word, at in vocabulary.items() if word.isalpha()})

    published.change_json("tokenizer.json", with_vocabulary(enlarge))
    assert verify(MODEL).code in (1, 2)


def test_labels_that_were_exchanged(published: Published, verify: Verify) -> None:
    published.change_json("config.json", lambda config: config.update(id2label={"0": "positive", "1": "negative"}))
    found = verify(MODEL)
    assert found.code == 1
    assert "test: accuracy" in found.named()


def with_another_label(published: Published) -> str:
    """Somebody changes a single label of the published test split; the new commit."""
    path = "default/test-00000-of-00001.parquet"
    table = pq.read_table(io.BytesIO(published.hub.files(DATA, "dataset")[path]))
    labels = table["label"].to_pylist()
    labels[0] = 1 - labels[0]
    at = table.column_names.index("label")
    table = table.set_column(at, table.schema.field("label"), pa.array(labels, table.schema.field("label").type))
    content = io.BytesIO()
    pq.write_table(table, content)
    return published.hub.write(DATA, path, content.getvalue(), "dataset")


def test_a_change_of_the_dataset_on_main_is_none_at_the_pinned_commit(published: Published, verify: Verify) -> None:
    with_another_label(published)
    published.change(README, another_digit(r"\| train \| (\d+)"), DATA, "dataset")
    assert verify(MODEL).code == 0


def test_a_changed_dataset_that_the_page_pins(published: Published, verify: Verify) -> None:
    published.move_pin(with_another_label(published))
    found = verify(MODEL)
    assert found.code == 1
    assert "dataset" in found.named()
    assert "test" in found.named()


@pytest.mark.parametrize("where", [r"\| train \| (\d+)", r"num_examples: (\d+)"])
def test_a_changed_card_of_the_dataset(published: Published, verify: Verify, where: str) -> None:
    published.move_pin(published.change(README, another_digit(where), DATA, "dataset"))
    found = verify(MODEL)
    assert found.code == 1
    assert "dataset card" in found.named()


def test_a_changed_description_of_the_dataset(published: Published, verify: Verify) -> None:
    """Its card says the same: neither is what the parquet files hold."""
    commit = published.change_json(
        DATA_JSON, lambda data: data["splits"]["train"].update(rows=180_000), DATA, "dataset"
    )
    published.change(README, lambda text: text.replace("| train | 180 |", "| train | 180,000 |"), DATA, "dataset")
    published.move_pin(published.hub.head(DATA, "dataset"))
    assert commit
    assert verify(MODEL).code == 1


# ---- what cannot be checked


def unchecked(found: Verdict, *said: str) -> None:
    """Exit code 2, and the reason, either of one claim or of everything."""
    assert found.code == 2, found.named()
    told = found.named("unchecked") + found.stderr
    for each in said:
        assert each in told
    assert "Traceback" not in told


def test_a_private_dataset_without_a_login(published: Published, verify: Verify, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert published.hub.repos["dataset", DATA].private
    found = verify(MODEL)
    unchecked(found, "scores", DATA, "private")
    assert "weights' sha256" in found.named("true")


def test_the_hub_out_of_reach(hub_down: HubServer, impatient: list[float], verify: Verify) -> None:
    found = verify(MODEL)
    unchecked(found, "cannot be reached")
    assert len(found.stderr.strip().splitlines()[-2:]) == 2


def test_no_such_model(hub: HubServer, verify: Verify) -> None:
    unchecked(verify("tester/nothing"), "tester/nothing", "not found")


@pytest.mark.parametrize("name", ["", "a b/c", "nothing/at/all", "./nothing", "file.txt"])
def test_what_is_no_model(hub: HubServer, tmp_path: Path, verify: Verify, name: str) -> None:
    (tmp_path / "file.txt").write_text("x")
    unchecked(verify(name), "Error: ")


def test_no_card(published: Published, verify: Verify) -> None:
    published.remove(README)
    unchecked(verify(MODEL), "README.md")


def test_a_dataset_that_is_gone(published: Published, verify: Verify) -> None:
    del published.hub.repos["dataset", DATA]
    unchecked(verify(MODEL), "scores", DATA)


def test_a_commit_of_the_dataset_that_is_gone(published: Published, verify: Verify) -> None:
    published.move_pin("f" * 40)
    unchecked(verify(MODEL), "scores")


def test_a_run_without_model(mine: Path, verify: Verify) -> None:
    shutil.rmtree(mine / "model")
    unchecked(verify(mine), "no model")


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


@pytest.mark.parametrize(("path", "content"), [(path, each) for path, all_ in HOSTILE_FILES.items() for each in all_])
def test_a_file_of_the_page_that_makes_no_sense(
    small_run: Path, tmp_path: Path, verify: Verify, path: str, content: bytes
) -> None:
    """The exit code 1 is for a claim that was measured and is false; a traceback would be one, too."""
    folder = shutil.copytree(small_run / "model", tmp_path / "model")
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(content)
    if path == RESULTS:
        edit(folder / DATA_JSON, lambda data: data | {"published": {"repo_id": DATA, "revision": "0" * 40}})
        (folder / README).unlink()
    found = verify(folder)
    assert found.code in (1, 2)
    assert found.code == 2 or found.named()


NO_PINS = ["x", 5, {"repo_id": DATA}, {"repo_id": DATA, "revision": None}, {"repo_id": 3, "revision": 4}]


@pytest.mark.parametrize("published_as", NO_PINS, ids=str)
def test_a_pin_that_is_none(small_run: Path, tmp_path: Path, hub: HubServer, verify: Verify, published_as: Any) -> None:
    folder = shutil.copytree(small_run / "model", tmp_path / "model")
    edit(folder / DATA_JSON, lambda data: data | {"published": published_as})
    assert verify(folder).code in (1, 2)


@pytest.mark.parametrize(
    "values", [["2020-01-01", ".nan", "-.inf", "!!binary aGk=", "!!set {a}"], ["[1]", "null", "{a: 1}"]]
)
def test_numbers_of_the_front_matter_that_are_none(published: Published, verify: Verify, values: list[str]) -> None:
    """What is said of them is JSON all the same."""
    left = list(values)
    published.change(
        README,
        lambda text: re.sub(r"(    score: )0\.\d+", lambda _: f"    score: {left.pop()}", text, count=len(values)),
    )
    found = verify(MODEL)
    assert found.code == 1
    assert len([line for line in found.named().splitlines() if "front matter" in line]) >= len(values)


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"0.6"', "null"])
def test_a_score_of_the_metrics_that_is_none(published: Published, verify: Verify, value: str) -> None:
    published.change(METRICS, lambda text: re.sub(r'(_loss": \{\s*"value": )[\d.]+', rf"\g<1>{value}", text, count=1))
    assert verify(MODEL).code in (1, 2)


@pytest.mark.timeout(15)
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
    found = verify(local_page)
    unchecked(found, "scores", "tweets.csv", "--dataset")
    assert "card: " in found.named("true")


def test_with_the_tweets_they_are(local_page: str, tweets: tuple[Path, Path], verify: Verify) -> None:
    found = verify(local_page, "--dataset", tweets[0], "--manual-test", tweets[1])
    assert found.code == 0, found.named() + found.named("unchecked") + found.stderr


def test_with_other_tweets_nothing_is_said_to_be_false(local_page: str, tweets, write, verify: Verify) -> None:
    found = verify(local_page, "--dataset", write("others.csv", 400), "--manual-test", tweets[1])
    unchecked(found, "others")
    unchecked(verify(local_page, "--dataset", tweets[0]))  # and none that were labelled by hand


def test_a_file_that_happens_to_have_that_name_here_proves_nothing(local_page: str, write, verify: Verify) -> None:
    """The page names ``tweets.csv``; whose?"""
    write("tweets.csv", 400)
    write("hand.csv", "0,sad\n4,glad\n")
    unchecked(verify(local_page))


def test_how_the_tweets_are_to_be_read_is_heard(
    local_page: str, tweets: tuple[Path, Path], tmp_path: Path, verify: Verify
) -> None:
    """The same rows, in a file of another layout, are not the same file, but the same tweets."""
    rows = [line.split(",", 1) for line in tweets[0].read_text("utf-8").splitlines()]
    other = tmp_path / "other.csv"
    other.write_text("mood;words\n" + "".join(f"{label};{text}\n" for label, text in rows), "utf-8")
    flags = ("--dataset", other, "--manual-test", tweets[1], "--delimiter", ";")
    found = verify(local_page, *flags, "--text-column", "words", "--label-column", "mood")
    assert found.code == 0, found.named() + found.named("unchecked") + found.stderr


def test_a_run_whose_scores_were_edited(mine: Path, verify: Verify) -> None:
    def change(metrics: Any) -> None:
        metrics["splits"]["test"]["accuracy"]["value"] = 0.99

    edit(mine / METRICS, change)
    found = verify(mine)
    assert found.code == 1
    assert "test: accuracy" in found.named()
    assert "summary" in found.named()


def test_a_run_whose_card_was_edited(mine: Path, verify: Verify) -> None:
    card = mine / "model" / README
    card.write_text(another_digit(r"accuracy is \*\*(0\.\d+)")(card.read_text("utf-8")), "utf-8")
    found = verify(mine)
    assert found.code == 1
    assert "summary" in found.named()


def test_a_run_whose_tweets_are_gone(mine: Path, verify: Verify) -> None:
    recipe = (mine / "recipe.yaml").read_text("utf-8")
    (mine / "recipe.yaml").write_text(recipe.replace("dataset: sample", "dataset: /nowhere/tweets.csv"), "utf-8")
    unchecked(verify(mine), "/nowhere/tweets.csv")
