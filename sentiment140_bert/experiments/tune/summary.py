"""What ``tuning.json`` says of the trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sentiment140_bert.experiments.tune.study import Study

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
ENOUGH = 4  # complete trials, before anything is said of what matters


def of_trials(study: Study) -> list[dict[str, Any]]:
    """Each trial: ``number``, ``state``, ``value`` (its score; of a pruned one the last), ``values`` (what was tried),
    ``scores`` (of each evaluation), ``reason`` (why it failed), ``started``, ``seconds``."""
    return [_one(each) for each in study.trials()]


def _one(trial: FrozenTrial) -> dict[str, Any]:
    duration = trial.duration.total_seconds() if trial.duration else None
    return {
        "number": trial.number,
        "state": STATES[trial.state.name],
        "value": trial.value if trial.state.name in ("COMPLETE", "PRUNED") else None,
        "values": dict(trial.params),
        "scores": [trial.intermediate_values[at] for at in sorted(trial.intermediate_values)],
        "reason": trial.user_attrs.get("reason"),
        "started": trial.datetime_start.isoformat(timespec="seconds") if trial.datetime_start else None,
        "seconds": None if duration is None else round(duration, 2),
    }


def counts(trials: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many there are in each state."""
    return {state: sum(each["state"] == state for each in trials) for state in STATES.values()}


def best(trials: Sequence[Mapping[str, Any]], maximize: bool) -> dict[str, Any] | None:
    """``number``, ``value`` and ``values`` of the best complete one; of equals the first."""
    complete = [each for each in trials if each["state"] == "complete"]
    if not complete:
        return None
    sign = -1 if maximize else 1
    found = min(complete, key=lambda each: (sign * each["value"], each["number"]))
    return {name: found[name] for name in ("number", "value", "values")}


def importances(study: Study, trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How much of the scores' differences each setting accounts for: fANOVA (Hutter, Hoos and Leyton-Brown 2014).

    Args:
        study: Its store knows the trials.
        trials: From :func:`of_trials`.

    Returns:
        ``shares`` by setting, the greatest first; or ``refused``, a sentence.
    """
    import optuna

    complete = [each for each in trials if each["state"] == "complete"]
    if len(complete) < ENOUGH:
        return {"refused": f"{len(complete)} complete trials say nothing of what matters; it takes {ENOUGH}."}
    if len({each["value"] for each in complete}) == 1:
        return {"refused": "All complete trials have the same score: nothing can be said of what matters."}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=study.identity["seed"])
    found = optuna.importance.get_param_importances(study.optuna, evaluator=evaluator)
    return {
        "shares": {name: float(share) for name, share in found.items()},
        "method": "fANOVA",
        "trials": len(complete),
    }
