"""What ``curve.json`` says, as a page of Markdown and as CSV; nothing is computed here."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from sentiment140_bert.experiments.learning_curve.summary import SHOWN

COLUMNS = ("size", "seed", "state", "reason", "run", "steps", "seconds", "tweets_per_second", "cost", "machine")


def as_csv(curve: Mapping[str, Any]) -> str:
    """A row for each training."""
    scores = [f"{split}_{name}" for split in SHOWN for name in ("n", "accuracy", "low", "high", "tfidf")]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS[:5], *scores, *COLUMNS[5:]], lineterminator="\n")
    writer.writeheader()
    for size in curve["sizes"]:
        for point in size["points"]:
            plain = {name: point.get(name) for name in COLUMNS} | {"size": size["size"]}
            for split, found in point.get("splits", {}).items():
                plain |= {f"{split}_n": found["n"], f"{split}_accuracy": found["accuracy"]["value"]}
                plain |= {f"{split}_{name}": found["accuracy"][name] for name in ("low", "high")}
                plain[f"{split}_tfidf"] = found["tfidf"]["value"] if found["tfidf"] else None
            writer.writerow(plain)
    return text.getvalue()


def as_page(curve: Mapping[str, Any]) -> str:
    """The README of the curve's folder."""
    shown = [name for name in SHOWN if name in curve["data"]["splits"]]
    lines = [f"# Learning curve: {curve['name']}", "", *_introduction(curve), "", *_rows(curve, shown), ""]
    lines += ["![accuracy by training tweets](curve.png)", ""]
    for split in shown:
        fit = curve["fits"][split]
        lines += [f"- **{split}**: {fit.get('refused') or _fitted(fit)}"]
    lines += [
        "",
        "An accuracy is the mean over the seeds, with the least and the greatest of them; in brackets is the 95% "
        "interval for other tweets (Wilson). Every number is from `curve.json`.",
        "",
    ]
    unfinished = [
        f"- {size['size']:,} tweets, seed {point['seed']}: {point.get('reason') or 'not trained yet'}"
        for size in curve["sizes"]
        for point in size["points"]
        if point["state"] != "finished"
    ]
    if unfinished:
        lines += ["## What is missing", "", *unfinished, ""]
    return "\n".join(lines)


def _introduction(curve: Mapping[str, Any]) -> list[str]:
    splits = curve["data"]["splits"]
    held_out = " and ".join(f"{splits[name]['rows']:,} ({name})" for name in SHOWN if name in splits)
    model = curve["recipe"]["model"]["model_name_or_path"]
    lines = [
        f"`{model}`, fine-tuned on nested subsets of {splits['train']['rows']:,} tweets; the same {held_out} tweets "
        "are scored each time."
    ]
    return [*lines, *([curve["cut_short"]] if curve["cut_short"] else [])]


def _rows(curve: Mapping[str, Any], shown: list[str]) -> list[str]:
    costs = curve["price_per_hour"] is not None
    titles = ["training tweets", "seeds"]
    for split in shown:
        titles += [f"{split} accuracy", "TF-IDF"]
    titles += ["seconds", "tweets/s", *(["cost of all seeds"] if costs else [])]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---:|" * len(titles)]
    for size in curve["sizes"]:
        if "scores" not in size:
            continue
        cells = [f"{size['size']:,}", str(max(each["seeds"] for each in size["scores"].values()))]
        for split in shown:
            tfidf = size["tfidf"].get(split)
            cells += [_accuracy(size["scores"][split]), f"{tfidf['value']:.4f}" if tfidf else ""]
        cells += [f"{size['seconds']:,.0f}", f"{size['tweets_per_second']:,.0f}"]
        lines.append("| " + " | ".join([*cells, *([f"{size['cost']:.2f}"] if costs else [])]) + " |")
    return lines


def _accuracy(score: Mapping[str, Any]) -> str:
    seeds, rows = score["over_seeds"], score["over_rows"]
    among = f", {seeds['min']:.4f} to {seeds['max']:.4f}" if score["seeds"] > 1 else ""
    return f"{score['accuracy']:.4f}{among} ({rows['low']:.3f} to {rows['high']:.3f})"


def _fitted(fit: Mapping[str, Any]) -> str:
    a, b, c = fit["a"], fit["b"], fit["c"]
    floor = (
        f", and a floor of {c['value']:.3f} ({c['low']:.3f} to {c['high']:.3f})"
        if fit["floor_fitted"]
        else ", towards 0: a floor is fitted with four sizes or more"
    )
    guessing = ", ".join(f"{size:,}" for size in fit["left_out"])
    left_out = f" (without {guessing} tweets, where it guesses)" if guessing else ""
    return (
        f"the error falls as n^-b with b = {b['value']:.2f} ({b['low']:.2f} to {b['high']:.2f}), from {a['value']:.3f} "
        f"({a['low']:.3f} to {a['high']:.3f}) above its floor at {fit['n0']:,} tweets{floor}{left_out}. "
        f"{fit['sentence']}"
    )
