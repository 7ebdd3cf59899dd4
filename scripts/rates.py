"""Validation accuracy over a grid of batch sizes and learning rates: how the fast recipes were chosen.

    python scripts/rates.py --dataset tweets.csv --max-samples 100000 --batch-sizes 64,512 --learning-rates 1e-4,2e-4

Prints a line of JSON for each point. The test split is not looked at.
"""

from __future__ import annotations

import argparse
import itertools
import json

from sentiment140_bert.recipe import Recipe
from sentiment140_bert.workflows import preparing
from sentiment140_bert.workflows.benchmarks.accuracy import package


def main() -> None:
    """Trains once for each point of the grid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="sample")
    parser.add_argument("--model", default="bundled:minilm")
    parser.add_argument("--max-samples", type=int)
    parser.add_argument("--validation-size", type=float, default=0.05)
    parser.add_argument("--batch-sizes", default="32")
    parser.add_argument("--learning-rates", default="1e-4")
    parser.add_argument("--warmup", default="0.06", help="Shares of all steps.")
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--seeds", default="42")
    given = parser.parse_args()
    recipe = Recipe().with_values(
        {
            "model_name_or_path": given.model,
            "dataset": given.dataset,
            "max_samples": given.max_samples,
            "validation_size": given.validation_size,
            "num_train_epochs": given.epochs,
        }
    )
    data = preparing.tokenized(recipe)
    grid = {
        "per_device_train_batch_size": map(int, given.batch_sizes.split(",")),
        "learning_rate": map(float, given.learning_rates.split(",")),
        "warmup_steps": map(float, given.warmup.split(",")),
        "seed": map(int, given.seeds.split(",")),
    }
    for values in itertools.product(*grid.values()):
        point = dict(zip(grid, values, strict=True))
        tuned = package(recipe.with_values(point), data)
        validation = round(float(tuned.right["validation"].mean()), 5)
        print(json.dumps(point | {"validation": validation, "seconds": round(tuned.seconds, 1)}), flush=True)


if __name__ == "__main__":
    main()
