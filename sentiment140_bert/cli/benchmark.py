"""``s140 benchmark``"""

from __future__ import annotations

from typing import Any

import click

from sentiment140_bert.cli.options import (
    Decorator,
    json_option,
    recipe_option,
    recipe_options,
    resolved,
    set_option,
)
from sentiment140_bert.cli.output import print_json, print_table, say, stdout_kept_clean

rounds_option = click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Turns of each contender."
)
seed_option = click.option("--seed", type=int, default=42, show_default=True, help="Of the tweets that are drawn.")
dataset_option = click.option(
    "--dataset", default="sample", show_default=True, help="Where the tweets come from, as in a recipe."
)


def only_option(*names: str) -> Decorator:
    """Which contenders are measured."""
    choice = click.Choice(names)
    return click.option("--only", type=choice, multiple=True, help="A contender to measure; repeatable. [default: all]")


@click.group()
def benchmark() -> None:
    """Measure on this machine how fast this package is, beside others and beside what the hardware can do.

    The contenders work in turns, each in a process of its own, so that a machine that slows down slows all of them
    down. Medians over the rounds are shown; ratios are those of the same round.
    """


@benchmark.command()
@click.option("--model", default="google-bert/bert-base-uncased", show_default=True, help="Whose shape is trained.")
@click.option("--tokenizer", default=None, help="Whose tokens the tweets become.  [default: the model's]")
@dataset_option
@click.option(
    "--tweets", type=click.IntRange(1), help="Of a turn of trainer and package.  [default: 320; on a GPU 40,960]"
)
@click.option("--batch-size", type=click.IntRange(1), help="Of trainer and package.  [default: 32; on a GPU 512]")
@click.option(
    "--slow-steps",
    type=click.IntRange(1),
    help="In a turn of notebook and script; tutorial makes four times as many.  [default: 1; on a GPU 20]",
)
@rounds_option
@only_option("notebook", "script", "tutorial", "trainer", "package")
@seed_option
@json_option
def training(model: str, tokenizer: str | None, only: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """Train a model of some shape: as the original notebook, as transformers' script, as a plain Trainer, as we do."""
    with stdout_kept_clean():
        from sentiment140_bert.workflows.benchmarking import benchmark_training

        found = benchmark_training(model, tokenizer or model, only=only, **settings)
    shown(found, as_json)


@benchmark.command()
@click.argument("model")
@click.option("--texts", required=True, help="File with tweets, as --input of `s140 predict` takes it.")
@click.option("--tweets", type=click.IntRange(1), default=4000, show_default=True, help="Of one turn.")
@click.option("--slow-tweets", type=click.IntRange(1), help="Of one turn of pipeline.  [default: a tenth]")
@rounds_option
@only_option("pipeline", "pipeline_32", "package", "onnx", "onnx_int8")
@seed_option
@json_option
def inference(model: str, texts: str, only: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """Label tweets with MODEL (a run or a folder): by transformers' pipeline, by `s140 predict`, by its exports.

    `s140 export MODEL` and `s140 export MODEL --quantize int8` make the exports.
    """
    with stdout_kept_clean():
        from sentiment140_bert.workflows.benchmarking import benchmark_inference

        found = benchmark_inference(model, texts, only=only, **settings)
    shown(found, as_json)


@benchmark.command()
@dataset_option
@click.option("--tokenizer", default="google-bert/bert-base-uncased", show_default=True, help="Of which model.")
@click.option("--rows", type=click.IntRange(1), help="Drawn from all of the dataset.  [default: all]")
@rounds_option
@only_option("pandas_map", "package", "tokenizer_alone")
@json_option
def prepare(dataset: str, tokenizer: str, only: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """Prepare tweets: by pandas and Dataset.map, by `s140 prepare`; beside them, what the tokenizer alone takes."""
    with stdout_kept_clean():
        from sentiment140_bert.workflows.benchmarking import benchmark_prepare

        found = benchmark_prepare(dataset, tokenizer, only=only, **settings)
    shown(found, as_json)


@benchmark.command()
@recipe_option
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Fine-tunings in each way.")
@click.option("--only", type=click.Choice(["package", "trainer"]), multiple=True, help="[default: both]")
@recipe_options("model", "data", "training")
@set_option
@json_option
def accuracy(
    recipe: str | None,
    seeds: int,
    only: tuple[str, ...],
    assignments: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Fine-tune as we do and as a plain Trainer does, with the same seeds: being fast must not cost accuracy.

    Takes a recipe and flags as `s140 train` does; saves nothing, and scores the weights of the last step.
    """
    chosen = resolved(recipe or "quickstart", flags, assignments)
    with stdout_kept_clean():
        from sentiment140_bert.workflows.same_accuracy import WAYS, benchmark_accuracy

        found = benchmark_accuracy(chosen, seeds, only or WAYS)
    if as_json:
        print_json(found)
        return
    scored = [name for name in ("validation", "test", "manual") if name in found["runs"][0]]
    keys = ("way", "seed", *scored, "tweets_per_second")
    print_table([[each[key] for key in keys] for each in found["runs"]], keys)
    for way, mean in found["means"].items():
        spread = "" if mean["spread"] is None else f", spread over the seeds {mean['spread']:.4f}"
        say(f"{way}: test {mean['test']:.4f}{spread}")
    difference = found["difference"]
    if difference:
        limits = "" if difference["low"] is None else f" [{difference['low']:+.4f}, {difference['high']:+.4f}]"
        say(f"package - trainer: {difference['mean']:+.4f}{limits}")


def shown(found: dict[str, Any], as_json: bool) -> None:
    """The report as JSON, or as a table for people."""
    if as_json:
        print_json(found)
        return
    header = ("", "tweets/s", "tokens/s", "of the ceiling", "memory", "GPU memory")
    print_table([_row(each) for each in found["contenders"].values()], header)
    machine = found["machine"]
    say()
    for each in found["contenders"].values():
        if each["failed"]:
            say(f"{each['title']}: {each['failed']}")
    if found["ceiling"]:
        say(f"ceiling: {found['ceiling']:,.0f} GFLOP/s, the best matrix product of the same rounds")
    for names, ratio in found["ratios"].items():
        say(f"{names}: {ratio:.2f}")
    say(f"{machine['gpu'] or machine['cpu']}, {machine['threads']} threads, {found['rounds']} rounds")


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    if "rounds" not in each:
        return each["title"], "failed", "", "", "", ""
    share, memory, gpu = each.get("share_of_ceiling"), each["memory"], each["gpu_memory"]
    return (
        each["title"],
        f"{each['tweets_per_second']:,.1f}",
        f"{each['tokens_per_second']:,.0f}",
        f"{share:.1%}" if share else "",
        f"{memory:,} MiB" if memory else "",
        f"{gpu:,} MiB" if gpu else "",
    )
