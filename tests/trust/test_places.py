"""Runs and recipes of strangers: no server, Space, repository or folder that only they name gets anything."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from eavesdropper import Eavesdropper
from hub_server import HubServer
from sentiment140_bert import trust
from sentiment140_bert.cli import main
from sentiment140_bert.errors import TrackerError
from sentiment140_bert.files import write_json
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking import wandb as wandb_tracker
from sentiment140_bert.tracking.mlflow_places import check_artifacts
from sentiment140_bert.tracking.tracks import describe_tracked_run
from stranger_fixtures import OWN, VERBS, contents, invoke
from tiny_run import flags
from told import tell

pytest_plugins = ("hub_fixtures", "stranger_fixtures")


def test_no_tracker_is_told_where_only_the_run_names_its_server(
    hub: HubServer, run_copy: Path, encoder: Path, stranger: Eavesdropper, tmp_path: Path, monkeypatch
) -> None:
    """Every verb does its work, says what it did not send, and exits with 0; what is only about trackers fails."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-token-of-this-machine")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    outside = tmp_path / "outside"
    noted = {"mlflow": {"id": "1" * 32, "tracking_uri": stranger.url}, "tensorboard": {"folder": str(outside)}}
    write_json(run_copy / "tracking.json", noted)
    files = sorted(path.name for path in tmp_path.iterdir())
    for verb, code in {"evaluate": 0, "card": 0, "push": 0, "train": 0, "track": 1}.items():
        result = invoke(VERBS[verb], run_copy, encoder)
        assert result.exit_code == code, (verb, result.output)
        if verb != "card":
            assert f"names {stranger.url}, which was never named on this machine" in result.output, verb
            assert f"MLFLOW_TRACKING_URI={stranger.url}" in result.output, verb
            assert f"names {outside}" in result.output, verb
    assert stranger.heard == []
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert json.loads((run_copy / "tracking.json").read_text())["mlflow"] == noted["mlflow"]


def test_a_server_that_was_named_once_is_told_by_later_verbs(
    run_copy: Path, encoder: Path, stranger: Eavesdropper, monkeypatch
) -> None:
    write_json(run_copy / "tracking.json", {"mlflow": {"id": "1" * 32, "tracking_uri": stranger.url}})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(run_copy.parent / "settings"))
    monkeypatch.setattr("sentiment140_bert.tracking.sync.PAUSES", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stranger.url)
    invoke(VERBS["track"], run_copy, encoder)
    heard = len(stranger.heard)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    result = invoke(VERBS["track"], run_copy, encoder)
    assert "never named on this machine" not in result.output
    assert 0 < heard < len(stranger.heard)


def test_a_run_that_is_trained_on_tells_no_strangers_server(
    run_copy: Path, encoder: Path, stranger: Eavesdropper
) -> None:
    """It ends before anything is trained: it would not be tracked."""
    for name in ("metrics.json", "published.json"):
        (run_copy / name).unlink(missing_ok=True)
    write_json(run_copy / "tracking.json", {"mlflow": {"id": "1" * 32, "tracking_uri": stranger.url}})
    tracked = saved_recipe(run_copy).with_values({"report_to": "mlflow"})
    (run_copy / "recipe.yaml").write_text(tracked.to_yaml())
    result = CliRunner().invoke(main, ["train", "--output-dir", str(run_copy), "--resume"])
    assert result.exit_code == 1
    assert f"If you trust it, name it: MLFLOW_TRACKING_URI={stranger.url}" in result.output
    assert not (run_copy / "metrics.json").exists()
    assert stranger.heard == []


def test_a_recipe_names_no_space_or_repository_of_somebody_else(
    hub: HubServer, run_copy: Path, encoder: Path, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    from sentiment140_bert.tracking.trackio import Trackio

    def unnamed(space: str) -> str:
        recipe = saved_recipe(run_copy).with_values({"trackio_space_id": space}, "a file")
        return Trackio(describe_tracked_run(RunDir(run_copy), recipe), {}).unnamed_place()

    assert {space: unnamed(space) for space in ("stranger/space", "tester/space", "space")} == {
        "stranger/space": "stranger/space",
        "tester/space": "",
        "space": "",
    }
    recipe = tmp_path / "theirs.yaml"
    recipe.write_text("tracking:\n  checkpoint_repo_id: stranger/checkpoints\n")
    words = ["train", "--recipe", str(recipe), "--output-dir", str(tmp_path / "new")]
    words += flags(model_name_or_path=encoder, num_train_epochs=1)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert "If you trust it, name it: --checkpoint-repo-id stranger/checkpoints" in result.output
    assert hub.repos == {}
    # A flag is the user's own word, now and later.
    CliRunner().invoke(main, [*words, "--checkpoint-repo-id", "stranger/checkpoints"])
    assert trust.is_known_place("checkpoint_repo_id", "stranger/checkpoints")
    monkeypatch.setenv("TRACKIO_SPACE_ID", "stranger/space")
    assert unnamed("stranger/space") == ""


def test_the_token_of_a_private_hub_does_not_go_to_a_space(hub: HubServer, run_copy: Path, monkeypatch, caplog) -> None:
    """Trackio makes an address of hf.space from any name."""
    monkeypatch.setenv("TRACKIO_SPACE_ID", "tester/board")
    assert not tell(run_copy, "trackio")
    assert "would be looked for on hf.space" in caplog.text


def test_modules_of_the_current_folder_are_not_run(run_copy: Path, monkeypatch) -> None:
    """A run holds a folder ``wandb``, which Python would take for the package."""
    folder = run_copy / "wandb" / "offline-run-20260101_000000-abcd1234"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "__main__.py"):
        (run_copy / "wandb" / name).write_text(f"open({str(run_copy / 'ran')!r}, 'w')")
    monkeypatch.chdir(run_copy)
    monkeypatch.setattr(wandb_tracker, "out_of_reach", lambda: "")
    write_json(run_copy / "tracking.json", {"wandb": {"id": "abcd1234"}})
    trust.remember_place("wandb", wandb_tracker.place_of(RunDir(Path()), "abcd1234"))
    with pytest.raises(TrackerError, match="was not recorded on this machine"):  # of a run in the place of an own one
        wandb_tracker.send(RunDir(Path()))
    RunDir(Path()).remember()
    wandb_tracker.send(RunDir(Path()))
    assert not (run_copy / "ran").exists()


def test_a_folder_that_a_run_brings_settles_nothing_for_trackers(run_copy: Path, encoder: Path, monkeypatch) -> None:
    """Settings of wandb and a database of MLflow in a run that the command is given in."""
    (run_copy / "wandb").mkdir()
    (run_copy / "wandb" / "settings").write_text("[default]\nentity = stranger\n")
    (run_copy / "mlflow.db").write_bytes(b"")
    write_json(run_copy / "tracking.json", {"wandb": OWN, "mlflow": {"id": "1" * 32}})
    monkeypatch.chdir(run_copy)
    result = invoke(["evaluate", "RUN"], Path(), encoder)
    assert result.exit_code == 0, result.output
    assert f"names {run_copy / 'wandb' / 'settings'}" in result.output
    assert "If the file is your own, set WANDB_DIR=" in result.output
    assert f"names sqlite:///{run_copy.resolve()}/mlflow.db" in result.output
    trust.remember_place("mlflow", f"sqlite:///{run_copy.resolve()}/mlflow.db")
    write_json(run_copy / "tracking.json", {"mlflow": {"id": "1" * 32, "tracking_uri": "http://stranger"}})
    assert "names http://stranger" in invoke(["evaluate", "RUN"], Path(), encoder).output
    assert (run_copy / "mlflow.db").read_bytes() == b""


ARTIFACTS: dict[tuple[str, str], bool] = {
    ("https://server/x", "mlflow-artifacts:/1/2/artifacts"): True,
    ("https://server/x", "mlflow-artifacts://server/1"): True,
    ("https://server/x", "mlflow-artifacts://server:5000/1"): False,
    ("http://127.0.0.1:5000", "http://127.0.0.1:5001/1"): False,
    ("https://server/x", "http://server/1"): False,
    ("https://server/x", "https://elsewhere\\@server/1"): False,
    ("https://server/x", "mlflow-artifacts://elsewhere\\@server/1"): False,
    ("https://server/x", "r2://bucket@account.r2.cloudflarestorage.com/1"): True,
    ("https://server/x", "r2://bucket@elsewhere/1"): False,
    ("https://server/x", "b2://bucket@elsewhere/1"): False,
    ("https://server/x", "abfss://files@account.dfs.core.windows.net/1"): True,
    ("https://server/x", "abfss://files@elsewhere/1"): False,
    ("https://server/x", "wasbs://files@dfs.core.windows.net.elsewhere/1"): False,
    ("https://server/x", "s3://user@elsewhere/1"): False,
    ("https://server/x", "hdfs://elsewhere:80/1"): False,
    ("https://server/x", "dbfs:/1"): True,
    ("https://server/x", "dbfs://profile@elsewhere/1"): False,
    ("https://server/x", "s3://bucket/1"): True,
    ("https://server/x", "ftp://user:password@elsewhere/1"): False,
    ("https://server/x", "https://server/1"): True,
    ("https://server/x", "https://elsewhere/1"): False,
    ("https://server/x", "mlflow-artifacts://elsewhere/1"): False,
    ("https://server/x", "file:///home/somebody"): False,
    ("https://server/x", "/home/somebody"): False,
    ("http://127.0.0.1:5000", "/home/somebody/mlruns/1"): True,
    ("sqlite:////store/mlflow.db", "/store/mlruns/1"): True,
    ("sqlite:////store/mlflow.db", "file:///home/somebody"): False,
    ("file:///store", "/store/1/2"): True,
    ("file:///store", "/store/../home"): False,
}


def test_settings_beside_a_run_are_used_where_the_user_names_their_folder(run_copy: Path, encoder: Path, monkeypatch):
    """An archive of a stranger may hold them and a run."""
    settings = run_copy.parent / ".wandb" / "settings"
    settings.parent.mkdir()
    settings.write_text("[default]\nentity = stranger\n")
    write_json(run_copy / "tracking.json", {"wandb": OWN})
    monkeypatch.chdir(run_copy.parent)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert f"names {settings}" in invoke(["evaluate", "RUN"], run_copy, encoder).output
    assert not list((run_copy / "wandb").glob("offline-run-*"))
    monkeypatch.setenv("WANDB_DIR", str(run_copy.parent))
    assert "names" not in invoke(["evaluate", "RUN"], run_copy, encoder).output
    assert list((run_copy / "wandb").glob("offline-run-*"))


def test_wandb_runs_no_git_in_a_run(run_copy: Path, encoder: Path, monkeypatch) -> None:
    """The configuration of a repository names programs."""
    (run_copy / "note.txt").write_text("{}")
    login = ("-c", "user.name=x", "-c", "user.email=x@x")
    for words in (["init", "-q"], ["add", "note.txt"], [*login, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(run_copy), *words], check=True)
    with (run_copy / ".git" / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "touch {run_copy / "ran"}"\n')
    write_json(run_copy / "tracking.json", {"wandb": OWN})
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SAVE_CODE", "true")
    result = invoke(["evaluate", "RUN"], run_copy, encoder)
    assert result.exit_code == 0, result.output
    assert list((run_copy / "wandb").glob("offline-run-*"))
    assert not (run_copy / "ran").exists()


def test_a_server_names_no_place_for_files_but_its_own() -> None:
    allowed = {}
    for (server, place), expected in ARTIFACTS.items():
        try:
            check_artifacts(server, place)
            allowed[server, place] = True
        except TrackerError:
            allowed[server, place] = False
        assert allowed[server, place] == expected, (server, place)


def test_a_run_of_somebody_else_is_not_told(run_copy: Path, encoder: Path, tmp_path: Path, monkeypatch) -> None:
    """Ids of tracked runs are public: cards name them."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)  # of another test
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    client = mlflow.MlflowClient()
    other = client.create_run(client.create_experiment("own"), tags={"s140.key": "1234"}).info.run_id
    client.log_metric(other, "test/accuracy", 0.4667)
    states = {"mlflow": {"id": other}, "wandb": {"id": "0" * 16}, "trackio": {"id": "run-00"}}
    for name, state in states.items():
        for forged in (state, state | {"key": "0"}, state | {"key": "1234"}):  # the tag, which its readers know
            write_json(run_copy / "tracking.json", {name: forged})
            assert "did not start" in invoke(["track", "sync", "RUN"], run_copy, encoder).output, forged
    assert client.get_run(other).data.metrics == {"test/accuracy": 0.4667}
    assert client.list_artifacts(other) == []
    assert not list((run_copy / "wandb").glob("offline-run-*"))


@pytest.mark.parametrize("title", ["../precious", "/precious", "..", "a/../../precious"])
def test_the_name_of_a_run_does_not_lead_out_of_the_folder_of_tensorboard(
    run_copy: Path, tmp_path: Path, monkeypatch, title: str
) -> None:
    from sentiment140_bert.tracking.tensorboard import Tensorboard

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "logs"))
    recipe = saved_recipe(run_copy).with_values({"run_name": title})
    tracker = Tensorboard(describe_tracked_run(RunDir(run_copy), recipe, live=False), {})
    tracker.open(lambda values: None)
    tracker.close("FINISHED")
    (folder,) = (tmp_path / "logs").iterdir()
    assert list(folder.iterdir())
    assert not (tmp_path / "precious").exists()


def test_a_name_of_a_tracked_run_is_no_path(run_copy: Path, encoder: Path, tmp_path: Path) -> None:
    for name in ("../../out", "/tmp/out", "..", ".", "a/b"):
        write_json(run_copy / "tracking.json", {"trackio": {"id": name}})
        result = invoke(["track", "sync", "RUN"], run_copy, encoder)
        assert result.exit_code == 1
        assert "tracking.json" in result.output


def test_the_address_of_wandb_is_of_the_environment_or_the_users_own_login(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text("[default]\nbase_url = http://stranger\n")
    assert wandb_tracker._address() == "https://api.wandb.ai"
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "settings").write_text("[default]\nbase_url = https://company/\n")
    assert wandb_tracker._address() == "https://company"
    monkeypatch.setenv("WANDB_BASE_URL", "https://named/")
    assert wandb_tracker._address() == "https://named"


def test_wandb_does_not_take_the_address_of_a_folder(
    run_copy: Path, encoder: Path, stranger: Eavesdropper, monkeypatch
):
    """W&B's client reads ./wandb/settings, which may come with a stranger's run; what it kept there is not sent."""
    folder = run_copy / "wandb" / "offline-run-20260101_000000-abcd1234"
    folder.mkdir(parents=True)
    (folder / "run-abcd1234.wandb").write_bytes(b"x")
    (run_copy / "wandb" / "settings").write_text(f"[default]\nbase_url = {stranger.url}\n")
    write_json(run_copy / "tracking.json", {"wandb": {"id": "abcd1234"}})
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.chdir(run_copy)
    result = CliRunner().invoke(main, ["track", "sync", "."])
    assert result.exit_code == 1
    assert "was not recorded on this machine" in result.output
    assert stranger.heard == []


def test_an_address_that_clients_read_differently_is_no_known_place() -> None:
    place = "http://mlflow.corp.example:5000"
    trust.remember_place("mlflow", place)
    assert trust.is_known_place("mlflow", place)
    assert trust.is_known_place("mlflow", "http://user:password@mlflow.corp.example:5000")
    for sign in ("?", "#", "\\", "/", " ", "\t", "\n", "/?", "?x="):
        assert not trust.is_known_place("mlflow", f"http://127.0.0.2:5000{sign}@mlflow.corp.example:5000"), sign
        assert not trust.is_known_place("mlflow", f"{place}{sign}@127.0.0.2"), sign


def test_files_go_where_the_server_said_when_it_was_asked_first(run_copy: Path, elsewhere: Path, monkeypatch) -> None:
    """It is asked once, and its answer checked; another answer later changes nothing."""
    from sentiment140_bert.tracking.mlflow import Mlflow

    store = run_copy.parent / "store.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)  # of another test
    tracker = Mlflow(describe_tracked_run(RunDir(run_copy), saved_recipe(run_copy), live=False), {})
    tracker.open(lambda values: None)
    with contextlib.closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", (elsewhere.as_uri(),))
        connection.commit()
    before = contents(elsewhere)
    tracker.file("note.txt", b"changed")
    assert contents(elsewhere) == before


def test_a_trackers_odd_answer_is_not_written_down(run_copy: Path) -> None:
    from sentiment140_bert.tracking.sync_state import SyncState

    before = RunDir(run_copy).tracking.read_bytes() if RunDir(run_copy).tracking.exists() else None
    with pytest.raises(TrackerError, match="The answer of mlflow"):
        SyncState(RunDir(run_copy)).write("mlflow", {"id": "../../x"})
    assert (RunDir(run_copy).tracking.read_bytes() if RunDir(run_copy).tracking.exists() else None) == before


def test_without_a_home_nothing_is_read_out_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where nothing says what the home is
    monkeypatch.chdir(tmp_path)
    notes = Path("~/.config/sentiment140_bert/known_places")
    notes.parent.mkdir(parents=True)
    notes.write_text("mlflow http://strangers.example\n")
    assert not trust.is_known_place("mlflow", "http://strangers.example")
    trust.remember_place("mlflow", "http://own.example")
    assert trust.is_known_place("mlflow", "http://own.example")  # in this process
    assert notes.read_text() == "mlflow http://strangers.example\n"


def test_no_password_of_an_address_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    place = "postgresql://me:swordfish98@host/db?user=x&password=swordfish99&api_key=swordfish97&sslmode=require"
    trust.remember_place("mlflow", place)
    assert trust.is_known_place("mlflow", place)
    notes = (tmp_path / "sentiment140_bert" / "known_places").read_text()
    assert "swordfish" not in notes
    assert "sslmode=require" in notes
