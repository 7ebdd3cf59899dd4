"""The figures of a benchmark: medians over the rounds, ratios within them, the share of the ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from sentiment140_bert.benchmark.contender import Contender, Measured

CEILING = "ceiling"


def report_of(
    contenders: Sequence[Contender],
    turns: Mapping[str, list[Measured]],
    failed: Mapping[str, str],
    flops_per_token: float | None = None,
    base: str = "package",
) -> dict[str, Any]:
    """What is written as JSON.

    Args:
        contenders: In the order to be shown; one may be named ``ceiling``.
        turns: Of each.
        failed: Why some could not do the work, or not to the end.
        flops_per_token: Of the model, nominal: what the last layer leaves out counts as done, so that a share of the
            ceiling above 1 can be reached by leaving out more.
        base: The contender that the others are compared with, round by round.

    Returns:
        ``ceiling`` and ``ceiling_of_torch`` (GFLOP/s), ``contenders`` and ``ratios``; docs/performance.md tells more.
    """
    ceiling = turns.get(CEILING, [])
    rate = median(each.work.flops / each.seconds for each in ceiling) if ceiling else None
    report: dict[str, Any] = {
        "ceiling": rate and round(rate / 1e9, 1),
        **(_notes(ceiling) if ceiling else {}),
        "flops_per_token": flops_per_token,
        "contenders": {},
        "ratios": {},
    }
    for contender in contenders:
        made = turns[contender.name]
        if contender.name == CEILING:
            continue
        described = {"title": contender.title, "failed": failed.get(contender.name), **(_figures(made) if made else {})}
        if made and rate and flops_per_token:
            described["share_of_ceiling"] = round(described["tokens_per_second"] * flops_per_token / rate, 4)
        report["contenders"][contender.name] = described
        both = list(zip(turns.get(base, []), made, strict=False))  # who failed has fewer rounds
        if both and contender.name != base:
            ratio = median(speed(ours) / speed(theirs) for ours, theirs in both)
            report["ratios"][f"{base} / {contender.name}"] = round(ratio, 2)
    return report


def speed(turn: Measured) -> float:
    """Tweets a second."""
    return turn.work.tweets / turn.seconds


def _figures(made: Sequence[Measured]) -> dict[str, Any]:
    last = made[-1]
    return {
        "tweets_per_second": round(median(map(speed, made)), 2),
        "tokens_per_second": round(median(each.work.tokens / each.seconds for each in made), 1),
        "rounds": [round(speed(each), 2) for each in made],
        "tweets": last.work.tweets,
        "tokens": last.work.tokens,
        "seconds": round(median(each.seconds for each in made), 4),
        "memory": max((each.memory for each in made if each.memory is not None), default=None),
        "gpu_memory": max((each.gpu_memory for each in made if each.gpu_memory is not None), default=None),
        **_notes(made),
    }


def _notes(made: Sequence[Measured]) -> dict[str, float]:
    """Medians of what the contender noted itself."""
    return {name: round(median(each.work.notes[name] for each in made), 4) for name in made[0].work.notes}
