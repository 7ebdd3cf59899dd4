"""The private names of transformers that training depends on: in the installed version, and in one file only."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import transformers

from sentiment140_bert.training import private_trainer

TRAINING = Path(private_trainer.__file__).parent


def find_private_names(file: Path) -> tuple[set[str], set[str]]:
    """Return the underscored names of attributes that a file uses, and those of attributes and functions it defines."""
    used, defined = set(), set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            is_own = isinstance(node.value, ast.Name) and node.value.id == "self" and isinstance(node.ctx, ast.Store)
            (defined if is_own else used).add(node.attr)
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("_"):
            defined.add(node.name)
    return used, defined


def test_the_installed_transformers_has_every_private_name() -> None:
    for name in private_trainer.PRIVATE:
        kind, _, attribute = name.partition(".")
        source = inspect.getsource(getattr(transformers, kind))
        assert re.search(rf"def {attribute}\(|self\.{attribute} =|{attribute}: ", source), name


def test_the_private_names_are_listed_and_used_in_one_file() -> None:
    names = {name.partition(".")[2] for name in private_trainer.PRIVATE}
    used, _ = find_private_names(Path(private_trainer.__file__))
    assert used == names
    for file in sorted(TRAINING.glob("*.py")):
        if file.name != "private_trainer.py":
            used, defined = find_private_names(file)
            assert used <= defined, file.name
