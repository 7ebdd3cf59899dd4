"""The wheel is whole: what is unpacked from it, and nothing of the checkout, trains and writes a card."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from command_line import complete
from tiny_run import flags

pytest_plugins = "hub_fixtures"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_recipes_sample_and_templates_are_in_it(unpacked: Path) -> None:
    package = unpacked / "sentiment140_bert"
    packaged = {path.name for path in (ROOT / "sentiment140_bert" / "recipes").glob("*.yaml")}
    assert {path.name for path in (package / "recipes").glob("*.yaml")} == packaged
    assert "local-8gb.yaml" in packaged
    assert {"tweets.csv", "manual.csv"} <= {path.name for path in (package / "data" / "sample").iterdir()}
    assert (package / "model_card" / "model_card.md").read_bytes() == (ROOT / "model_card/model_card.md").read_bytes()
    assert (package / "py.typed").is_file()
    assert not list(unpacked.rglob("test_*.py"))


def test_the_source_distribution_has_what_its_own_tests_read(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    for folder, file in (("docs", "*.md"), ("scripts", "*.sh"), ("tests", "*.py"), ("model_card", "*.md")):
        assert {str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(file)} <= names


@pytest.mark.long
def test_the_wheel_trains(unpacked: Path, encoder: Path, tmp_path: Path) -> None:
    words = ("train", *flags(num_train_epochs=1, model_name_or_path=encoder), "--output-dir", "run", "--json")
    stdout, _ = complete(*words, cwd=tmp_path, env={"PYTHONPATH": str(unpacked)}, fresh=True)
    assert json.loads(stdout)["metrics"]["splits"]["test"]["n"] == 60
    assert "model-index" in (tmp_path / "run/model/README.md").read_text("utf-8")
