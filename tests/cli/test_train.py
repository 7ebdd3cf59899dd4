from __future__ import annotations

import json
import shutil
import socket
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from model_fixtures import train
from sentiment140_bert import saved_recipe
from sentiment140_bert.data.pipeline import prepare_splits
from sentiment140_bert.files import hash_file
from sentiment140_bert.recipe import Recipe, parse_recipe
from tiny_run import TINY, flags

pytest_plugins = "model_fixtures"


@pytest.fixture(scope="module")
def words(smallest_words: list[str]) -> list[str]:
    """Return the flags of a training of two epochs, of a BERT so small that it trains at once."""
    return flags(model_name_or_path=smallest_words[smallest_words.index("--model-name-or-path") + 1])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Path:
    """Return a finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("two_epochs") / "run"
    train(folder, words)
    return folder


def read(path: Path):
    return json.loads(path.read_text("utf-8"))


def test_the_run_directory_holds_all_that_it_promises(run: Path, words: list[str]) -> None:
    promised = {
        *("recipe.yaml", "data.json", "environment.json", "history.jsonl", "metrics.json", "predictions.parquet"),
        *("model", "figures"),
    }
    assert {path.name for path in run.iterdir()} == promised
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    assert recipe["training"].keys() == Recipe().to_dict()["training"].keys()  # every default is written out
    for name, value in (TINY | {"model-name-or-path": words[words.index("--model-name-or-path") + 1]}).items():
        key = name.replace("-", "_")
        expected = [value] if key == "report_to" else value
        assert next(part[key] for part in recipe.values() if key in part) == expected
    assert parse_recipe(recipe) == saved_recipe(run)
    environment = read(run / "environment.json")
    assert environment["precision"]["name"] == "fp32"
    assert environment["training"]["steps"] == 12
    assert environment["packages"]["torch"]
    splits = read(run / "data.json")["splits"]
    assert {name: splits[name]["rows"] for name in ("train", "validation", "test")} == {
        "train": 180,
        "validation": 60,
        "test": 60,
    }


def test_the_history_holds_every_step_and_every_evaluation(run: Path) -> None:
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    steps = [entry for entry in history if "loss" in entry]
    assert [step["step"] for step in steps] == list(range(1, 13))
    assert all({"learning_rate", "grad_norm", "tweets_per_second", "epoch"} <= step.keys() for step in steps)
    assert [entry["step"] for entry in history if "eval_accuracy" in entry] == [6, 12]


def test_the_model_folder_holds_safetensors_and_no_pickle_and_no_path(run: Path) -> None:
    files = {path.name for path in (run / "model").rglob("*")}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    for file in (run / "model").glob("*.json"):
        if file.name != "tokenizer.json":
            content = file.read_text()
            assert not [part for part in (str(run.parent), str(Path.home()), "site-packages") if part in content], file


def test_no_host_and_no_home_in_the_reports(run: Path) -> None:
    for name in ("data.json", "metrics.json", "environment.json", "recipe.yaml"):
        content = (run / name).read_text()
        assert socket.gethostname() not in content, name
        assert "site-packages" not in content, name


def test_the_scores_are_those_of_the_saved_weights_in_a_bare_pipeline(run: Path) -> None:
    from transformers import pipeline

    metrics = read(run / "metrics.json")
    assert metrics["weights_sha256"] == hash_file(run / "model" / "model.safetensors")
    assert metrics["data_fingerprint"] == read(run / "data.json")["fingerprint"]
    pipe = pipeline("text-classification", model=str(run / "model"), device="cpu", top_k=None)
    splits = prepare_splits(saved_recipe(run).data).splits()
    for name in ("validation", "test", "manual"):
        truth = splits[name]["label"][:]
        answers = [{label["label"]: label["score"] for label in pipe(text)[0]} for text in splits[name]["text"]]
        positive = [answer["positive"] for answer in answers]
        predicted = [int(answer["positive"] >= answer["negative"]) for answer in answers]
        expected = {
            "accuracy": accuracy_score(truth, predicted),
            "f1": f1_score(truth, predicted),
            "roc_auc": roc_auc_score(truth, positive),
            "log_loss": log_loss(truth, positive),
        }
        scores = metrics["splits"][name]
        assert scores["n"] == len(truth)
        assert {key: scores[key]["value"] for key in expected} == pytest.approx(expected, abs=1e-5)


def test_the_saved_weights_are_the_best_checkpoints(run: Path) -> None:
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    evaluations = {entry["step"]: entry for entry in history if "eval_accuracy" in entry}
    training = read(run / "environment.json")["training"]
    best = evaluations[training["best_step"]]
    assert best["eval_accuracy"] == max(entry["eval_accuracy"] for entry in evaluations.values())
    scores = read(run / "metrics.json")["splits"]["validation"]
    assert scores["accuracy"]["value"] == pytest.approx(best["eval_accuracy"])
    assert scores["log_loss"]["value"] == pytest.approx(best["eval_log_loss"], abs=1e-5)


def test_a_finished_run_is_not_overwritten(run: Path, words: list[str], s140) -> None:
    before = hash_file(run / "model" / "model.safetensors")
    result = s140("train", "--output-dir", run, *words, "--json")
    assert "is finished: nothing is trained; --overwrite would" in result.stderr
    assert read(run / "metrics.json") == json.loads(result.stdout)["metrics"]
    result = s140("train", "--output-dir", run, *words, "--learning-rate", 3e-5, code=1)
    assert "a finished run that was started with another recipe: learning_rate: 0.0001 then" in result.stderr
    assert hash_file(run / "model" / "model.safetensors") == before


def test_overwrite_starts_again_and_json_is_one_object(classifier_folder: Path, tmp_path: Path, s140) -> None:
    folder = tmp_path / "run"
    changes = {"model_name_or_path": classifier_folder, "max_samples": 100, "validation_size": 20, "test_size": 20}
    s140("train", "--output-dir", folder, *flags(**changes, max_steps=1))
    result = s140("train", "--output-dir", folder, "--overwrite", *flags(**changes, max_steps=2), "--json")
    report = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert report["training"]["steps"] == 2
    assert report["metrics"] == read(folder / "metrics.json")
    assert report["run"] == str(folder)
    assert len((folder / "history.jsonl").read_text().splitlines()) == 4  # 2 steps, 1 evaluation, the summary


def test_a_folder_that_is_not_a_run_is_never_touched(tmp_path: Path, s140) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.txt").write_text("years of work")
    for flag in ([], ["--overwrite"], ["--resume"]):
        assert "not empty" in s140("train", "--output-dir", folder, *flags(), *flag, code=1).stderr
        assert [path.name for path in folder.iterdir()] == ["chapter1.txt"]
        assert "is a file" in s140("train", "--output-dir", folder / "chapter1.txt", *flags(), *flag, code=1).stderr
        assert (folder / "chapter1.txt").read_text() == "years of work"


MISTAKES = {
    ("--resume", "--overwrite"): "exclude each other",
    ("--set", "adam_beta2"): "KEY=VALUE",
    ("--set", "adam_beta3=1"): "did you mean adam_beta2",
    ("--learning-rate", "-1"): "learning_rate",
    ("--set", "hub_token=hf_x"): "hub_token",
    ("--lr-scheduler-type", "wavy"): "wavy",
    ("--dataset", "missing.csv"): "missing.csv",
    ("--model-name-or-path", "./missing"): "./missing",
    ("--recipe", "missing"): "missing",
}


def test_a_mistake_is_reported_before_anything_is_written(s140) -> None:
    failures = []
    for words, reason in MISTAKES.items():
        recipe = [] if "--recipe" in words else ["--recipe", "quickstart"]
        result = s140("train", *recipe, "--output-dir", "new", *words, code=1)
        if reason not in result.stderr or Path("new").exists():
            failures.append((words, result.output))
    assert failures == []


def test_the_default_folder_is_named_after_the_recipe(tmp_path: Path, s140, classifier_folder: Path) -> None:
    Path("mine.yaml").write_text(
        yaml.safe_dump(
            {
                "model": {"model_name_or_path": str(classifier_folder)},
                "data": {"dataset": "sample", "max_samples": 100, "validation_size": 20, "test_size": 0},
                "training": {"max_steps": 1, "report_to": "none", "adam_beta2": 0.98},
            }
        )
    )
    result = s140("train", "--recipe", "mine.yaml", "--learning-rate", 3e-4)
    assert (tmp_path / "runs" / "mine" / "model" / "model.safetensors").is_file()
    saved = yaml.safe_load((tmp_path / "runs" / "mine" / "recipe.yaml").read_text())["training"]
    assert (saved["learning_rate"], saved["adam_beta2"]) == (3e-4, 0.98)
    assert "accuracy" in result.stdout
    assert "test" not in read(tmp_path / "runs" / "mine" / "metrics.json")["splits"]


def test_a_folder_that_cannot_be_created_is_one_error_message(s140, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    result = s140("train", "--output-dir", tmp_path / "file" / "run", *flags(), code=1)
    assert "cannot be written" in result.stderr
    assert "Traceback" not in result.stderr


def test_names_that_are_not_unicode_cost_no_run(classifier_folder: Path, tmp_path: Path, s140) -> None:
    """Old archives have names in latin-1."""
    tweets, run = tmp_path / "caf\udce9.csv", tmp_path / "run"
    shutil.copy(str(files("sentiment140_bert.data") / "sample" / "tweets.csv"), tweets)
    words = ["train", *flags(model_name_or_path=classifier_folder, dataset=tweets, num_train_epochs=1), "--output-dir"]
    for more in ([run, "--run-name", "M\udcfcller"], [run, "--citation", "M\udcfcller"], [tmp_path / "R\udcfcn"]):
        assert "Unicode" in s140(*words, *more, code=1).stderr
    for command in ([*words, run], [*words, run], ["evaluate", run], ["report", run]):
        s140(*command)
    assert "Unicode" in s140("card", run, "--citation", "M\udcfcller", code=1).stderr
    s140("card", run)
