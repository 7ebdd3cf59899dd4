"""The results of a learning curve, from the run directories of its trainings: numbers, table and picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import RunError
from sentiment140_bert.experiments import series
from sentiment140_bert.experiments.earlier import Curve, earlier
from sentiment140_bert.experiments.learning_curve.curve_dir import FAILED, FINISHED, CurveDir, state_of
from sentiment140_bert.run_dir import RunDir, write_json, write_text

if TYPE_CHECKING:
    from sentiment140_bert.experiments.learning_curve.summary import Point

TOLD = ("accuracy", "f1", "log_loss", "roc_auc")  # of a split's scores


def write_results(home: CurveDir, price_per_hour: float | None = None) -> dict[str, Any]:
    """Writes ``curve.json`` and what is made of it: ``curve.csv``, ``curve.png`` and ``README.md``.

    Args:
        home: With its ``plan.json``.
        price_per_hour: Of the machine, in any currency; the one that was given before where it is None.

    Returns:
        The content of ``curve.json``.

    Raises:
        RunError: A file of a finished training is missing or damaged.
    """
    from sentiment140_bert.experiments.learning_curve import picture, table

    curve = curve_of(home, price_per_hour)
    write_text(home.path / "curve.csv", table.as_csv(curve))
    picture.draw(home.path / "curve.png", curve)
    write_text(home.path / "README.md", table.as_page(curve))
    write_json(home.curve, curve)
    return curve


def curve_of(home: CurveDir, price_per_hour: float | None) -> dict[str, Any]:
    """The content of ``curve.json`` (docs/learning_curve.md lists its keys)."""
    from sentiment140_bert.experiments.learning_curve import summary

    plan = home.read(home.plan)
    before = earlier(home.curve, Curve, "--price-per-hour is given again where there was one.")
    price = before.get("price_per_hour") if price_per_hour is None else price_per_hour
    splits = [name for name in summary.SHOWN if name in plan["data"]["splits"]]
    scored = {name: plan["data"]["splits"][name]["sha256"] for name in splits}
    sizes, finished = [], {}
    for part in plan["subsets"]:
        points = [told(home, home.run(part["size"], seed), seed, scored, price) for seed in plan["seeds"]]
        finished[part["size"]] = [each for each in points if each.told["state"] == FINISHED]
        shown = [dict(each.told) for each in points]
        cost = None if price is None else sum(each["cost"] for each in shown if each["state"] == FINISHED)
        sizes.append(part | {"points": shown} | summary.of_size(shown) | {"cost": cost})
    every = [point for size in sizes for point in size["points"]]
    return {
        "name": plan["name"],
        "group": plan["group"],
        "recipe": plan["shown_recipe"],
        "data": plan["data"],
        "seeds": plan["seeds"],
        "cut_short": plan["cut_short"],
        "price_per_hour": price,
        "sizes": sizes,
        "fits": {name: summary.fit_of(name, finished) for name in splits},
        "trainings": {
            "planned": len(every),
            "finished": sum(each["state"] == FINISHED for each in every),
            "seconds": round(sum(each["seconds"] for each in every if each["state"] == FINISHED), 2),
        },
    }


def told(home: CurveDir, run: RunDir, seed: int, scored: Mapping[str, str], price_per_hour: float | None) -> Point:
    """What ``curve.json`` says of a training, and which tweets its model got wrong.

    Args:
        home: Of the curve.
        run: Of the training.
        seed: Its own.
        scored: The hash of the tweets of each split, as ``data.json`` has it.
        price_per_hour: Of the machine.

    Raises:
        RunError: A file of it is missing or damaged, or it was scored on other tweets.
    """
    from sentiment140_bert.experiments.learning_curve.summary import SHOWN, Point

    state = state_of(home, run)
    about: dict[str, Any] = {"seed": seed, "run": f"points/{run.path.name}", "state": state}
    if state == FAILED:
        about |= home.read(home.failures)[run.path.name]
    if state != FINISHED:
        return Point(about, {})
    metrics, environment = run.read(run.metrics), run.read(run.environment)
    answered = series.answered(run, SHOWN)
    if {name: each.sha256 for name, each in answered.items()} != scored:
        raise RunError(
            f"{run.path} was not scored on the tweets of this curve, or {run.predictions.name} is damaged.",
            f"Remove {run.path}; it is trained again by the command that made the curve.",
        )
    trained = environment["training"]
    cost = None if price_per_hour is None else trained["seconds"] / 3600 * price_per_hour
    about |= {
        "splits": {name: _scores(metrics["splits"][name], each.sha256) for name, each in answered.items()},
        "data_fingerprint": metrics["data_fingerprint"],
        "weights_sha256": metrics["weights_sha256"],
        **{name: trained[name] for name in ("steps", "best_step", "seconds", "tweets_per_second")},
        "cost": cost,
        "machine": environment["gpu"] or environment["cpu"],
        "precision": environment["precision"]["name"],
    }
    return Point(about, {name: ~each.right for name, each in answered.items()})


def _scores(split: Mapping[str, Any], rows_sha256: str) -> dict[str, Any]:
    tfidf = split["baselines"].get("tfidf", {})
    return {
        "n": split["n"],
        **{name: split[name] for name in TOLD if name in split},
        "tfidf": tfidf.get("accuracy"),
        "lift": tfidf.get("lift"),
        "majority": split["baselines"]["majority"]["accuracy"]["value"],
        "rows_sha256": rows_sha256,
    }
