"""Print a row of the README's table: the mean accuracy of runs of one recipe with several seeds.

    python scripts/scores_table.py "small BERT, 22,000 tweets" runs/seed-42 runs/seed-43 runs/seed-44

Brackets are 95% intervals for other seeds and other tweets; the second row is the baseline on the same tweets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sentiment140_bert.errors import RunError, S140Error
from sentiment140_bert.experiments.series import measure_over_seeds, read_answers
from sentiment140_bert.recipe import list_differences
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.schemas.metrics import MeasuredScore

SPLITS = ("test", "manual")


def make_row(name: str, runs: list[RunDir]) -> str:
    """Return a row of Markdown: the name, the number of seeds, and the score on each of :data:`SPLITS`.

    Args:
        name: The first cell.
        runs: Finished ones, whose recipes differ in the seed and the name alone.

    Raises:
        RunError: They differ in more, or were scored on other tweets.
    """
    recipes = [saved_recipe(run.path).with_values({"seed": 0, "run_name": None}) for run in runs]
    answers = [read_answers(run, SPLITS) for run in runs]
    for run, recipe, answer in zip(runs, recipes, answers, strict=True):
        if differences := list_differences(recipes[0], recipe):
            raise RunError(f"{run.path} is of another recipe: {'; '.join(differences)}.", "Name runs of one recipe.")
        if [answer[split].sha256 for split in SPLITS] != [answers[0][split].sha256 for split in SPLITS]:
            raise RunError(f"{run.path} was scored on other tweets.", "Name runs on the same tweets.")
    right = {split: np.stack([answer[split].right for answer in answers]) for split in SPLITS}
    scores = [describe(measure_over_seeds(right[split], answers[0][split].labels)) for split in SPLITS]
    return f"| {name} | {len(runs)} | {' | '.join(scores)} |"


def describe(score: MeasuredScore) -> str:
    """Return a score and its interval, such as ``0.847 [0.812, 0.878]``."""
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def make_baseline_row(run: RunDir) -> str:
    """Return a row of Markdown with the scores of TF-IDF, trained on the same tweets; it depends on no seed."""
    splits = run.read_metrics()["splits"]
    scores = [describe(splits[split]["baselines"]["tfidf"]["accuracy"]) for split in SPLITS]
    return f"| TF-IDF, the same tweets | | {' | '.join(scores)} |"


def main() -> None:
    """Print the rows of the runs that were named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="The first cell.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="Runs of one recipe with several seeds.")
    arguments = parser.parse_args()
    runs = [RunDir(path) for path in arguments.runs]
    try:
        print(make_row(arguments.name, runs), make_baseline_row(runs[0]), sep="\n")
    except S140Error as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
