"""The notebook: its cells, run as they stand, in a local session with small values in place of its widgets."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sentiment140_bert.errors import S140Error
from sentiment140_bert.platforms.notebook import PREFIX, widgets

pytest_plugins = ("spark_fixtures", "hub_fixtures")
NOTEBOOK = Path(__file__).resolve().parents[3] / "scripts" / "databricks" / "sentiment140_bert.py"


def cells() -> list[str]:
    head, _, rest = NOTEBOOK.read_text("utf-8").partition("\n")
    assert head == "# Databricks notebook source"
    return [cell.strip() for cell in rest.split("# COMMAND ----------")]


def code() -> list[str]:
    return [cell for cell in cells() if not cell.startswith("# MAGIC")]


def test_it_only_calls_the_library() -> None:
    for cell in code():
        for node in ast.walk(ast.parse(cell)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If | ast.For | ast.While | ast.Try)


def test_a_cell_is_either_magic_or_code() -> None:
    for cell in cells():
        lines = [line.startswith("# MAGIC") for line in cell.splitlines() if line.strip()]
        assert all(lines) or not any(lines)


@pytest.mark.long
def test_its_cells_train_and_label_a_table(spark: Any, table, encoder: Path, monkeypatch, shared: Path) -> None:
    values = {
        "model_name_or_path": str(encoder),
        "dataset": f"table:{table('notebook', 200)}",
        "max_samples": "100",
        "output_dir": str(shared / "run"),
        "report_to": "none",
        "input_table": table("to_label", 30),
        "output_table": "tweets.notebook_labels",
    }
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name.upper(), value)
    namespace: dict[str, Any] = {}
    try:
        for cell in code():
            exec(compile(cell, str(NOTEBOOK), "exec"), namespace)
        assert spark.table("tweets.notebook_labels").count() == 30
        weights = (shared / "run" / "model" / "model.safetensors").stat()
        train, label = (next(cell for cell in code() if f"s140.{verb}(" in cell) for verb in ("train", "spark_predict"))
        exec(compile(train, str(NOTEBOOK), "exec"), namespace)  # again: nothing is trained, and no table replaced
        assert (shared / "run" / "model" / "model.safetensors").stat() == weights
        with pytest.raises(S140Error, match="exists"):
            exec(compile(label, str(NOTEBOOK), "exec"), namespace)
    finally:
        spark.sql("DROP TABLE IF EXISTS tweets.notebook_labels")
    assert namespace["scored"]["count"] == 30
    assert json.loads((shared / "run" / "metrics.json").read_text()) == namespace["result"].metrics


def test_every_widget_is_used_and_every_value_asked_for_is_a_widget() -> None:
    text = "\n".join(code())
    created = set(re.findall(r"^    (\w+)=", text, re.MULTILINE))
    arguments = set(re.findall(r'chosen\["(\w+)"\]', text)) | {"model_name_or_path", "dataset", "report_to"}
    assert arguments == created


class Widgets:
    """Behave like dbutils.widgets: typed values stay when the cell is run again."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def text(self, name: str, value: str) -> None:
        self.values.setdefault(name, value)

    def get(self, name: str) -> str:
        return self.values[name]


def test_widgets_on_databricks_and_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    dbutils = SimpleNamespace(widgets=Widgets())
    assert widgets(dbutils, table="a.b.c") == {"table": "a.b.c"}
    dbutils.widgets.values["table"] = " x.y.z "
    assert widgets(dbutils, table="a.b.c") == {"table": "x.y.z"}
    assert widgets(None, table="a.b.c") == {"table": "a.b.c"}
    monkeypatch.setenv("S140_NOTEBOOK_TABLE", "from.the.environment")
    assert widgets(None, table="a.b.c") == {"table": "from.the.environment"}
