"""One training step of a model on the CPU, plain and with what makes it fast, in turns: what each part is worth.

    python scripts/step.py                          # 32 tweets of 22 tokens, BERT-base
    python scripts/step.py --profile first_onednn   # where the time of one way goes

The weights are random, the tweets have no padding, the optimizer is AdamW; the first step of each way is not counted.
`first_onednn` differs from `first_token` only where the package takes oneDNN by itself (modeling/onednn.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from sentiment140_bert.benchmark import Contender, Work, alternate, report_of
from sentiment140_bert.machine.usage import resident_peak

WAYS = {
    "plain": "as transformers makes it",
    "first_token": "the last layer for [CLS] alone",
    "first_onednn": "that, and linear layers by oneDNN",
}


def step(way: str, model: str, tweets: int, tokens: int) -> Callable[[], None]:
    """What takes a whole step: forward, backward, clipping, AdamW."""
    import torch

    from sentiment140_bert import modeling
    from sentiment140_bert.modeling.first_token import first_token_only
    from sentiment140_bert.modeling.onednn import use_onednn

    made = modeling.untrained(model, plain=True).train()
    if way != "plain":
        first_token_only(made)
    if way == "first_onednn":
        use_onednn(made)
    ids = torch.randint(1_000, made.config.vocab_size, (tweets, tokens))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.arange(tweets) % 2}
    optimizer = torch.optim.AdamW(made.parameters(), lr=2e-5, fused=True)

    def once() -> None:
        made(**given).loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    once()
    return once


def turn(way: str, model: str, tweets: int, tokens: int, steps: int) -> Callable[[], Work]:
    """A contender: so many steps."""
    once = step(way, model, tweets, tokens)

    def work() -> Work:
        for _ in range(steps):
            once()
        return Work(tweets * steps, tweets * steps * tokens)

    return work


def profiled(once: Callable[[], None]) -> str:
    """The twenty operators that take the most time of a step, with their share."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        once()
    return str(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=40))


def main() -> None:
    """Prints a line for each way, or the profile of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="google-bert/bert-base-uncased", help="Whose shape.")
    parser.add_argument("--tweets", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=22, help="Of each tweet.")
    parser.add_argument("--steps", type=int, default=3, help="In a turn.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", choices=WAYS)
    given = parser.parse_args()
    shape = {"model": given.model, "tweets": given.tweets, "tokens": given.tokens}
    if given.profile:
        print(profiled(step(given.profile, **shape)))
        return
    ways = [Contender(way, title, turn, {"way": way, "steps": given.steps} | shape) for way, title in WAYS.items()]
    turns, failed = alternate(ways, given.rounds, lambda said: print(said, flush=True), resident_peak)
    for each in report_of(ways, turns, failed, base="plain")["contenders"].values():
        if "rounds" not in each:
            print(f"{each['title']}: {each['failed']}")
            continue
        seconds = given.tweets / each["tweets_per_second"]
        print(f"{each['title']:<36}{each['tweets_per_second']:>7.1f} tweets/s{seconds:>8.3f} s a step")


if __name__ == "__main__":
    main()
