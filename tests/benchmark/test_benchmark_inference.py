"""scripts/benchmarks/inference.py, small: all contenders label the same tweets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification

import sentiment140_bert
from inference import draw_texts, main, package, pipeline

pytest_plugins = ("model_fixtures", "forked_contenders")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"{'what a lovely day ' * (1 + number % 4)}{number}\n" for number in range(40)), "utf-8")
    return file


@pytest.mark.long
def test_contenders_count_the_same_work(smallest_run: Path, texts: Path, tmp_path: Path) -> None:
    shutil.copytree(smallest_run, tmp_path / "run")
    sentiment140_bert.export(str(tmp_path / "run"), quantize="int8")
    options = {"model": str(tmp_path / "run"), "texts": str(texts), "count": 20, "seed": 3}
    reference = package(**options)()
    assert reference.tweets == 20
    for turn in (pipeline(**options), pipeline(**options, batch_size=32), package(**options, backend="onnx-int8")):
        assert turn() == turn() == reference


def test_fewer_texts_are_a_prefix_of_more(texts: Path) -> None:
    assert draw_texts(str(texts), 5, 3) == draw_texts(str(texts), 20, 3)[:5]


@pytest.mark.long
@pytest.mark.usefixtures("forked")
def test_labelling_is_compared_with_pipeline(run_script, smallest_run: Path, texts: Path) -> None:
    answer = run_script(
        main, smallest_run, "--texts", texts, "--tweets", 30, "--slow-tweets", 10, "--rounds", 1,
        "--only", "pipeline_32", "--only", "package", "--only", "onnx", "--json",
    )  # fmt: skip
    report = json.loads(answer.stdout)
    contenders = report["contenders"]
    assert (contenders["pipeline_32"]["tweets"], contenders["package"]["tweets"]) == (10, 30)
    assert "There is no ONNX export" in contenders["onnx"]["failed"]
    assert set(report["ratios"]) == {"package / pipeline_32"}
    model = AutoModelForSequenceClassification.from_pretrained(smallest_run / "model")
    assert report["flops_per_token"] == 2 * model.num_parameters(exclude_embeddings=True)


@pytest.mark.long
@pytest.mark.usefixtures("forked")
def test_where_nothing_could_be_measured_the_reason_is_the_answer(run_script, small_bert) -> None:
    options = ("--texts", "nothing.txt", "--rounds", 1, "--only", "package")
    answer = run_script(main, small_bert(), *options, code=1)
    assert answer.stdout == ""
    assert "Error: Nothing could be measured: There is no file nothing.txt. Check the path" in answer.stderr
