"""Scores on a terminal: each with its interval, and compared with the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment140_bert.cli.output import NO_BREAK, print_table, say
from sentiment140_bert.schemas import (
    BASELINES,
    SCORE_LABELS,
    SCORES,
    SPLIT_NAMES,
    Score,
    SplitScores,
    find_strongest_baseline,
    get_limits,
    pick,
)
from sentiment140_bert.schemas.metrics import COUNTS

if TYPE_CHECKING:
    from sentiment140_bert.evaluation.compare import ModelComparison

ERROR = "expected_calibration_error"
Splits = Mapping[str, SplitScores]


def print_summary(splits: Splits) -> None:
    """Print what matters of the scores on one screen: test and hand-labeled tweets, or else what was scored.

    Where some of them are in the training data, too, those without them stand next to them.
    """
    scored = {name: split for name, split in splits.items() if split["n"]}
    headlines = {name: split for name, split in scored.items() if name.removesuffix("_unseen") in ("test", "manual")}
    shown = _rename(headlines or scored)
    rows = [_make_row(shown, SCORE_LABELS[name], name) for name in ("accuracy", "macro_f1")]
    rows += [_make_row(shown, title, "baselines", name, "accuracy") for name, title in BASELINES.items()]
    print_table(
        [row for row in rows if any(row[1:])], ["", *(f"{name} ({split['n']:,})" for name, split in shown.items())]
    )
    say()
    for sentence in _compare_with_baseline(shown) + _name_weaknesses(shown):
        say(sentence, wraps=True)
    for name, split in shown.items():
        _print_leakage(name, split)


def _rename(splits: Splits) -> Splits:
    """Return splits by the names that people read."""
    return {SPLIT_NAMES.get(name, name): split for name, split in splits.items()}


def _compare_with_baseline(splits: Splits) -> list[str]:
    from sentiment140_bert.evaluation.intervals import SIGNIFICANT

    parts, is_worse = [], False
    for name, split in splits.items():
        baselines = split.get("baselines", {})
        strongest = find_strongest_baseline(baselines)
        if strongest is None:
            continue
        lift, p_value = baselines[strongest]["lift"]["value"], baselines[strongest]["p_value"]
        is_worse |= lift < 0 and p_value < SIGNIFICANT
        verdict = "significant" if p_value < SIGNIFICANT else "not significant"
        p_text = f"p = {p_value:.2g}" if p_value >= 0.001 else "p < 0.001"
        parts.append(f"{lift:+.3f} on {name} tweets ({verdict}, {p_text})")
    if is_worse:
        parts[-1] += ". Train on more tweets, or longer (--num-train-epochs)"
    return [f"Accuracy minus that of the strongest baseline: {', '.join(parts)}."] if parts else []


def _name_weaknesses(splits: Splits) -> list[str]:
    worse = [
        f"Weaker on {name} tweets with {part['name']}: {part['accuracy']['value']:.3f} "
        f"on {part['n']:,}, {part['rest']:.3f} on the rest."
        for name, split in splits.items()
        for part in split.get("slices", [])
        if part["worse"]
    ]
    if worse or not any(split.get("slices") for split in splits.values()):
        return worse
    return ["No kind of tweet is significantly worse than the rest."]


def print_scores(splits: Splits) -> None:
    """Print the scores of each split as a column, and remarks on them."""
    splits = _rename(splits)
    columns = list(splits.values())
    places: list[tuple[str, ...]] = [(SCORE_LABELS[name], name) for name in SCORES]
    places += [("calibration error", "calibration", ERROR), ("… calibrated", "calibrated", ERROR)]
    for name, title in BASELINES.items():
        places += [(title, "baselines", name, "accuracy"), ("… the model minus it", "baselines", name, "lift")]
    places += [
        ("accuracy where it is sure", "abstaining", "accuracy"),
        ("… share it answers", "abstaining", "coverage"),
        ("accuracy, three classes", "three_way", "accuracy"),
        ("macro recall, three classes", "three_way", "macro_recall"),
    ]
    for name in dict.fromkeys(label for split in columns for label in pick(split, "three_way", "recall") or ()):
        places.append((f"recall of {name}, three classes", "three_way", "recall", name))
    rows: list[list[object]] = [["tweets", *(f"{split['n']:,}" for split in columns)]]
    rows += [_make_row(splits, *place) for place in places]
    for name in COUNTS:
        counts = [pick(split, name, "value") for split in columns]
        rows.append([name.replace("_", " "), *("" if count is None else f"{count:,}" for count in counts)])
    rows.append(["neutral, left out", *(f"{split['neutral_left_out']:,}" for split in columns)])
    print_table([row for row in rows if any(row[1:])], ["", *splits])
    for name, split in splits.items():
        _print_remarks(name, split)


def _make_row(splits: Splits, label: str, *keys: str) -> list[object]:
    """Return a row of the scores that stand under these keys of each split."""
    return [label, *(_with_limits(pick(split, *keys)) for split in splits.values())]


def _with_limits(score: Score | None) -> str:
    if not score:
        return ""
    limits = get_limits(score)
    return f"{score['value']:.4f}" + (f" [{limits[0]:.3f},{NO_BREAK}{limits[1]:.3f}]" if limits else "")


def _print_remarks(name: str, split: SplitScores) -> None:
    from sentiment140_bert.evaluation.intervals import SIGNIFICANT

    for baseline, lift in split.get("baselines", {}).items():
        if lift["p_value"] >= SIGNIFICANT:
            say(
                f"{name}: the difference from {BASELINES[baseline]} is not significant "
                f"on {split['n']:,} tweets (p = {lift['p_value']:.2g})",
                wraps=True,
            )
    for part in split.get("slices", []):
        if part["worse"]:
            accuracy = _with_limits(part["accuracy"])
            say(
                f"{name}: worse on tweets with {part['name']}: {accuracy} on {part['n']:,}, else {part['rest']:.4f}",
                wraps=True,
            )
    _print_leakage(name, split)


def _print_leakage(name: str, split: SplitScores) -> None:
    leakage = split.get("leakage")
    if leakage and (leakage["exact"] or leakage["near"]):
        near = "near ones are not known" if leakage["near"] is None else f"{leakage['near']:,} more nearly"
        say(f"{name}: {leakage['exact']:,} of its tweets are in the training data, too, {near}", wraps=True)


def print_comparison(result: ModelComparison, differences: Path | None) -> None:
    """Print each model's accuracies, and for each pair whether the difference is significant."""
    models = result["models"]
    splits = _rename(next(iter(models.values())))
    rows = [
        [name, *(_with_limits(split.get("accuracy")) for split in scores.values())] for name, scores in models.items()
    ]
    print_table(rows, ["accuracy", *(f"{name} ({split['n']:,})" for name, split in splits.items())])
    say()
    for comparison in result["comparisons"]:
        say(f"{SPLIT_NAMES.get(comparison['split'], comparison['split'])}: {comparison['in_words']}", wraps=True)
    if differences:
        say(f"\n{result['differing']:,} tweets on which they differ: {differences}")
