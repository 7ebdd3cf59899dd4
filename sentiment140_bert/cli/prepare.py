"""``s140 prepare``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options, recipe_option, recipe_options, resolve_recipe
from sentiment140_bert.cli.output import print_json, print_result, print_table, say, stdout_kept_clean
from sentiment140_bert.text import to_line

if TYPE_CHECKING:
    from sentiment140_bert.data.loading import Preparation
    from sentiment140_bert.data.reading import Preview

STEPS = {
    "rows_read": "rows read",
    "bad_rows": "malformed, skipped",
    "dropped_by_label_map": "dropped by the label map",
    "empty": "empty, left out",
    "repaired": "repaired (entities, mojibake)",
    "masked": "masked (users, URLs)",
    "neutral": "neutral, kept apart",
    "in_manual_test": "also in the manual test, left out",
    "duplicates": "duplicates of an earlier text, left out",
    "conflicting_texts": "texts with several labels",
    "conflicting_rows": "rows with such a text",
    "conflicting_dropped": "of these, left out",
    "distinct": "distinct tweets",
    "drawn": "drawn",
    "suspects_dropped": "suspects, left out of train",
    "left_out_of_train": "left out by --max-train-samples",
}
SHARED = {
    "exact": "the same text",
    "near": "nearly the same",
    "same_user": "by a user of train",
    "overlapping_in_time": "not later than train",
}


@cloup.command(cls=Command)
@recipe_option
@recipe_options("data", aliases={"split_seed": ["--seed"]})
@recipe_options("model")
@cloup.option("--dry-run", is_flag=True, help="Only show how the file is read: its columns and first rows.")
@output_options
def prepare(recipe: str | None, dry_run: bool, as_json: bool, **flags: Any) -> None:
    """Clean, deduplicate, split and tokenize tweets.

    Shows how many tweets are left after each step. The result is cached by content; `s140 train` with the same
    settings finds it there (its --seed is the seed of training; the seed of the splits is --split-seed in both).
    """
    chosen = resolve_recipe(recipe, flags)
    with stdout_kept_clean():
        import sentiment140_bert

        preview = sentiment140_bert.preview(chosen) if dry_run else None
        report = None if dry_run else sentiment140_bert.prepare(chosen)
    if preview:
        print_preview(preview, as_json)
    if report:
        print_result(report, as_json, print_report)


def print_report(report: Preparation) -> None:
    """Print how many tweets are left after each step, and in each split."""
    for role, source in (("training", report["sources"]["training"]), ("manual", report["sources"].get("manual"))):
        if source:
            kind = source["encoding"] or "table"
            say(f"{role}: {source['name']}  {source['rows']:,} rows, labels {source['labels']}, {kind}")
    print_table([[text, report["steps"][step]] for step, text in STEPS.items() if step in report["steps"]])
    say()
    quantiles = ("p50", "p90", "p99", "max", "truncated")
    rows = [
        [
            name,
            *(split.get(count) for count in ("rows", "negative", "positive", "neutral")),
            *map({**split["token_length"]}.get, quantiles),
        ]
        for name, split in report["splits"].items()
    ]
    header = ["split", "tweets", "negative", "positive", "neutral", "tokens p50", "p90", "p99", "max", "cut"]
    print_table(rows, header)
    print_leakage(report.get("leakage", {}))
    say(f"\nfingerprint {report['fingerprint'][:16]}, seed {report['seed']}")
    if report["bad_rows_file"]:
        say(f"malformed rows and reasons: {report['bad_rows_file']}")
    say(f"kept in {report['folder']}")


def print_leakage(leakage: Mapping[str, Any]) -> None:
    """Print the number of rows that each split shares with the train split."""
    if leakage:
        say("\nshared with train:")
        rows = [
            [name, *("unknown" if counts[kind] is None else counts[kind] for kind in SHARED)]
            for name, counts in leakage.items()
        ]
        print_table(rows, ["split", *SHARED.values()])


def print_preview(preview: Preview, as_json: bool) -> None:
    """Print the format of a file and its first rows."""
    if as_json:
        print_json({"found": dict(preview.facts), "rows": preview.rows})
        return
    print_table([[what, how] for what, how in preview.facts])
    for row in preview.rows:
        say(f"\nrow {row['row']}: {row['label']}")
        names = [name for name in ("text", "user", "time", "topic") if row[name] is not None]
        print_table([[f"  {name}", to_line(row[name] or "")] for name in names])
