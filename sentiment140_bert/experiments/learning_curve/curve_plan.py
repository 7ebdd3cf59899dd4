"""What a learning curve consists of: its sizes, its subsets and their hashes, and what is still to be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sentiment140_bert.data import preparing
from sentiment140_bert.experiments.learning_curve.curve_dir import FINISHED, CurveDir
from sentiment140_bert.experiments.learning_curve.curve_points import Training
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir
from sentiment140_bert.runs import duration, public

FEW = 4  # names of folders in a sentence


def within(sizes: Sequence[int], available: int) -> tuple[list[int], str | None]:
    """The sizes that there are; and a sentence where some were beyond all that there is."""
    beyond = [size for size in sizes if size > available]
    if not beyond:
        return list(sizes), None
    said = (
        f"{' and '.join(f'{size:,}' for size in beyond)}: there are {available:,} tweets to train on; "
        "the largest size is all of them."
    )
    return sorted({*(size for size in sizes if size <= available), available}), said


def left_out(home: CurveDir, planned: Sequence[Training]) -> str | None:
    """A sentence where trainings of earlier calls are finished that are not among those of this one."""
    names = {each.run.path.name for each in planned}
    others = [RunDir(each) for each in (home.path / "points").glob("size-*-seed-*") if each.name not in names]
    found = [run.path.name for run in others if run.is_finished()]
    if not found:
        return None
    found.sort(key=lambda name: [int(each) for each in name.split("-") if each.isdecimal()])
    shown = ", ".join(found[:FEW]) + (", …" if len(found) > FEW else "")
    return (
        f"finished earlier, and not of these sizes and seeds: {shown} ({len(found)} in all). They stay in points/, and "
        "are left out of curve.json, table and picture; a call with their sizes and seeds takes them in again."
    )


def plan(
    home: CurveDir, recipe: Recipe, parts: dict[int, preparing.Data], seeds: list[int], whole: preparing.Data
) -> dict[str, Any]:
    """The content of ``plan.json``, but for ``cut_short``.

    Args:
        home: Of the curve; the recipe that it was begun with stays.
        recipe: Of this call.
        parts: The tweets of each size, ascending.
        seeds: Of the trainings of each size.
        whole: All tweets.
    """
    from sentiment140_bert.data import subset

    before = home.read(home.plan)
    report = whole[1].report
    subsets = []
    sizes = list(parts)
    for at, (size, (prepared, _, _)) in enumerate(parts.items()):
        train = prepared.report["splits"]["train"]
        larger = parts[sizes[at + 1]][0] if at + 1 < len(sizes) else None
        subsets.append(
            {
                "size": size,
                "fingerprint": prepared.report["fingerprint"],
                "train": {name: train[name] for name in ("rows", "negative", "positive", "sha256")},
                "sha256_in_next": subset.contained(prepared, larger) if larger else None,
            }
        )
    name = home.path.resolve().name
    return {
        "name": name,
        "group": recipe.tracking.group or name,
        "recipe": before.get("recipe") or recipe.to_dict(),
        "shown_recipe": public(recipe).to_dict(),
        "data": {name: report[name] for name in ("sources", "splits", "fingerprint")},
        "seeds": seeds,
        "subsets": subsets,
    }


def _job(each: Training, parts: dict[int, preparing.Data]) -> tuple[int, int]:
    """Optimizer steps of a training, and the tweets that it processes: trained on, scored meanwhile and after."""
    from sentiment140_bert.training.probe import job_of

    config = each.recipe.training
    rows = {name: split["rows"] for name, split in parts[each.size][0].report["splits"].items()}
    at_once = config.per_device_train_batch_size * config.gradient_accumulation_steps
    job = job_of(config, at_once, rows["train"], rows["validation"])
    trained = job.steps * at_once if config.max_steps > 0 else round(config.num_train_epochs * rows["train"])
    scored = sum(count for name, count in rows.items() if name not in ("train", "neutral"))
    return job.steps, trained + job.scored + scored


def to_do(planned: list[Training], parts: dict[int, preparing.Data]) -> dict[str, Any]:
    """What a dry run tells: ``trainings``, and the ``steps`` and ``tweets`` of those that are not finished."""
    told = []
    for each in planned:
        steps, tweets = _job(each, parts)
        told.append({"size": each.size, "seed": each.seed, "state": each.state(), "steps": steps, "tweets": tweets})
    left = [each for each in told if each["state"] != FINISHED]
    return {"trainings": told, **{name: sum(each[name] for each in left) for name in ("steps", "tweets")}}


def time_left(planned: list[Training], states: list[str]) -> str:
    """In words; of training alone."""
    done = [each for each, state in zip(planned, states, strict=True) if state == FINISHED]
    if not done:
        return ""
    trained = [(each.run.read(each.run.environment)["training"], each.size) for each in done]
    fastest = max(each["tweets_per_second"] for each, _ in trained)
    per_tweet = np.mean([each["epochs"] for each, _ in trained]) / fastest
    left = sum(each.size for each, state in zip(planned, states, strict=True) if state != FINISHED)
    return f", about {duration(left * per_tweet)} of training left"
