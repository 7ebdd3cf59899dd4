"""Committed notebooks: clean of outputs, and without logic."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from notebook_kernel import NOTEBOOK, ROOT, code_cells, read
from sentiment140_bert.platforms import notebook as library
from sentiment140_bert.recipe import list_recipes

NOTEBOOKS = sorted(
    path
    for path in ROOT.rglob("*.ipynb")
    if not {".venv", "runs", ".ipynb_checkpoints"} & set(path.relative_to(ROOT).parts)
)
LOGIC = (
    *(ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.For, ast.While, ast.Try, ast.With, ast.IfExp),
    ast.ListComp,
)


def code() -> list[str]:
    """Return the code cells without the install line, which is for the shell."""
    return [cell.source for cell in code_cells(read()) if not cell.source.startswith("!")]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_it_is_committed_without_outputs(file: Path) -> None:
    content = json.loads(file.read_text("utf-8"))
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert [cell["outputs"] for cell in cells if cell["outputs"]] == []
    assert [cell["execution_count"] for cell in cells if cell["execution_count"] is not None] == []
    assert set(content["metadata"]) <= {"accelerator", "colab", "kernelspec", "language_info"}
    assert set(content["metadata"]["language_info"]) == {"name"}
    assert not {key for cell in content["cells"] for key in cell["metadata"]} & {
        "executionInfo",
        "outputId",
        "ExecuteTime",
    }


LEFT = {
    "output": lambda content: content["cells"][2]["outputs"].append(
        {"output_type": "stream", "name": "stdout", "text": ["x"]}
    ),
    "count": lambda content: content["cells"][2].update(execution_count=1),
    "who ran it": lambda content: content["cells"][2]["metadata"].update(executionInfo={"user": {"displayName": "I"}}),
    "which python": lambda content: content["metadata"]["language_info"].update(version="3.12.12"),
}


def test_what_a_run_leaves_is_refused_and_stripped(tmp_path: Path) -> None:
    """Test the check of ``scripts/check.sh``, and the filter that ``scripts/setup.sh`` sets up."""
    keys = " ".join((ROOT / "scripts" / "colab" / "stripped_keys.txt").read_text().split())
    strip = [sys.executable, "-m", "nbstripout", "--extra-keys", keys]
    clean = json.loads(NOTEBOOK.read_text("utf-8"))
    assert clean["cells"][2]["cell_type"] == "code"
    assert subprocess.run([*strip, "--verify", str(NOTEBOOK)], capture_output=True).returncode == 0
    for name, leave in LEFT.items():
        content = json.loads(NOTEBOOK.read_text("utf-8"))
        leave(content)
        used = tmp_path / f"{name}.ipynb"
        used.write_text(json.dumps(content))
        assert subprocess.run([*strip, "--verify", str(used)], capture_output=True).returncode == 1, name
    subprocess.run([*strip, *map(str, tmp_path.iterdir())], check=True)
    assert [file.stem for file in tmp_path.iterdir() if json.loads(file.read_text()) != clean] == []


def test_cells_contain_no_logic() -> None:
    for source in code():
        tree = ast.parse(source)
        assert not [node for node in ast.walk(tree) if isinstance(node, LOGIC)], source
        assert len(tree.body) <= 3, source


def test_only_the_first_code_cell_is_the_shells() -> None:
    install, *others = [cell.source for cell in code_cells(read())]
    assert install.count("\n") == 0
    assert install.startswith("!s140 --version")
    assert not [source for source in others if re.search(r"^\s*[!%]", source, re.MULTILINE)]


def test_the_recipes_to_choose_from_exist() -> None:
    (form,) = [source for source in code() if "train_or_resume" in source]
    choices = json.loads(re.search(r"@param (\[.*?\])", form)[1])
    assert set(choices) - {"auto"} <= set(list_recipes())
    assert {"auto", library.WITH_GPU, library.WITHOUT_GPU} <= set(choices)


def test_it_is_opened_with_a_t4() -> None:
    metadata = read().metadata
    assert metadata.accelerator == "GPU"
    assert metadata.colab.gpuType == "T4"
