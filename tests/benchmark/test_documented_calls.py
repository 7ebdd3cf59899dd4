"""The documentation calls the scripts with options that they have."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CALL = re.compile(r"python scripts/benchmarks/(\w+)\.py((?:\\\n|[^`\n#])*)")


def test_every_documented_call_has_options_that_exist() -> None:
    text = "\n".join(page.read_text("utf-8") for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
    calls = [(script, re.findall(r"(?<![\w-])--[a-z][\w-]*", words)) for script, words in CALL.findall(text)]
    assert {script for script, _ in calls} == {"accuracy", "inference", "prepare", "rates", "step", "training"}
    options = {
        script: {option for parameter in import_module(script).main.params for option in parameter.opts}
        for script, _ in calls
    }
    assert [(script, name) for script, names in calls for name in names if name not in options[script]] == []
