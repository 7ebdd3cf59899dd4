"""The glossary's list of phrases to avoid, and American spelling, hold in the package, scripts, templates and pages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PHRASES = re.compile(
    r"\b(?:anew|beside|at hand|gone on with|go(?:es|ing)? on with|left away|leave \S+ away|shall|whoever|anybody"
    r"|somebody|likewise|mend(?:ed|s)?|is a sentence|(?:is|are) told|stands? in|lies? in|of one's own"
    r"|what is (?:read|there|left|asked|said))\b",
    re.IGNORECASE,
)
BRITISH = re.compile(  # "labelled:" documents an argument of that name
    r"labell(?:ed|ing)\b(?!:)|licence|colour|behaviour|neighbour|favour|catalogue|centre\b"
    r"|(?:normal|recogn|organ|summar|initial|optim|serial)is(?:e[ds]?|ing|ations?)\b",
    re.IGNORECASE,
)
GENITIVES = {"As", "By", "How", "Of", "What", "When", "Where", "Whether", "Which", "Who"}
CODE = [*ROOT.glob("sentiment140_bert/**/*.py"), *ROOT.glob("scripts/**/*.py")]
TEXTS = [
    *(ROOT / "scripts").rglob("*.sh"),
    *(ROOT / "scripts").rglob("*.yml"),
    *(ROOT / "scripts").rglob("*.ipynb"),
    *(ROOT / "sentiment140_bert").rglob("*.yaml"),
    *(ROOT / "model_card").glob("*.*"),
    *ROOT.glob("docs/*.md"),
    *(page for page in ROOT.glob("*.md") if page.name != "CHANGELOG.md"),
]


def read_prose(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the comments and strings of a Python file, or every line of another file, with its number."""
    text = file.read_text("utf-8")
    if file.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE"):
            yield token.start[0], " ".join(token.string.split())


@pytest.mark.parametrize("words", [PHRASES, BRITISH], ids=["phrases of the list", "British spelling"])
def test_they_do_not_occur(words: re.Pattern[str]) -> None:
    assert len(CODE) > 100
    phrases = [
        f"{file.relative_to(ROOT)}:{number}: {match[0]}"
        for file in (*CODE, *TEXTS)
        for number, text in read_prose(file)
        for match in words.finditer(text)
    ]
    assert phrases == []


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    genitives = [
        f"{file.relative_to(ROOT)}: {docstring.splitlines()[0]}"
        for file in CODE
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, documented)
        if (docstring := ast.get_docstring(node)) and docstring.split(maxsplit=1)[0] in GENITIVES
    ]
    assert genitives == []
