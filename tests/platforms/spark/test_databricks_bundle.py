"""The asset bundle, as far as it can be checked without a workspace: Databricks' own models, and every name in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from sentiment140_bert.cli import main
from sentiment140_bert.hub.secrets import find_secret
from sentiment140_bert.recipe import list_recipes

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "scripts" / "databricks"
BUNDLE = yaml.safe_load((FOLDER / "databricks.yml").read_text())
RESOURCES = {file: yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("resources/*.yml"))}
JOBS = {name: (file, job) for file, part in RESOURCES.items() for name, job in part["resources"]["jobs"].items()}
# What `databricks bundle schema` allows in these places.
KEYS = {
    "": {"bundle", "include", "artifacts", "variables", "targets", "sync", "workspace", "resources", "permissions"},
    "bundle": {"name", "uuid", "databricks_cli_version", "compute_id", "git", "deployment"},
    "artifacts": {"type", "path", "build", "executable", "files", "dynamic_version"},
    "variables": {"description", "default", "lookup", "type"},
    "targets": {"mode", "default", "workspace", "variables", "resources", "artifacts", "run_as", "presets", "sync"},
}


def tasks() -> Iterator[tuple[str, Path, dict[str, Any]]]:
    for name, (file, job) in JOBS.items():
        for task in job["tasks"]:
            yield name, file, task


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (str(key), *strings(item))
    elif isinstance(value, list):
        for entry in value:
            yield from strings(entry)
    else:
        yield str(value)


def filled(text: str) -> str:
    """Fill in the defaults of the variables and the id of a run."""
    text = text.replace("{{job.run_id}}", "17")
    return re.sub(r"\$\{var\.(\w+)\}", lambda match: str(BUNDLE["variables"][match[1]]["default"]), text)


def test_the_top_level_has_no_key_that_a_bundle_does_not_know() -> None:
    assert set(BUNDLE) <= KEYS[""]
    assert set(BUNDLE["bundle"]) <= KEYS["bundle"]
    for part in ("artifacts", "variables", "targets"):
        for name, item in BUNDLE[part].items():
            assert set(item) <= KEYS[part], f"{part}.{name}"
    assert {target["mode"] for target in BUNDLE["targets"].values()} <= {"development", "production"}
    assert [name for name, target in BUNDLE["targets"].items() if target.get("default")] == ["dev"]


@pytest.mark.parametrize("name", JOBS)
def test_databricks_own_models_take_the_job(name: str) -> None:
    """Show that they refuse unknown keys, missing ones, and values of another type."""
    from databricks.bundles.jobs import Job

    _, job = JOBS[name]
    parsed = Job.from_dict(job)
    assert parsed.as_dict() == job  # nothing was dropped
    for task in parsed.tasks:
        assert task.job_cluster_key in {cluster.job_cluster_key for cluster in parsed.job_clusters}


def test_every_variable_is_declared_described_and_used() -> None:
    text = "\n".join(text for part in (BUNDLE, *RESOURCES.values()) for text in strings(part))
    used = set(re.findall(r"\$\{([^}]+)\}", text)) - {"bundle.name", "bundle.target"}
    assert used == {f"var.{name}" for name in BUNDLE["variables"]}
    assert all(variable["description"] and "default" in variable for variable in BUNDLE["variables"].values())


def test_every_path_exists() -> None:
    for pattern in BUNDLE["include"]:
        assert list(FOLDER.glob(pattern))
    wheel = BUNDLE["artifacts"]["wheel"]
    project = (FOLDER / wheel["path"]).resolve()
    assert project == ROOT
    assert (project / "pyproject.toml").is_file()
    built = project / re.search(r"--wheel-dir (\S+)", wheel["build"])[1]
    for name, file, task in tasks():
        (library,) = task["libraries"]
        assert (file.parent / library["whl"]).parent.resolve() == built, name


def test_the_wheel_has_the_package_and_the_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, _, task in tasks():
        wheel = task["python_wheel_task"]
        assert wheel["package_name"].replace("_", "-") == project["name"], name
        assert wheel["entry_point"] in project["scripts"], name


def commands_of(parameters: list[str]) -> Iterator[tuple[click.Command, list[str]]]:
    """Yield the commands that these parameters call, each with its own part of them."""
    command: click.Command = main
    while isinstance(command, click.Group):
        command, parameters = command.commands[parameters[0]], parameters[1:]
    if "--" in parameters:
        at = parameters.index("--")
        yield command, parameters[:at]
        yield main.commands["train"], parameters[at + 1 :]
    else:
        yield command, parameters


@pytest.mark.parametrize("name", JOBS)
def test_every_parameter_is_an_option_of_the_command(name: str) -> None:
    for _, _, task in (item for item in tasks() if item[0] == name):
        for command, parameters in commands_of(
            [filled(parameter) for parameter in task["python_wheel_task"]["parameters"]]
        ):
            names = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
            arguments = [entry for entry in parameters if entry.startswith("--")]
            missing = [flag for flag in arguments if flag not in names]
            assert missing == [], f"s140 {command.name} has no {', '.join(missing)}"
            parsed = command.make_context(command.name, list(parameters)).params  # values of the right types, too
            if "recipe" in parsed:
                assert parsed["recipe"] in list_recipes()


def test_bundle_contains_no_secret() -> None:
    for file in [*FOLDER.rglob("*.yml"), *FOLDER.rglob("*.py")]:
        assert find_secret(file.read_bytes()) is None, file
    for _, (_, job) in JOBS.items():
        for cluster in job["job_clusters"]:
            for name, value in cluster["new_cluster"]["spark_env_vars"].items():
                if "TOKEN" in name or "KEY" in name:
                    assert re.fullmatch(r"\{\{secrets/\$\{var\.secret_scope\}/\w+\}\}", value), name


def test_the_page_names_every_job_and_variable() -> None:
    page = (ROOT / "docs" / "databricks.md").read_text("utf-8")
    for name in (*JOBS, *BUNDLE["variables"]):
        assert f"`{name}`" in page, name
