"""The results of a learning curve, from the run directories of its trainings: numbers, table and picture."""

from __future__ import annotations

from typing import Any

from sentiment140_bert.run_dir import write_json, write_text
from sentiment140_bert.workflows.curve_points import FINISHED, CurveDir, told


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
    from sentiment140_bert.curve import picture, table

    curve = curve_of(home, price_per_hour)
    write_text(home.path / "curve.csv", table.as_csv(curve))
    picture.draw(home.path / "curve.png", curve)
    write_text(home.path / "README.md", table.as_page(curve))
    write_json(home.curve, curve)
    return curve


def curve_of(home: CurveDir, price_per_hour: float | None) -> dict[str, Any]:
    """The content of ``curve.json`` (docs/learning_curve.md lists its keys)."""
    from sentiment140_bert.curve import summary

    plan = home.read(home.plan)
    price = home.read(home.curve).get("price_per_hour") if price_per_hour is None else price_per_hour
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
