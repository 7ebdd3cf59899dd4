"""The examples in the docstrings of the public functions run, with a tiny model in the place of the quickstart's."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import sentiment140_bert as s140

pytest_plugins = "model_fixtures"


class AnyLabel(doctest.OutputChecker):
    """Compares outputs apart from predictions: those of the tiny model are random."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        want, got = (re.sub(r"\b(?:positive|negative) [\d.]+", "PREDICTION", text) for text in (want, got))
        return super().check_output(want, got, optionflags)


def test_examples_in_docstrings_run(smallest_run: Path) -> None:
    shutil.copytree(smallest_run, "runs/quickstart")
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(AnyLabel())
    for name in s140.__all__:
        function = getattr(s140, name)
        for example in finder.find(function, name, globs={name: function}):
            runner.run(example)
    assert runner.summarize() == (0, 5)
