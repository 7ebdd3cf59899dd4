"""What ``tuning.json`` says, as a page of Markdown; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentiment140_bert.experiments.tune import pictures
from sentiment140_bert.experiments.tune.progress import shown

CAPTIONS = {
    pictures.HISTORY: "scores of the trials",
    pictures.IMPORTANCES: "what the differences between trials come from",
    pictures.PARALLEL: "the values of all complete trials",
}


def as_page(tuning: Mapping[str, Any], figures: Sequence[str]) -> str:
    """The README of a tuning's folder.

    Args:
        tuning: The content of ``tuning.json``.
        figures: Names of those that were drawn.
    """
    lines = [f"# Tuning: {tuning['name']}", "", *_introduction(tuning), ""]
    lines += [
        *_verdict(tuning),
        "",
        "## The best values",
        "",
        *_best(tuning),
        "",
        "## Trials",
        "",
        *_trials(tuning),
        "",
    ]
    for name in figures:
        lines += [f"![{CAPTIONS[name]}](figures/{name})", ""]
    if "refused" in tuning["importances"]:
        lines += [tuning["importances"]["refused"], ""]
    return "\n".join([*lines, "Every number is from `tuning.json`.", ""])


def _introduction(tuning: Mapping[str, Any]) -> list[str]:
    counts, splits = tuning["counts"], tuning["data"]["splits"]
    model = tuning["recipe"]["model"]["model_name_or_path"]
    metric = tuning["metric"].replace("_", " ")
    return [
        f"`{model}`, trained on {splits['train']['rows']:,} tweets; each trial is judged by its {metric} on the "
        f"{splits['validation']['rows']:,} validation tweets, and by nothing else. "
        f"{counts['complete']} trials came to their end, {counts['pruned']} were ended early, "
        f"{counts['failed']} failed (sampler {tuning['sampler']}, pruner {tuning['pruner']}, seed {tuning['seed']})."
    ]


def _verdict(tuning: Mapping[str, Any]) -> list[str]:
    final = tuning["final"]
    if not final:
        return ["The best values were not trained again here; the test tweets were not looked at."]
    if "same" in final:
        return [final["same"]]
    lines = ["## Is it better than the recipe as it is?", ""]
    lines += [
        "| tweets | n | best values | recipe as it is | difference, in points | 95% interval | p |",
        "|---|---:|---:|---:|---:|---|---:|",
    ]
    for split, each in final["splits"].items():
        gap = {name: 100 * value for name, value in each["difference"].items()}
        first, second = (_accuracy(each[side], each["seeds"]) for side in ("first", "second"))
        lines.append(
            f"| {split} | {each['n']:,} | {first} | {second} "
            f"| {gap['value']:+.2f} | {gap['low']:+.2f} to {gap['high']:+.2f} | {each['p_value']:.2g} |"
        )
    lines += ["", *(f"- {each['sentence']}" for each in final["splits"].values()), ""]
    too_good = (
        "The score on the validation tweets, by which the best trial was chosen among many, is too good by that choice."
    )
    return [*lines, f"{_seeds(final['seeds'])} {too_good}"]


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return (
            f"Both were trained with the seed {seeds[0]} alone. The interval is for other tweets, not for other seeds."
        )
    return (
        f"Both were trained with the seeds {', '.join(map(str, seeds))}: means, and in brackets the least and the "
        "greatest of them. The interval is for other seeds and other tweets."
    )


def _accuracy(each: Mapping[str, float], seeds: int) -> str:
    return f"{each['value']:.4f}" + (f" ({each['min']:.4f} to {each['max']:.4f})" if seeds > 1 else "")


def _best(tuning: Mapping[str, Any]) -> list[str]:
    best = tuning["best"]
    if not best:
        return ["No trial came to its end."]
    lines = [f"Trial {best['number']}, {tuning['metric'].replace('_', ' ')} {best['value']:.4f} (`best.yaml`):", ""]
    lines += ["| setting | best | recipe as it is | tried |", "|---|---:|---:|---|"]
    for name, value in best["values"].items():
        own = tuning["own_values"].get(name)
        lines.append(
            f"| `{name}` | {shown(value)} | {'' if own is None else shown(own)} | {_range(tuning['space'][name])} |"
        )
    return lines


def _range(each: Mapping[str, Any]) -> str:
    if "choices" in each:
        return ", ".join(shown(value) for value in each["choices"])
    how = " (log)" if each.get("log") else f" by {shown(each['step'])}" if each.get("step") else ""
    return f"{shown(each['low'])} to {shown(each['high'])}{how}"


def _trials(tuning: Mapping[str, Any]) -> list[str]:
    names = list(tuning["space"])
    titles = ["trial", tuning["metric"].replace("_", " "), "state", *(f"`{name}`" for name in names), "seconds"]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---:|" * len(titles)]
    sign = -1 if tuning["direction"] == "maximize" else 1
    order = {"complete": 0, "pruned": 1}
    for each in sorted(
        tuning["trials"], key=lambda each: (order.get(each["state"], 2), sign * (each["value"] or 0), each["number"])
    ):
        why = " ".join((each["reason"] or "").split()).replace("|", "\\|")
        state = f"{each['state']}: {why}" if why else each["state"]
        cells = [str(each["number"]), "" if each["value"] is None else f"{each['value']:.4f}", state]
        cells += [shown(each["values"][name]) if name in each["values"] else "" for name in names]
        lines.append("| " + " | ".join([*cells, "" if each["seconds"] is None else f"{each['seconds']:,.0f}"]) + " |")
    return lines
