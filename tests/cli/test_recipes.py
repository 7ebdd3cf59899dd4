"""``s140 recipes``"""

from __future__ import annotations

import json

import pytest
import yaml

from sentiment140_bert.recipe import load_recipe, read_recipe
from test_recipe import NAMES


def test_ls(s140):
    lines = s140("recipes", "ls").stdout.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    described = json.loads(s140("recipes", "ls", "--json").stdout)
    assert {name: load_recipe(name).description for name in NAMES} == described


def test_show(s140):
    for name in NAMES:
        whole = load_recipe(name).to_dict()
        assert s140("recipes", "show", name).stdout == read_recipe(name)
        assert yaml.safe_load(s140("recipes", "show", name, "--resolved").stdout) == whole
        assert json.loads(s140("recipes", "show", name, "--json").stdout) == whole


def test_cp_and_validate(s140, tmp_path):
    target = tmp_path / "new" / "mine.yaml"
    assert str(target) in s140("recipes", "cp", "quickstart", target).stdout
    assert target.read_text() == read_recipe("quickstart")
    assert json.loads(s140("recipes", "validate", target, "--json").stdout) == {"recipe": str(target), "valid": True}
    assert s140("recipes", "validate", target).stdout == f"{target}: valid\n"


def test_cp_overwrites_only_with_force(s140, tmp_path):
    target = tmp_path / "mine.yaml"
    target.write_text("precious")
    assert "exists" in s140("recipes", "cp", "quickstart", target, code=1).stderr
    assert target.read_text() == "precious"
    copied = json.loads(s140("recipes", "cp", "quickstart", target, "--overwrite", "--json").stdout)
    assert copied == {"recipe": "quickstart", "target": str(target)}
    assert target.read_text() == read_recipe("quickstart")


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_validate_lists_everything_that_is_wrong(s140, tmp_path, as_json):
    (tmp_path / "bad.yaml").write_text("data:\n  max_sample: 1\ntraining:\n  learning_rate: fast\n  hub_token: x\n")
    result = s140("recipes", "validate", "bad.yaml", *as_json, code=1)
    assert result.stdout == ""
    assert "3 problems in bad.yaml" in result.stderr
    for part in ("did you mean max_samples?", "learning_rate: must be a valid number", "hub_token cannot be set"):
        assert part in result.stderr


@pytest.mark.parametrize("command", [["show"], ["validate"], ["cp"]])
def test_a_missing_recipe(s140, command):
    target = ["x.yaml"] if command == ["cp"] else []
    result = s140("recipes", *command, "nobody", *target, code=1)
    assert "There is no recipe 'nobody'" in result.stderr
    assert "quickstart" in result.stderr
