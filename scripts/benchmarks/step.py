"""Measure one training step of a model on the CPU, plain and with what makes it fast, in turns.

    python scripts/benchmarks/step.py                          # 32 tweets of 22 tokens, BERT-base
    python scripts/benchmarks/step.py --profile first_onednn   # where the time of one way goes

The weights are random, the tweets have no padding, the optimizer is AdamW; the first step of each way is not counted.
`first_onednn` differs from `first_token` only where the package takes oneDNN by itself (models/fast.py).
"""

from __future__ import annotations

from collections.abc import Callable

import click

from benchmark import Contender, Script, Work, measure, print_report, rounds_option
from sentiment140_bert.cli.options import output_options
from sentiment140_bert.cli.output import say, stdout_kept_clean

WAYS = {
    "plain": "as transformers makes it",
    "first_token": "the last layer for [CLS] alone",
    "first_onednn": "that, and linear layers by oneDNN",
    "compiled": "the last layer for [CLS] alone, layers compiled (torch_compile)",
}


def make_step(way: str, model: str, tweets: int, tokens: int) -> Callable[[], None]:
    """Return what takes a whole step: forward, backward, clipping, AdamW."""
    import torch
    from accelerate.utils import compile_regions

    from sentiment140_bert import models
    from sentiment140_bert.models.fast import compute_first_token_only, use_onednn

    classifier = models.build_untrained(model, plain=True).train()
    if way != "plain":
        compute_first_token_only(classifier)
    if way == "first_onednn":
        use_onednn(classifier)
    computed = compile_regions(classifier, dynamic=True) if way == "compiled" else classifier
    ids = torch.randint(1_000, classifier.config.vocab_size, (tweets, tokens))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.arange(tweets) % 2}
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=2e-5, fused=True)

    def step() -> None:
        computed(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step()
    return step


def take_steps(way: str, model: str, tweets: int, tokens: int, steps: int) -> Callable[[], Work]:
    """Build a contender: so many steps in a turn."""
    step = make_step(way, model, tweets, tokens)

    def turn() -> Work:
        for _ in range(steps):
            step()
        return Work(tweets * steps, tweets * steps * tokens)

    return turn


def profile_step(step: Callable[[], None]) -> str:
    """Return the twenty operators that take the most time of a step, with their share."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    return str(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=40))


@click.command(cls=Script)
@click.option("--model", default="google-bert/bert-base-uncased", show_default=True, help="Whose shape is trained.")
@click.option("--tweets", type=click.IntRange(1), default=32, show_default=True, help="In a step.")
@click.option("--tokens", type=click.IntRange(1), default=22, show_default=True, help="In each tweet.")
@click.option("--steps", type=click.IntRange(1), default=3, show_default=True, help="In a turn.")
@rounds_option
@click.option("--profile", type=click.Choice(list(WAYS)), help="Print where the time of one way goes instead.")
@output_options
def main(model: str, tweets: int, tokens: int, steps: int, rounds: int, profile: str | None, as_json: bool) -> None:
    """Train a model of some shape, plain and with what makes it fast: what each part is worth."""
    if profile:
        say(profile_step(make_step(profile, model, tweets, tokens)))
        return
    shape = {"model": model, "tweets": tweets, "tokens": tokens}
    contenders = [
        Contender(way, title, take_steps, {"way": way, "steps": steps} | shape) for way, title in WAYS.items()
    ]
    with stdout_kept_clean():
        report = measure("step", shape, contenders, rounds, base="plain")
    print_report(report, as_json)


if __name__ == "__main__":
    main()
