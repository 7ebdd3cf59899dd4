"""The wheel is whole: what is unpacked from it, and nothing of the checkout, trains and writes a card."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from building import ROOT, build
from command_line import complete
from tiny_run import flags

pytest_plugins = "hub_fixtures"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the wheel and the source distribution."""
    return build("wheel", tmp_path_factory.mktemp("wheel")), build("sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(distributions[0]) as archive:
        archive.extractall(folder)
    return folder


def test_pypi_accepts_them(distributions: tuple[Path, Path]) -> None:
    pytest.importorskip("twine", reason="twine is not installed: pip install -c constraints.txt '.[dev]'")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, distributions)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_recipes_sample_and_templates_are_in_it(unpacked: Path) -> None:
    package = unpacked / "sentiment140_bert"
    packaged = {path.name for path in (ROOT / "sentiment140_bert" / "recipes").glob("*.yaml")}
    assert {path.name for path in (package / "recipes").glob("*.yaml")} == packaged
    assert "local-8gb.yaml" in packaged
    assert {"tweets.csv", "manual.csv"} <= {path.name for path in (package / "data" / "sample").iterdir()}
    assert (package / "model_card" / "model_card.md").read_bytes() == (ROOT / "model_card/model_card.md").read_bytes()
    assert (package / "py.typed").is_file()
    assert not list(unpacked.rglob("test_*.py"))


def test_the_source_distribution_has_what_its_own_tests_read(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[1]) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    for folder, file in (
        (".github", "*.yml"),
        ("docs", "*.md"),
        ("scripts", "*.sh"),
        ("tests", "*.py"),
        ("model_card", "*.md"),
    ):
        assert {str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(file)} <= names


@pytest.mark.long
def test_the_wheel_trains(unpacked: Path, encoder: Path, tmp_path: Path) -> None:
    words = ("train", *flags(num_train_epochs=1, model_name_or_path=encoder), "--output-dir", "run", "--json")
    stdout, _ = complete(*words, cwd=tmp_path, env={"PYTHONPATH": str(unpacked)}, fresh=True)
    assert json.loads(stdout)["metrics"]["splits"]["test"]["n"] == 60
    assert "model-index" in (tmp_path / "run/model/README.md").read_text("utf-8")
