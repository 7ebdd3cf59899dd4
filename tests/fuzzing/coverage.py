"""Inputs found by coverage, by atheris: slower than the seeded ones, and led to lines that they miss."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fuzzing.limits import time_limited
from fuzzing.loop import Target


def explored(make: Callable[[], Target], folder: Path, inputs: int, seed: int, minutes: float) -> None:
    """Tries inputs until so many were tried or something is wrong; that one is then saved as ``crash-…``.

    Args:
        make: Makes the target; what is imported meanwhile is watched.
        folder: For the corpus and what is found.
        inputs: How many.
        seed: Of the engine.
        minutes: After which no more are tried; 0: no limit.
    """
    import atheris

    with atheris.instrument_imports(include=["sentiment140_bert"]):
        target = make()
        target.check(target.corpus()[0])
    outcomes: Counter[str] = Counter()

    def one(raw: bytes) -> None:
        with time_limited():
            outcomes[target.check(raw)] += 1
        if sum(outcomes.values()) == inputs:
            print(f"{target.name}: {inputs:,} inputs, led by coverage", *outcomes.most_common(), sep="\n  ", flush=True)

    corpus = folder / f"corpus-{target.name}"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.corpus()):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-runs={inputs}", f"-seed={seed}", f"-max_total_time={int(60 * minutes)}", "-max_len=20000"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(corpus)], one)
    atheris.Fuzz()
