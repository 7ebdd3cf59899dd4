"""Datasets of the Hub that mean harm: nothing of them is run, and nothing but their own files becomes tweets."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from hub_server import HubServer
from malice import Canary
from on_hub import DATA

pytest_plugins = ("hub_fixtures", "malice")

TWEETS = "text,label\n" + "".join(f"tweet number {number} of ours,{number % 2}\n" for number in range(60))
NUMBERS = iter(range(1000))
Put = Callable[[dict[str, bytes]], str]


@pytest.fixture
def put(hub: HubServer) -> Put:
    """A dataset repository with these files; its id."""

    def make(files: dict[str, bytes]) -> str:
        repo_id = f"somebody/data-{next(NUMBERS)}"
        hub.create(repo_id, "dataset")
        for path, content in files.items():
            hub.write(repo_id, path, content, "dataset")
        return repo_id

    return make


@pytest.fixture
def refused(s140: Callable[..., Result], encoder: Path) -> Callable[..., Result]:
    """``s140 prepare`` of it ends with a sentence that holds these words."""

    def invoke(repo_id: str, *words: str) -> Result:
        result = s140("prepare", "--dataset", repo_id, "--model-name-or-path", encoder, code=1)
        assert all(word in result.stderr for word in words), result.stderr
        return result

    return invoke


def test_a_loading_script_is_not_run(put: Put, refused, code: bytes) -> None:
    repo_id = put({"train.csv": TWEETS.encode()})
    name = repo_id.rpartition("/")[2]
    refused(put({f"{name}.py": code, "data.py": code, "__init__.py": code, "dataset_infos.json": b"{}"}), "Hub")


def test_a_pickle_is_not_opened(put: Put, refused, canary: Path) -> None:
    for name in ("train.pkl", "data/train-00000-of-00001.pickle", "train.pt", "state.joblib"):
        refused(put({name: pickle.dumps(Canary(canary))}), "could not be loaded")


def test_a_pickle_in_an_archive_of_samples_is_not_opened(put: Put, refused, canary: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("0.pkl", "0.pyd", "0.pickle", "0.pth", "0.npy", "../../0.txt"):
            content = pickle.dumps(Canary(canary))
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    refused(put({"train.tar": packed.getvalue()}))


def test_a_file_of_this_machine_does_not_become_its_tweets(put: Put, refused, tmp_path: Path) -> None:
    private = tmp_path / "private.csv"
    private.write_text(TWEETS.replace("ours", "secret"))
    for place in (f"{private}", f"file://{private}", f"../../../../../../../..{private}"):
        card = f"---\nconfigs:\n- config_name: default\n  data_files: {json.dumps(place)}\n---\n"
        result = refused(put({"README.md": card.encode(), "train.csv": TWEETS.encode()}))
        assert "secret" not in result.output


def test_tweets_of_another_repository_do_not_become_its(put: Put, refused) -> None:
    other = put({"train.csv": TWEETS.encode()})
    card = f"---\nconfigs:\n- config_name: default\n  data_files: hf://datasets/{other}/train.csv\n---\n"
    refused(put({"README.md": card.encode(), "train.csv": TWEETS.encode()}))


def test_file_names_that_climb_out_are_not_followed(put: Put, refused) -> None:
    refused(put({"../../escaped.csv": TWEETS.encode(), "train.csv": TWEETS.encode()}))


@pytest.mark.parametrize("path", ["default/../../../escaped.parquet", "tokenized/../../../../../escaped.parquet"])
@pytest.mark.usefixtures("pushed")
def test_published_splits_are_only_read_by_their_own_names(hub: HubServer, s140, encoder: Path, path: str) -> None:
    hub.write(DATA, path, b"PAR1", "dataset")
    result = s140("prepare", "--dataset", DATA, "--model-name-or-path", encoder, code=1)
    assert "points outside its repository" in result.stderr


def test_all_files_are_of_one_commit_which_is_told(put: Put, hub: HubServer, s140, encoder: Path) -> None:
    repo_id = put({"train.csv": TWEETS.encode()})
    commit = hub.head(repo_id, "dataset")
    hub.requests.clear()
    result = s140("prepare", "--dataset", repo_id, "--model-name-or-path", encoder, "--json")
    assert json.loads(result.stdout)["sources"]["training"]["revision"] == commit
    fetched = [request.path for request in hub.requests if request.endpoint == "resolve_get"]
    assert fetched
    assert all(f"/resolve/{commit}/" in path for path in fetched)
