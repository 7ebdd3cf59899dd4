"""The run directory: the names of its files, reading them, and clearing it."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sentiment140_bert.errors import RunError
from sentiment140_bert.evaluation.predictions import read_predictions
from sentiment140_bert.files import write_json, write_text
from sentiment140_bert.run import RunDir, RunFile, saved_recipe
from sentiment140_bert.training.output_dir import refuse_foreign_files, resolve_output_dir

pytest_plugins = "model_fixtures"
WRITTEN_FIRST = ("data.json", "environment.json", "history.jsonl")
HEARD: Callable[[str, tuple[object, ...]], None] | None = None  # is asked before any file is removed


sys.addaudithook(lambda event, arguments: HEARD(event, arguments) if HEARD else None)


@pytest.fixture
def run(tmp_path) -> RunDir:
    return RunDir(tmp_path / "runs" / "one")


def put(file: Path, text: str = "{}") -> None:
    """Write a file without waiting for the disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def places(run: RunDir) -> dict[str, Path]:
    """Return every place that a run directory names."""
    return {name: getattr(run, name) for name, kind in vars(RunDir).items() if isinstance(kind, RunFile)}


def test_every_file_has_its_name(run):
    assert {name: place.relative_to(run.path).as_posix() for name, place in places(run).items()} == {
        **{"recipe": "recipe.yaml", "data": "data.json", "environment": "environment.json", "history": "history.jsonl"},
        **{"metrics": "metrics.json", "predictions": "predictions.parquet", "report": "report.html"},
        **{"tracking": "tracking.json", "tensorboard": "tensorboard", "published": "published.json"},
        **{"figures": "figures", "checkpoints": "checkpoints", "staging": "checkpoints/.for-the-hub"},
        **{"fetched": ".from-the-hub", "suspects": "suspects", "model": "model", "onnx": "onnx"},
        **{"card": "model/README.md", "weights": "model/model.safetensors"},
        **{"training_rows": "model/training_rows.safetensors"},
    }


def test_a_run_begins_with_its_recipe_and_ends_with_its_scores(run):
    write_text(run.recipe, "description: x\n")
    assert not run.is_run()  # a recipe alone may belong to something else
    write_json(run.environment, {})
    assert (run.is_run(), run.is_finished()) == (True, False)
    write_json(run.path / "config.json", {})
    assert not run.is_run()  # a model folder carries these two of its run
    (run.path / "config.json").unlink()
    write_json(run.metrics, {})
    assert run.is_finished()


def test_the_cheapest_remedy_is_named(tmp_path):
    """Damage each file in a run, in a trial of a study, and in a folder that is not a run."""
    runs = {"run": tmp_path / "a" / "run", "trial": tmp_path / "study" / "trials" / "1", "page": tmp_path / "page"}
    for name, folder in runs.items():
        for file in ("data.json", "environment.json", "metrics.json", "tracking.json", "published.json", "failed.json"):
            write_text(folder / file, "{")
        if name != "page":
            write_text(folder / "recipe.yaml", "")
    write_text(tmp_path / "study" / "study.json", "{}")
    write_text(runs["run"] / "model" / "data.json", "{}")
    expected = {
        ("run", "data.json"): f"cp {runs['run']}/model/data.json {runs['run']}/data.json",
        ("run", "environment.json"): "train again with --overwrite",
        ("run", "metrics.json"): "train again with --overwrite",
        ("run", "tracking.json"): f"Remove {runs['run']}/tracking.json",
        ("run", "published.json"): f"Remove {runs['run']}/published.json",
        ("run", "failed.json"): f"Remove {runs['run']}/failed.json",
        ("trial", "data.json"): f"Remove {runs['trial']};",
        ("trial", "metrics.json"): f"Remove {runs['trial']};",
        ("trial", "tracking.json"): f"Remove {runs['trial']}/tracking.json",
        ("page", "data.json"): "of an older version?",
        ("page", "tracking.json"): "of an older version?",
        ("page", "failed.json"): f"Remove {runs['page']}/failed.json",
    }
    for (name, file), remedy in expected.items():
        with pytest.raises(RunError, match=f"{file} is damaged") as caught:
            RunDir(runs[name]).read(runs[name] / file, dict)
        assert remedy in caught.value.hint, (name, file)
    for folder in (runs["run"], runs["trial"]):
        write_text(folder / "predictions.parquet", "{")
        write_text(folder / "model" / "model.safetensors", "")
        write_text(folder / "model" / "data.json", "{}")
        for read, remedy in (
            (RunDir(folder).read_metrics, "s140 evaluate"),
            (lambda: read_predictions(RunDir(folder)), "s140 evaluate"),  # noqa: B023 - called at once
            (RunDir(folder).read_data, "cp"),
        ):
            with pytest.raises(RunError, match="is damaged") as caught:
                read()
            assert f"{remedy} {folder}" in caught.value.hint


@pytest.mark.parametrize("name", WRITTEN_FIRST)
def test_a_file_with_the_name_of_a_runs_file_may_be_a_persons(run, name):
    put(run.path / name, '{"text": "so good", "label": 1}\n')
    with pytest.raises(RunError, match="is not empty, and `s140 train` did not write it"):
        refuse_foreign_files(run)


def test_what_a_training_reads_is_not_removed_first(run, smallest_run):
    shutil.copytree(smallest_run, run.path)
    put(run.figures / "tweets.csv", "text,label\n")
    recipe = saved_recipe(run.path)
    for name, value in {"dataset": "figures/tweets.csv", "model_name_or_path": "model"}.items():
        changed = recipe.with_values({name: str(run.path / value)})
        with pytest.raises(RunError, match="--overwrite empties"):
            resolve_output_dir(run, changed, resume=False, overwrite=True)
    assert not resolve_output_dir(run, recipe, resume=False, overwrite=True)


def test_what_no_run_wrote_among_checkpoints_stays(run):
    others = [run.checkpoints / name for name in ("my.ckpt", "epoch-3/w.pt", "checkpoint-12-backup/w.pt")]
    for file in (*others, run.checkpoints / "checkpoint-12" / "w.pt", run.recipe):
        put(file)
    run.clear()
    assert sorted(file for file in run.path.rglob("*") if file.is_file()) == sorted(others)


def begun(run: RunDir) -> None:
    """Put something into the place of a finished run."""
    own = {*places(run).values()} - {run.checkpoints} | {run.checkpoints / "checkpoint-1", run.path / "wandb"}
    for place in own:
        put(place if place.suffix else place / "any.bin")


def test_a_half_removed_run_is_neither_finished_nor_foreign(run, smallest_run, monkeypatch):
    """Kill it at any moment of the removal."""
    for moment in itertools.count(1):
        begun(run)
        for name in WRITTEN_FIRST:
            shutil.copy(smallest_run / name, run.path)
        left = moment

        def removal(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in ("os.remove", "os.rmdir") and left:
                left -= 1
                if not left:
                    raise KeyboardInterrupt

        monkeypatch.setattr(sys.modules[__name__], "HEARD", removal)
        try:
            run.clear()
        except KeyboardInterrupt:
            assert not run.is_finished() or run.weights.is_file()
            refuse_foreign_files(run)
        else:
            break
        finally:
            monkeypatch.setattr(sys.modules[__name__], "HEARD", None)
    assert moment > len(places(run))
    assert list(run.path.iterdir()) == []


def test_nothing_is_removed_through_a_link(run, tmp_path):
    larger = tmp_path / "larger"
    for path in ("checkpoint-6", "mine"):
        write_text(larger / path / "model.safetensors", "")
    run.path.mkdir(parents=True)
    run.checkpoints.symlink_to(larger)
    run.model.symlink_to(larger / "mine")
    run.clear()
    assert {path.name for path in larger.iterdir()} == {"checkpoint-6", "mine"}
    assert all(len(list(path.iterdir())) == 1 for path in larger.iterdir())
    assert not run.model.is_symlink()


def test_only_files_that_the_tool_writes_leave_the_machine(run):
    own = {"slices.png", "model-00002-of-00002.safetensors", "config.json"}
    others = {"passport.png", "model_private.safetensors", "model-00001-of-2.safetensors", "training_args.bin"}
    for name in own | others:
        put(run.figures / name)
        put(run.model / name)
    assert {file.name for file in (*run.list_figures(), *run.list_model_files())} == own


def test_clearing_leaves_other_files(run):
    begun(run)
    put(run.path / "thesis.txt", "mine")
    run.clear()
    assert [path.name for path in run.path.iterdir()] == ["thesis.txt"]
