"""Measure validation accuracy over a grid of batch sizes and learning rates: how the fast recipes were chosen.

python scripts/benchmarks/rates.py --dataset tweets.csv --batch-sizes 64,512 --learning-rates 1e-4,2e-4
"""

from __future__ import annotations

import itertools
import json

import click

from accuracy import package
from benchmark import Script, dataset_option
from sentiment140_bert.cli.output import stdout_kept_clean
from sentiment140_bert.data import loading
from sentiment140_bert.recipe import Recipe


@click.command(cls=Script)
@dataset_option
@click.option("--model", default="bundled:minilm", show_default=True, help="The encoder that is fine-tuned.")
@click.option("--max-samples", type=int, help="Tweets drawn from the dataset.  [default: all]")
@click.option("--validation-size", type=float, default=0.05, show_default=True, help="Share or number of tweets.")
@click.option("--batch-sizes", default="32", show_default=True, help="Comma-separated, like the next three.")
@click.option("--learning-rates", default="1e-4", show_default=True)
@click.option("--warmup", default="0.06", show_default=True, help="Shares of all steps.")
@click.option("--seeds", default="42", show_default=True)
@click.option("--epochs", type=float, default=3.0, show_default=True)
def main(
    dataset: str,
    model: str,
    max_samples: int | None,
    validation_size: float,
    batch_sizes: str,
    learning_rates: str,
    warmup: str,
    seeds: str,
    epochs: float,
) -> None:
    """Train once for each point of a grid and print a line of JSON for it. The test split is not looked at."""
    recipe = Recipe().with_values(
        {
            "model_name_or_path": model,
            "dataset": dataset,
            "max_samples": max_samples,
            "validation_size": validation_size,
            "num_train_epochs": epochs,
        }
    )
    with stdout_kept_clean():
        data = loading.load_data(recipe)
    names = ("per_device_train_batch_size", "learning_rate", "warmup_steps", "seed")
    axes = (
        map(int, batch_sizes.split(",")),
        map(float, learning_rates.split(",")),
        map(float, warmup.split(",")),
        map(int, seeds.split(",")),
    )
    for values in itertools.product(*axes):
        point = dict(zip(names, values, strict=True))
        tuned = package(recipe.with_values(point), data)
        validation = round(float(tuned.correct["validation"].mean()), 5)
        print(json.dumps(point | {"validation": validation, "seconds": round(tuned.seconds, 1)}), flush=True)


if __name__ == "__main__":
    main()
