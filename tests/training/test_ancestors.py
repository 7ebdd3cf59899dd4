"""No model that saw the scored tweets is a start or a teacher, however far back it saw them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import sentiment140_bert
from hub_server import HubServer
from on_hub import MODEL
from sentiment140_bert.data import leakage, loading
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run import TRAINING_ROWS, RunDir
from sentiment140_bert.training.ancestors import pin_models, refuse_leakage
from tiny_run import flags, tiny_recipe

pytest_plugins = ("hub_fixtures", "model_fixtures")
S140 = Callable[..., Result]


def check(recipe: Recipe, splits: tuple[str, ...] = ("validation", "test", "manual")) -> leakage.Hashes:
    return refuse_leakage(pin_models(recipe).model, loading.load_data(recipe).splits, splits)


def test_a_teacher_or_base_that_saw_the_scored_tweets_is_refused(
    small_bert: Callable[..., Path], smallest_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that its config does not call a classifier, too, if it says what it was trained on."""
    encoder = small_bert("BertModel")
    encoder_of_it = Path(shutil.copytree(smallest_run / "model", tmp_path / "encoder_of_it"))
    config = json.loads((encoder_of_it / "config.json").read_text())
    (encoder_of_it / "config.json").write_text(json.dumps(config | {"architectures": None}))
    for seen, changes in (
        (smallest_run, {"teacher": str(smallest_run)}),
        (smallest_run, {"model_name_or_path": str(smallest_run)}),
        (encoder_of_it, {"model_name_or_path": str(encoder_of_it)}),
    ):
        with pytest.raises(DataError, match=f"{seen} was trained on .* of the 60 validation tweets"):
            check(tiny_recipe(encoder, split_seed=7, **changes))
        own = RunDir(smallest_run).read_data()["splits"]["train"]["rows"]
        assert len(check(tiny_recipe(encoder, **changes))) == own
    assert "leakage" not in caplog.text
    damaged = Path(shutil.copytree(smallest_run, tmp_path / "damaged"))
    RunDir(damaged).training_rows.write_bytes(b"")
    check(tiny_recipe(encoder, teacher=str(damaged), teacher_revision="main"))  # of a folder, which has no branches
    assert f"leakage: {damaged}: if it saw scored tweets" in caplog.text
    leakage.add_hashes(RunDir(damaged).training_rows, np.array([7], np.uint64))
    assert "what this model's base or teacher was trained on is no longer known" in caplog.text
    unknown = Path(shutil.copytree(smallest_run / "model", tmp_path / "unknown"))
    (unknown / TRAINING_ROWS).unlink()
    assert not len(check(tiny_recipe(encoder, teacher=str(unknown))))
    assert f"leakage: {unknown}: if it saw scored tweets, the scores are too high" in caplog.text


def test_what_the_first_of_three_models_saw_is_not_scored_by_the_third(
    encoder: Path, smallest_run: Path, tmp_path: Path, s140: S140
) -> None:
    """The second, which was trained on none of these tweets, keeps their hashes when it is scored again, too."""
    rows = "".join(f"{4 * (at % 2)},{'good' if at % 2 else 'bad'} day number {at}\n" for at in range(300))
    (tmp_path / "others.csv").write_text(rows)
    second = tmp_path / "second"
    words = flags(model_name_or_path=encoder, teacher=smallest_run, dataset=tmp_path / "others.csv", max_steps=1)
    s140("train", "--output-dir", second, *words, "--manual-test", "none")
    seen = leakage.read_hashes(RunDir(second).training_rows)
    s140("evaluate", second)
    assert np.array_equal(leakage.read_hashes(RunDir(second).training_rows), seen)
    verified = json.loads(s140("verify", second, "--json").stdout)
    verdicts = {check["claim"]: (check["verdict"], check["why"]) for check in verified["checks"]}
    assert verified["verdict"] == "true"
    assert verdicts["teacher"][0] == "claimed"
    first = RunDir(smallest_run).read_data()["splits"]["train"]["rows"]
    expected = f"{first:,} more, of models that it was trained from, are not checked"
    assert verdicts["hashes of training texts"] == ("claimed", expected)
    for model in (second, second / "model"):
        with pytest.raises(DataError, match=f"{model} was trained on .* of the 60 validation tweets"):
            check(tiny_recipe(encoder, model_name_or_path=str(model), split_seed=7))
    scores = sentiment140_bert.evaluate(second, "sample")
    assert scores.splits["test"]["leakage"]["exact"] >= first


def test_trials_and_folds_refuse_a_base_that_saw_their_tweets(
    encoder: Path, smallest_run: Path, tmp_path: Path, s140: S140
) -> None:
    words = flags(model_name_or_path=smallest_run, split_seed=7)
    refused = s140("tune", tmp_path / "study", "--trials", 1, *words, code=1).stderr
    assert f"{smallest_run} was trained on" in refused
    s140("train", "--output-dir", tmp_path / "again", *flags(model_name_or_path=smallest_run, max_steps=1))
    refused = s140("suspects", tmp_path / "again", "--by", "model", "--output", tmp_path / "list.csv", code=1).stderr
    assert "of the 180 train tweets" in refused
    assert "Use --by baseline." in refused
    assert not (tmp_path / "list.csv").exists()


@pytest.mark.usefixtures("pushed")
def test_each_revision_of_a_model_is_looked_at(encoder: Path, hub: HubServer) -> None:
    """Nothing is known of the newest one; the teacher is of one commit from its check to its scores."""
    before = hub.head(MODEL)
    hub.write(MODEL, TRAINING_ROWS, b"")
    recipe = tiny_recipe(encoder, teacher=MODEL, split_seed=7)
    folder = recipe.with_values({"teacher": str(encoder), "teacher_revision": "main"})
    assert pin_models(folder).model.teacher_revision is None
    pinned = pin_models(recipe)
    assert pinned.model.teacher_revision == hub.head(MODEL) != before
    check(recipe)
    for changes in ({"model_name_or_path": MODEL, "model_revision": before}, {"teacher_revision": before}):
        with pytest.raises(DataError, match=f"{MODEL} was trained on"):
            check(recipe.with_values(changes))
