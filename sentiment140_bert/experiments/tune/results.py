"""The results of a tuning, from its study and the runs that were trained after it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import RunError
from sentiment140_bert.experiments import series
from sentiment140_bert.experiments.earlier import Tuning, earlier
from sentiment140_bert.experiments.tune.study_dir import TuningDir
from sentiment140_bert.experiments.tune.trials import direction_of, metric_of, recipe_of
from sentiment140_bert.files import write_json, write_text
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.recipe.privacy import make_public
from sentiment140_bert.run import RunDir

if TYPE_CHECKING:
    from sentiment140_bert.experiments.tune.study import Study

log = logging.getLogger(__name__)
SCORED = {"test": "test tweets", "manual": "hand-labelled tweets"}  # what is looked at only after the trials


def write_best(home: TuningDir, recipe: Recipe, best: Mapping[str, Any]) -> None:
    """Writes ``best.yaml``.

    Args:
        home: Of the tuning.
        recipe: Of the study.
        best: ``number``, ``value`` and ``values`` of the best trial.
    """
    chosen = recipe_of(recipe, dict(best["values"]))
    said = (
        f"# The best of the trials of `s140 tune`: trial {best['number']}, {metric_of(recipe)} {best['value']:.4f} "
        "on the validation tweets.\n"
    )
    write_text(home.best, said + chosen.to_yaml())


def write_results(
    home: TuningDir, study: Study, recipe: Recipe, report: Mapping[str, Any], own: Mapping[str, Any], final: Any = None
) -> dict[str, Any]:
    """Writes ``tuning.json``, what is made of it (figures and ``README.md``), and ``best.yaml``.

    Args:
        home: Of the tuning.
        study: Its own.
        recipe: Of the study.
        report: ``data.json``.
        own: The recipe's own values of what is tuned.
        final: Of :func:`tuning_finals.compared`; left away where another trial is the best by now. Without it what was
            known before, if that is of the best trial.

    Returns:
        The content of ``tuning.json`` (docs/tuning.md lists its keys).
    """
    from sentiment140_bert.experiments.tune import pictures, summary, table

    trials = summary.of_trials(study)
    best = summary.best(trials, direction_of(recipe) == "maximize")
    before = earlier(home.results, Tuning, "a comparison is made anew by --final-seeds, from what is in final/.")
    known = [final, before.get("final") if before.get("best") == best else None]
    tuning = {
        "name": study.name,
        "store": study.store.file.name if study.store.file else study.store.place,
        "recipe": make_public(recipe).to_dict(),
        "space": study.identity["space"],
        "own_values": dict(own),
        "metric": metric_of(recipe).removeprefix("eval_"),
        **{name: study.identity[name] for name in ("direction", "sampler", "pruner", "seed")},
        "data": {name: report[name] for name in ("sources", "splits", "fingerprint")},
        "trials": trials,
        "counts": summary.counts(trials),
        "best": best,
        "importances": summary.importances(study, trials),
        "final": next((each for each in known if best and each and each["trial"] == best["number"]), None),
    }
    drawn = pictures.draw(home.figures, tuning)
    write_text(home.page, table.as_page(tuning, drawn))
    if best:
        write_best(home, recipe, best)
    write_json(home.results, tuning)
    return tuning


def final_of(best: Sequence[RunDir], own: Sequence[RunDir], seeds: Sequence[int]) -> dict[str, Any]:
    """What the runs that were trained after the trials say.

    Args:
        best: With the best values, by seed.
        own: With the recipe as it is, by seed.
        seeds: Theirs.

    Returns:
        ``seeds``; ``runs``: folders; ``splits``: of each that was held out, what
        :func:`~sentiment140_bert.experiments.seeds.compared` gives (the best values are ``first``), and ``sentence``.

    Raises:
        RunError: They were not scored on the same tweets, or a file of them is damaged.
    """
    import numpy as np

    from sentiment140_bert.experiments import seeds as over_seeds

    answers = {run.path: series.answered(run, SCORED) for run in (*best, *own)}
    splits = {}
    for split, words in SCORED.items():
        found = {path: each[split] for path, each in answers.items() if split in each}
        if not found:
            continue
        if len(found) < len(answers) or len({each.sha256 for each in found.values()}) > 1:
            raise RunError(
                f"The runs in {best[0].path.parent} were not scored on the same {words}.",
                "Remove that folder; they are trained again by the same command.",
            )
        first, second = (np.stack([found[run.path].right for run in runs]) for runs in (best, own))
        told = over_seeds.compared(first, second, found[best[0].path].labels)
        splits[split] = told | {"sentence": over_seeds.in_words(told, "the best values", "the recipe as it is", words)}
    runs = {name: [f"final/{run.path.name}" for run in each] for name, each in (("best", best), ("recipe", own))}
    return {"seeds": list(seeds), "runs": runs, "splits": splits}
