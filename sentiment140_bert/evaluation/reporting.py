"""``s140 report``: a run's scores, and the tweets that it gets wrong, on one page."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.cards.model import read_scores
from sentiment140_bert.errors import RunError, first_line
from sentiment140_bert.inference import answering
from sentiment140_bert.models.labels import LABEL_NAMES, NEGATIVE, NEUTRAL, POSITIVE, map_labels
from sentiment140_bert.run_dir import RunDir, write_text
from sentiment140_bert.runs import public, saved_recipe, title_of

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment140_bert.cards.facts import Facts
    from sentiment140_bert.cards.report import Mistake
    from sentiment140_bert.evaluation.calibration import Calibration

log = logging.getLogger(__name__)
ERRORS = 200
WEIGHED = 100  # of each split, the surest; weighing a tweet's words costs as much as scoring some 70 tweets
COLUMNS = ("split", "text", "label", "positive", "topic")


def report(path: Path, output: Path | None = None, errors: int = ERRORS, attributions: bool = True) -> dict[str, Any]:
    """Writes one HTML file that shows what a finished run's scores say, and the tweets it is surest of and wrong about.

    Args:
        path: The run directory.
        output: The file; RUN/report.html when None.
        errors: Tweets to list of each split, at most.
        attributions: Whether to weigh the words of the surest ``WEIGHED`` of them, for which the model is loaded.

    Returns:
        ``report``, the file's path, and for each split how many ``errors`` there are and how many are ``listed``.

    Raises:
        RunError: The run is not finished, was scored with other weights, or lacks ``predictions.parquet``.
        MissingExtra: ``attributions``, and captum is not installed.
    """
    from sentiment140_bert.cards.report import render_report

    if output and output.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"{output} is no name for a page.", "Let it end in .html.")
    run = RunDir(path)
    facts = _facts(run, read_scores(run))
    found = _mistakes(run, facts.metrics)
    listed = [all_[:errors] for all_ in found.values()]
    surest = [each for all_ in listed for each in all_[:WEIGHED]]
    others = [each for all_ in listed for each in all_[WEIGHED:]]
    if attributions and surest:
        surest = _explained(path, surest)
    shown = [_anonymous(each) for each in surest + others]
    wrong = {split: len(all_) for split, all_ in found.items()}
    target = output or run.report
    write_text(target, render_report(facts, title_of(run, saved_recipe(path)), shown, wrong))
    counts = {split: {"errors": number, "listed": min(number, errors)} for split, number in wrong.items()}
    return {"report": str(target), "splits": counts}


def _facts(run: RunDir, metrics: dict[str, Any]) -> Facts:
    """As a card tells them, without the folders of this machine."""
    from sentiment140_bert.cards import facts as card_facts

    environment = run.read(run.environment)
    base = environment.get("base_model")
    recipe = public(saved_recipe(run.path), base.get("name") if isinstance(base, dict) else None)
    return card_facts.check_facts(recipe.to_dict(), run.read(run.data), environment, metrics, {})


# ---- which tweets


def _mistakes(run: RunDir, metrics: dict[str, Any]) -> dict[str, list[Mistake]]:
    """Those of each split, the surest first."""
    from sentiment140_bert.evaluation.calibration import Calibration

    answers = _predictions(run).to_pylist()
    learned = Calibration(metrics["temperature"]["value"], metrics["abstention"]["threshold"])
    rescore = f"Score the run anew: s140 evaluate {shlex.quote(str(run.path))}"
    found = {}
    for split, scores in metrics["splits"].items():
        if "accuracy" not in scores:
            continue
        rows = [row for row in answers if row["split"] == split]
        found[split] = mistakes_of(split, rows, learned)
        binary = [each for each in found[split] if each.label != LABEL_NAMES[NEUTRAL]]
        counted = scores["false_positive"]["value"] + scores["false_negative"]["value"]
        if len(binary) != counted or sum(row["label"] != NEUTRAL for row in rows) != scores["n"]:
            raise RunError(
                f"{run.predictions} does not belong to {run.metrics}: {len(binary):,} answers to {split} are wrong in "
                f"the one, {counted:,} in the other.",
                rescore,
            )
    return found


def _predictions(run: RunDir) -> pa.Table:
    import pyarrow as pa

    from sentiment140_bert.data.unpacking import read_parquet

    hint = f"`s140 evaluate {shlex.quote(str(run.path))}` writes it."
    if not run.predictions.is_file():
        raise RunError(f"{run.path} has no {run.predictions.name}.", hint)
    try:
        table = read_parquet(run.predictions, list(COLUMNS))
        labels, positive = (table[name].to_numpy() for name in ("label", "positive"))
        if not (set(labels) <= LABEL_NAMES.keys() and ((positive >= 0) & (positive <= 1)).all()):
            raise ValueError("it holds what is no label or no probability")
        return table
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise RunError(f"{run.predictions} is damaged: {first_line(error)}.", hint) from None


def mistakes_of(split: str, rows: Sequence[dict[str, Any]], learned: Calibration) -> list[Mistake]:
    """The wrong answers among the rows of a split, the surest first.

    A neutral tweet is among them where the model took a side all the same.

    Args:
        split: Its name.
        rows: Of ``predictions.parquet``.
        learned: When the model says neutral instead.
    """
    import numpy as np

    from sentiment140_bert.cards.report import Mistake
    from sentiment140_bert.evaluation import three_way

    said = three_way.said(np.array([row["positive"] for row in rows], dtype=np.float64), learned).tolist()
    found = [
        Mistake(split, LABEL_NAMES[row["label"]], row["positive"], ((row["text"], None),), row["topic"], abstains)
        for row, abstains in zip(rows, [each == NEUTRAL for each in said], strict=True)
        if (not abstains if row["label"] == NEUTRAL else (row["positive"] >= 0.5) != (row["label"] == POSITIVE))
    ]
    return sorted(found, key=lambda each: -each.confidence)


# ---- their words


def _explained(path: Path, mistakes: Sequence[Mistake]) -> list[Mistake]:
    """With the weight of every word, which the model in the run gives it."""
    from sentiment140_bert.evaluation.attribution import explain, integrated_gradients

    integrated_gradients()  # whether it is installed, before a model is loaded
    classifier = answering.load_classifier(str(path))
    mapping = map_labels(classifier.labels)
    positive, negative = (mapping.positions(side)[0] for side in (POSITIVE, NEGATIVE))  # a run's model has one of each
    log.info("weighing the words of %s tweets", f"{len(mistakes):,}")
    texts = [each.words[0][0] for each in mistakes]
    explained = explain(classifier.model, classifier.tokenizer, texts, positive, negative, classifier.max_length)
    return [
        replace(each, words=tuple((piece.text, piece.weight) for piece in pieces))
        for each, pieces in zip(mistakes, explained, strict=True)
    ]


Word = tuple[str, float | None]


def _anonymous(mistake: Mistake) -> Mistake:
    topic = masked(((mistake.topic, None),))[0][0] if mistake.topic else None
    return replace(mistake, words=tuple(masked(mistake.words)), topic=topic)


def masked(words: Sequence[Word]) -> list[Word]:
    """A tweet without user names and addresses, by the rules of ``data.clean``; what one mask covers is added up.

    What cannot be seen goes first: a name behind a character of no width is a name too.
    """
    from sentiment140_bert.cards.markup import clean_controls
    from sentiment140_bert.data.clean import MASKING

    words = [(clean_controls(text), weight) for text, weight in words]
    whole = "".join(text for text, _ in words)
    hidden = [match.span() for rule in MASKING for match in re.finditer(rule.pattern, whole)]
    joined: list[Word] = []
    begin = 0
    for text, weight in words:
        if joined and any(first < begin < last for first, last in hidden):
            before, weight_before = joined.pop()
            known = [each for each in (weight_before, weight) if each is not None]
            joined.append((before + text, sum(known) if known else None))
        else:
            joined.append((text, weight))
        begin += len(text)
    return [(_masked_text(text), weight) for text, weight in joined]


def _masked_text(text: str) -> str:
    from sentiment140_bert.data.clean import MASKING

    for rule in MASKING:
        text = re.sub(rule.pattern, rule.replacement, text)
    return text
