"""One function for each verb: the book's table of contents.

Each takes plain values, hands them from room to room, writes the run directory and returns what the command
line reports.
"""

from __future__ import annotations

import dataclasses
import logging
import shlex
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import recipes
from sentiment140_bert.errors import Interrupted, RecipeError, RunError
from sentiment140_bert.recipe import DataConfig, Recipe
from sentiment140_bert.run_dir import RunDir, sha256_of, write_json, write_text

if TYPE_CHECKING:
    from sentiment140_bert.data.prepare import Prepared
    from sentiment140_bert.inference import Classifier, Prediction

log = logging.getLogger(__name__)


def prepare(recipe: Recipe) -> dict[str, Any]:
    """Reads, cleans, folds, splits and tokenizes the recipe's tweets.

    Returns:
        ``data.json``, and ``cached`` (nothing had to be done) and ``folder`` (where the tokens lie).

    Raises:
        DataError: The tweets cannot be used.
        ModelError: The tokenizer cannot be loaded.
    """
    prepared, tokens, _ = _prepared(recipe)
    return tokens.report | {
        "cached": {"splits": prepared.cached, "tokens": tokens.cached},
        "folder": str(tokens.folder),
        "bad_rows_file": str(bad) if (bad := prepared.folder / "bad_rows.jsonl").is_file() else None,
    }


def _prepared(recipe: Recipe) -> tuple[Prepared, Prepared, Any]:
    from sentiment140_bert import modeling
    from sentiment140_bert.data import clean
    from sentiment140_bert.data.prepare import prepare as prepare_splits
    from sentiment140_bert.data.prepare import tokenized

    prepared = prepare_splits(recipe.data)
    normalizer = clean.normalizer(recipe.data.cleaning)
    tokenizer = modeling.load_tokenizer(recipe.model.model_name_or_path, recipe.model.model_revision, normalizer)
    if recipe.data.max_length > tokenizer.model_max_length:
        limit = tokenizer.model_max_length
        raise RecipeError([f"max_length: {recipe.data.max_length} is more than the model takes, {limit} tokens"])
    tokens = tokenized(prepared, tokenizer, recipe.data.max_length)
    log.info("data: %s", _rows_in_words(tokens.report))
    if tokens.cached:
        log.info("data: taken from the cache, nothing was tokenized")
    return prepared, tokens, tokenizer


def _rows_in_words(report: dict[str, Any]) -> str:
    return ", ".join(f"{split['rows']:,} {name}" for name, split in report["splits"].items())


def train(recipe: Recipe, output_dir: Path, *, resume: bool = False, overwrite: bool = False) -> dict[str, Any]:
    """Fine-tunes, keeps the best weights, scores them, and writes the run directory.

    Args:
        recipe: All that decides the run.
        output_dir: The run directory.
        resume: Go on from the newest whole checkpoint of an unfinished run.
        overwrite: Remove an earlier run in ``output_dir`` first.

    Returns:
        ``run``, ``model``, ``metrics`` (as in ``metrics.json``) and ``training`` (steps, seconds, tweets per
        second, …); nothing in processes other than the main one.

    Raises:
        RunError: ``output_dir`` holds a run (and neither flag is given), a different one, or something else.
        Interrupted: A signal stopped training; a checkpoint was written.
        S140Error: Data, model, recipe or hardware are not as they should be.
    """
    from sentiment140_bert import environment, modeling
    from sentiment140_bert.evaluation.metrics import trainer_metrics
    from sentiment140_bert.tracking import tracked
    from sentiment140_bert.training import arguments, callbacks, trainer

    run = RunDir(output_dir)
    precision = arguments.choose_precision(recipe.training)
    settings = arguments.training_arguments(recipe.training, precision, run.checkpoints)
    processes = arguments.processes_of(settings)
    if processes.is_main_process:
        _claim(run, recipe, resume, overwrite)
    else:
        log.setLevel(logging.WARNING)
    processes.wait_for_everyone()
    with processes.main_process_first():
        prepared, tokens, tokenizer = _prepared(recipe)
    checkpoint = callbacks.newest_whole(run.checkpoints) if resume else None
    log.info("precision: %s (%s)", precision.name, precision.why)
    if resume:
        log.info("resume: %s", f"from {checkpoint.name}" if checkpoint else "no whole checkpoint yet, starting anew")
    model = modeling.load_encoder(recipe.model.model_name_or_path, recipe.model.model_revision, recipe.training.seed)
    started = {
        **environment.describe(),
        "precision": dataclasses.asdict(precision),
        "processes": processes.num_processes,
        "command": shlex.join(["s140", *map(_without_folders, sys.argv[1:])]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if resume:
        _same_data(run, tokens.report)
        started = run.read(run.environment)
    elif processes.is_main_process:
        if run.is_run():
            run.clear()
        _write_beginning(run, recipe, tokens.report, started)
    processes.wait_for_everyone()
    name = recipe.training.run_name or run.path.name
    report_to = recipe.training.report_to if processes.is_main_process else "none"
    config = _public(recipe) | {"fingerprint": tokens.report["fingerprint"]}
    with tracked(report_to, run, name, config) as tracking:
        outcome = trainer.train(
            model,
            tokenizer,
            tokens.splits(),
            settings,
            history=run.history,
            compute_metrics=trainer_metrics,
            resume_from=checkpoint,
            callbacks=tracking.callbacks,
        )
        if outcome.signal:
            raise Interrupted(
                f"Training was stopped by a signal after step {outcome.steps}; a checkpoint is in {run.checkpoints}.",
                f"Go on with: s140 train --output-dir {shlex.quote(str(run.path))} --resume",
                outcome.signal,
            )
        training = {key: value for key, value in dataclasses.asdict(outcome).items() if key != "signal"}
        if processes.is_main_process:
            modeling.save(model, tokenizer, run.model)
            write_json(run.environment, started | {"training": training})
            metrics = evaluate_run(run.path, prepared)
            tracking.scores(metrics)
        processes.wait_for_everyone()
    if not processes.is_main_process:
        return {}
    return {
        "run": str(run.path),
        "model": str(run.model),
        "training": training,
        "metrics": run.read(run.metrics),
    }


def _claim(run: RunDir, recipe: Recipe, resume: bool, overwrite: bool) -> None:
    """Makes sure that ``run`` is ours to write: new, unfinished and to be resumed, or to be overwritten."""
    if run.path.exists() and not run.path.is_dir():
        raise RunError(f"{run.path} is a file.", "Choose another --output-dir.")
    if not run.is_run():
        if run.path.is_dir() and any(run.path.iterdir()):
            raise RunError(f"{run.path} is not empty, and no run of this tool.", "Choose another --output-dir.")
        if resume:
            raise RunError(f"There is no run in {run.path} to resume.", "Leave --resume away to start one.")
        return
    if resume:
        if run.is_finished():
            raise RunError(
                f"The run in {run.path} is finished; there is nothing to resume.", "Look at it: s140 evaluate RUN."
            )
        _same_recipe(run, recipe)
    elif not overwrite:
        state = "a finished run" if run.is_finished() else "an unfinished run; --resume goes on with it"
        raise RunError(f"{run.path} holds {state}.", "Choose another --output-dir, or pass --overwrite to remove it.")


def _same_recipe(run: RunDir, recipe: Recipe) -> None:
    before, now = saved_recipe(run.path).to_dict(), recipe.to_dict()
    changed = [
        f"{key}: {before[section].get(key)!r} then, {value!r} now"
        for section in ("model", "data", "training")
        for key, value in now[section].items()
        if before[section].get(key) != value
    ]
    if changed:
        raise RunError(
            f"{run.path} was started with another recipe: {'; '.join(changed)}.",
            "Resume it without these flags, or choose another --output-dir.",
        )


def saved_recipe(path: Path) -> Recipe:
    """The recipe that a run was started with.

    Raises:
        RunError: There is none.
    """
    run = RunDir(path)
    if not run.is_run():
        raise RunError(f"There is no run in {path}.", "Name the folder that `s140 train` wrote.")
    return recipes.load(str(run.recipe))


def _write_beginning(run: RunDir, recipe: Recipe, report: dict[str, Any], environment: dict[str, Any]) -> None:
    write_text(run.recipe, recipe.to_yaml())
    write_json(run.data, report)
    write_json(run.environment, environment)


def _same_data(run: RunDir, report: dict[str, Any]) -> None:
    then, now = run.read(run.data)["fingerprint"], report["fingerprint"]
    if then != now:
        raise RunError(
            f"The tweets are not those that {run.path} was started with: fingerprint {then[:12]} then, {now[:12]} now.",
            "Give the original input back, or choose another --output-dir.",
        )


def _without_folders(argument: str) -> str:
    """An argument of the command line; an existing path by its last part, as it may be published."""
    flag, equals, value = argument.rpartition("=")
    known = "/" in value and Path(value).expanduser().exists()
    return f"{flag}{equals}{Path(value).name}" if known else argument


def _public(recipe: Recipe) -> dict[str, Any]:
    """The recipe as a tracker may have it: without the folders of this machine."""
    plain = recipe.to_dict()
    for section, name in (("model", "model_name_or_path"), ("data", "dataset"), ("data", "manual_test")):
        if plain[section][name]:
            plain[section][name] = _without_folders(plain[section][name])
    return plain


def evaluate_run(path: Path, prepared: Prepared | None = None) -> dict[str, Any]:
    """Scores the weights in a run's ``model/`` on its own validation, test and manual splits; writes ``metrics.json``.

    Args:
        path: The run directory.
        prepared: Its data, if they are at hand; else they are prepared again from its recipe.

    Raises:
        RunError: The run has no model, or its data are no longer what it was trained on.
    """
    from sentiment140_bert import cards
    from sentiment140_bert.data.prepare import prepare as prepare_splits
    from sentiment140_bert.evaluation.protocol import score_split, sides_of

    run = RunDir(path)
    classifier = load_classifier(str(path))
    prepared = prepared or prepare_splits(saved_recipe(path).data)
    fingerprint = prepared.report["fingerprint"]
    if run.data.is_file() and run.read(run.data)["fingerprint"] != fingerprint:
        raise RunError(
            f"The data of {path} are not what they were when it was trained (the fingerprint differs).",
            "Give the original file back, or score another one with --dataset.",
        )
    sides = sides_of(classifier.labels)
    splits = prepared.splits()
    scores = {}
    for name in ("validation", "test", "manual"):
        if name in splits:
            log.info("scoring %s: %s tweets", name, f"{len(splits[name]):,}")
            table = splits[name].with_format("numpy")
            scores[name] = score_split(list(splits[name]["text"]), table[:]["label"], classifier.probabilities, sides)
    if "manual" in scores and "manual_neutral" in splits:
        scores["manual"]["neutral_left_out"] = len(splits["manual_neutral"])
    metrics = {"splits": scores, "weights_sha256": sha256_of(run.weights), "data_fingerprint": fingerprint}
    write_text(run.card, cards.model_card(run, saved_recipe(path).to_dict(), metrics))
    write_json(run.metrics, metrics)  # last: a run that has it is finished
    return metrics


def evaluate(model: str, data: DataConfig, model_revision: str | None = None) -> dict[str, Any]:
    """Scores any sentiment classifier on all tweets of a dataset, as they are.

    Args:
        model: A run directory, a model folder or a Hub id.
        data: ``dataset`` and how to read it; ``max_samples`` draws from all of it; ``manual_test`` is scored apart.
        model_revision: Of a Hub model.

    Returns:
        ``splits`` with ``test`` and ``manual``, and ``assumed`` where the model's labels have no names.
    """
    from sentiment140_bert.data.prepare import whole
    from sentiment140_bert.evaluation.protocol import score_split, sides_of

    tables = whole(data)
    classifier = load_classifier(model, model_revision)
    sides = sides_of(classifier.labels)
    if sides.assumed:
        log.warning("%s: %s", model, sides.assumed)
    scores = {}
    for name, table in tables.items():
        log.info("scoring %s: %s tweets", name, f"{len(table):,}")
        scores[name] = score_split(
            table["text"].to_pylist(), table["label"].to_numpy(), classifier.probabilities, sides
        )
    return {"model": model, "dataset": data.dataset, "splits": scores, "assumed": sides.assumed or None}


def load_classifier(model: str, revision: str | None = None) -> Classifier:
    """A classifier ready to answer, from a run directory, a model folder or a Hub id.

    Raises:
        ModelError: It cannot be loaded, or is no fine-tuned classifier.
    """
    from sentiment140_bert import modeling
    from sentiment140_bert.inference import Classifier

    return Classifier(*modeling.load_classifier(model, revision))


def predict(model: str, texts: Iterable[str], revision: str | None = None) -> Iterator[tuple[str, Prediction]]:
    """(text, prediction) for each text, in order, while the texts are read.

    Raises:
        ModelError: The model cannot be loaded; before the first text is read.
    """
    return answers(load_classifier(model, revision), texts)


def answers(classifier: Classifier, texts: Iterable[str]) -> Iterator[tuple[str, Prediction]]:
    """(text, prediction) for each text; the texts are held no longer than their window."""
    waiting: deque[str] = deque()

    def remembered() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    for prediction in classifier.predict(remembered()):
        yield waiting.popleft(), prediction
