"""What is known of the tweets that a model was trained on, and whether it is scored on them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.data import preparing
from sentiment140_bert.errors import DataError, HubError, RunError
from sentiment140_bert.evaluation import baselines
from sentiment140_bert.files import expand_path
from sentiment140_bert.run_dir import TRAINING_ROWS, RunDir
from sentiment140_bert.runs import saved_recipe

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.evaluation.lift import Baselines

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """The tweets themselves, or at least the hashes of their texts; neither where nothing is known.

    ``unknown`` says what is not known, and why.
    """

    prepared: Prepared | None = None
    hashes: npt.NDArray[np.uint64] | None = None
    unknown: str = ""

    def baselines(self) -> Baselines | None:
        """Those of the same training tweets; None without these."""
        return baselines.of_training(self.prepared) if self.prepared else None


def origin_of(model: str, revision: str | None = None) -> Origin:
    """What a run directory, a model folder or a Hub repository tells of its training tweets."""
    from sentiment140_bert import models
    from sentiment140_bert.tracking import registry

    if registry.is_registered(model):
        return Origin(unknown="a registered model does not say what it was trained on")
    path = expand_path(model)
    if RunDir(path).is_run():
        return _of_run(RunDir(path))
    try:
        folder = _fetched(model, revision) if models.is_hub_id(model) else path
    except HubError as error:
        return Origin(unknown=f"the Hub does not tell what it was trained on: {error.message.rstrip('.')}")
    return _of_hashes(folder / TRAINING_ROWS, "the model folder brings no tweets along")


def _of_run(run: RunDir) -> Origin:
    from sentiment140_bert.data.cache import from_cache

    described = run.read(run.data)
    cached = from_cache(described)
    if cached:
        return Origin(cached[0])
    try:
        prepared, _ = preparing.splits(saved_recipe(run.path).data)
        if prepared.report["fingerprint"] == described["fingerprint"]:
            return Origin(prepared)
        why = "its data are no longer what they were"
    except (DataError, HubError) as error:
        why = error.message.rstrip(".")
    return _of_hashes(run.training_rows, f"the training tweets of {run.path} cannot be had: {why}")


def _of_hashes(file: Path, why: str) -> Origin:
    """What is left where the tweets themselves are not at hand, and ``why`` not."""
    from sentiment140_bert.data import leakage

    if not file.is_file():
        return Origin(unknown="the model does not say what it was trained on")
    try:
        hashes = leakage.read_hashes(file)
    except RunError as error:
        return Origin(unknown=error.message)
    return Origin(hashes=hashes, unknown=f"{why}; near duplicates, users and times were not looked for")


def _fetched(repo_id: str, revision: str | None) -> Path:
    from sentiment140_bert.hub import fetch
    from sentiment140_bert.hub.client import Hub

    hub = Hub()
    return fetch.snapshot(hub, "model", repo_id, fetch.commit_of(hub, "model", repo_id, revision), [TRAINING_ROWS])


def leaked(origin: Origin, table: pa.Table) -> dict[str, Any] | None:
    """Which rows of a table the model was trained on.

    Args:
        origin: Of the model.
        table: Column ``text``, perhaps ``user`` and ``time``.

    Returns:
        ``counts`` (``exact``, ``near``, ``same_user``, ``overlapping_in_time``; None what cannot be known) and
        ``rows``, counted from 0, of the exact and near ones; None where nothing is known of the training tweets.
    """
    import numpy as np

    from sentiment140_bert.data import leakage

    if origin.prepared:
        found = leakage.audit(table, origin.prepared.splits()["train"].with_format("arrow")[:])
        return {"counts": found.counts(), "rows": {"exact": found.exact.tolist(), "near": found.near.tolist()}}
    if origin.hashes is None:
        return None
    rows = np.flatnonzero(np.isin(leakage.row_hashes(table["text"]), origin.hashes)).tolist()
    unknown = dict.fromkeys(("near", "same_user", "overlapping_in_time"))
    return {"counts": {"exact": len(rows)} | unknown, "rows": {"exact": rows, "near": []}}
