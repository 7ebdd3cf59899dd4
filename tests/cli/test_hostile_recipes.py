"""Malicious recipes quickly cause one error message; through ``s140 recipes validate``."""

from __future__ import annotations

from pathlib import Path

LAUGHS = "a: &a0 [lol, lol]\n" + "".join(f"b{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGES = "m0: &m0 {x: 1}\n" + "".join(f"m{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * 9)}]\n" for n in range(1, 20))

CASES = {
    LAUGHS + "model: {model_name_or_path: *a39}\n": "aliases (*name) are not supported",
    MERGES: "aliases (*name) are not supported",
    "model: {model_revision: !!python/object/apply:os.system [touch owned]}\n": "tags are not supported",
    "description: !!python/name:os.system\n": "tags are not supported",
    "training: {seed: !!int x}\n": "tags are not supported",
    "[" * 50_000: "nested too deeply",
    "{a: " * 50_000: "nested too deeply",
    "training: {seed: 1, seed: 2}\n": "duplicate key seed",
    "training: {learning_rate: .nan}\n": "must be a finite number, got nan",
    "training: {learning_rate: .inf}\n": "must be a finite number, got inf",
    "training: {learning_rate: 1e999}\n": "must be a finite number",
    "training: {seed: " + "9" * 4000 + "}\n": "must be at most 4294967295",
    "training: {seed: " + "9" * 5000 + "}\n": "not valid YAML",
    "training: {seed: '" + "9" * 5000 + "'}\n": "must be a valid integer",
    "training: {seed: 0x" + "f" * 9000 + "}\n": "number is too long",
    "training:\n  seed: 1" + ":59" * 3000 + "\n": "number is too long",
    "model: {model_revision: ../../../notes}\n": "must be a branch, tag or commit",
    "data: {dataset_revision: ..}\n": "must be a branch, tag or commit",
    "training: {eval_steps: 2001-99-99}\n": "not valid YAML",
    "training: {seed: 0b_}\n": "not valid YAML",
    "training: {seed: " + "x" * 150_000 + "}\n": "must be a valid integer",
    "? [a]\n: 1\n": "not valid YAML",
    "data:\n" + "".join(f"  unknown{n}: 1\n" for n in range(8_000)): "and more",
    "".join(f"unknown{n}: 1\n" for n in range(8_000)): "and more",
    "- a\n": "expected the sections",
    "just text": "got str",
    "data: [": "not valid YAML",
    "description: \0\n": "not valid YAML",
    "x" * 10_000_000: "more than the 200,000",
}


def test_malicious_recipes(s140) -> None:
    missed = []
    for recipe, message in CASES.items():
        Path("r.yaml").write_text(recipe, "utf-8")
        shown = s140("recipes", "validate", "r.yaml", code=1).stderr
        if message not in shown or len(shown) >= 12_000:
            missed.append((recipe[:60], message, shown[:200]))
    assert not missed
    assert not Path("owned").exists()


def test_a_recipe_that_is_not_text(s140) -> None:
    Path("r.yaml").write_bytes(b"description: \xff\xfe\n")
    assert "UTF-8" in s140("recipes", "validate", "r.yaml", code=1).stderr


def test_values_of_flags(s140) -> None:
    for value in ("2001-99-99", "!!int x", "[" * 2000, "9" * 5000, "*a", "{a: 1, a: 2}"):
        assert "seed" in s140("train", "--set", f"seed={value}", code=1).stderr
