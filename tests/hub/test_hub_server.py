"""The Hub of our tests, asked by the real clients: huggingface_hub, transformers, datasets."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    ModelCard,
    constants,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.utils import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    httpx,
)

from hub_api_fixtures import MODEL, add, code, list_requests
from hub_server import SOMEBODYS_TOKEN, Account, HubServer

pytest_plugins = ("model_fixtures", "hub_api_fixtures")

CARD = "---\nlicense: mit\npipeline_tag: text-classification\ntags: [tweets]\n---\n# A card\n"
DATA = """---
configs:
- config_name: first
  default: true
  data_files: [{split: train, path: first/train.csv}, {split: test, path: first/test.csv}]
- config_name: second
  data_files: second.csv
---
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small file, one for LFS, and an empty one."""
    folder = tmp_path / "upload"
    (folder / "deep").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    (folder / "deep" / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "empty.bin").touch()
    return folder


def test_the_client_knows_our_address_and_a_cache_of_its_own(hub: HubServer) -> None:
    assert (hub.url, os.environ["HF_HOME"]) == (constants.ENDPOINT, constants.HF_HOME)
    assert constants.HF_HUB_DISABLE_XET


def test_who_one_is(hub: HubServer, api: HfApi) -> None:
    answer = api.whoami()
    assert (answer["name"], answer["type"], answer["auth"]["accessToken"]["role"]) == ("tester", "user", "write")
    assert [(org["name"], org["type"], org["roleInOrg"]) for org in answer["orgs"]] == [("testers", "org", "write")]
    assert api.whoami(token=SOMEBODYS_TOKEN)["name"] == "somebody"
    with pytest.raises(HfHubHTTPError, match="Invalid user token") as caught:
        api.whoami(token="hf_unknown")
    assert code(caught) == 401
    assert [request.token for request in hub.requests if request.endpoint == "whoami"][1:] == [
        SOMEBODYS_TOKEN,
        "hf_unknown",
    ]


def test_repositories_are_made_once_and_only_in_ones_own_namespaces(hub: HubServer, api: HfApi) -> None:
    assert api.create_repo("model").repo_id == MODEL
    assert api.create_repo("testers/data", repo_type="dataset").url == f"{hub.url}/datasets/testers/data"
    assert hub.files(MODEL).keys() == {".gitattributes"}
    with pytest.raises(HfHubHTTPError, match="You already created this model repo") as caught:
        api.create_repo(MODEL)
    assert code(caught) == 409
    assert api.create_repo(MODEL, exist_ok=True) == f"{hub.url}/{MODEL}"
    with pytest.raises(HfHubHTTPError, match='namespace "strangers"') as caught:
        api.create_repo("strangers/model")
    assert code(caught) == 403
    with pytest.raises(HfHubHTTPError) as caught:
        api.create_repo("tester/other", token=False)
    assert code(caught) == 401
    api.delete_repo(MODEL)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo(MODEL)
    assert hub.repos.keys() == {("dataset", "testers/data")}


def test_a_folder_is_one_commit_and_the_same_folder_none(hub: HubServer, api: HfApi, repo: str, folder: Path) -> None:
    commit_info = api.upload_folder(
        repo_id=repo, folder_path=folder, commit_message="All of it", commit_description="more"
    )
    assert (commit_info.oid, commit_info.commit_url) == (hub.head(repo), f"{hub.url}/{repo}/commit/{commit_info.oid}")
    sent = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert hub.files(repo) == sent | {".gitattributes": hub.files(repo)[".gitattributes"]}
    assert [commit.title for commit in hub.commits(repo)] == ["All of it", "initial commit"]
    assert list_requests(hub, "lfs_upload", "lfs_verify") == [("lfs_upload", 200), ("lfs_verify", 200)]

    again = api.upload_folder(repo_id=repo, folder_path=folder)
    assert again.oid == commit_info.oid
    assert list_requests(hub, "commit", "lfs_upload") == [("lfs_upload", 200), ("commit", 200)]

    listed = {file.path: file for file in api.list_repo_tree(repo, recursive=True, expand=True)}
    assert listed.keys() == {".gitattributes", "README.md", "deep", "deep/model.safetensors", "empty.bin"}
    weights = listed["deep/model.safetensors"]
    assert weights.lfs.sha256 == hashlib.sha256(sent[weights.path]).hexdigest()
    assert weights.last_commit.title == listed["deep"].last_commit.title == "All of it"
    assert listed[".gitattributes"].last_commit.title == "initial commit"
    assert [file.path for file in api.list_repo_tree(repo, "deep")] == [weights.path]
    assert [file.path for file in api.get_paths_info(repo, ["deep", "nothing", "empty.bin"])] == ["deep", "empty.bin"]
    info = api.model_info(repo, files_metadata=True)
    assert (info.sha, info.card_data.license, info.pipeline_tag) == (commit_info.oid, "mit", "text-classification")
    assert {file.rfilename: file.size for file in info.siblings}[weights.path] == 256 * 40
    assert [commit.title for commit in api.list_repo_commits(repo)] == ["All of it", "initial commit"]


def test_long_listings_come_in_pages(hub: HubServer, api: HfApi, repo: str) -> None:
    for number in range(4):
        hub.write(repo, f"{number}.txt", b"")
    hub.page_size = 2
    assert len(api.list_repo_files(repo)) == len(api.list_repo_commits(repo)) == 5
    assert list_requests(hub, "commits") == [("commits", 200)] * 3


def test_a_commit_is_whole_and_on_top_of_the_named_one(hub: HubServer, api: HfApi, repo: str) -> None:
    first = hub.head(repo)
    api.create_commit(repo, [add()], commit_message="one", parent_commit=first)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as caught:
        api.create_commit(repo, [add("new.txt")], commit_message="two", parent_commit=first)
    assert code(caught) == 412
    with pytest.raises(EntryNotFoundError, match="doesn't exist"):
        api.create_commit(repo, [add("new.txt"), CommitOperationDelete("nothing")], commit_message="two")
    with pytest.raises(RevisionNotFoundError):
        api.create_commit(repo, [add("new.txt")], commit_message="two", revision="nowhere")
    assert hub.files(repo).keys() == {".gitattributes", "notes.txt"}
    hub.write(repo, "folder/a.txt", b"")
    api.create_commit(
        repo, [CommitOperationDelete("folder/"), CommitOperationDelete("notes.txt")], commit_message="two"
    )
    assert hub.files(repo).keys() == {".gitattributes"}
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        api.create_commit(repo, [add("README.md", b"---\na: [\n---\n")], commit_message="three")
    with pytest.warns(UserWarning, match="empty or missing yaml"):
        api.create_commit(repo, [add("README.md", b"# Hello")], commit_message="three")


def test_a_large_file_that_was_never_uploaded_is_not_committed(hub: HubServer, api: HfApi, repo: str) -> None:
    operation = add("model.safetensors", b"weights")
    operation._upload_mode, operation._should_ignore, operation._is_uploaded = "lfs", False, True
    with pytest.raises(BadRequestError, match=r"Offending file: model.safetensors"):
        api.create_commit(repo, [operation], commit_message="weights")
    assert len(hub.commits(repo)) == 1


def test_others_may_only_propose(hub: HubServer, api: HfApi, repo: str) -> None:
    with pytest.raises(HfHubHTTPError, match="You don't have the rights to write") as caught:
        api.create_commit(repo, [add()], commit_message="mine", token=SOMEBODYS_TOKEN)
    assert code(caught) == 403
    hub.accounts["hf_read"] = Account("tester", role="read")
    with pytest.raises(HfHubHTTPError, match="the token may only read") as caught:
        api.create_commit(repo, [add()], commit_message="mine", token="hf_read")
    assert code(caught) == 403
    with pytest.raises(RepositoryNotFoundError) as caught:
        api.create_commit(repo, [add()], commit_message="mine", token=False)
    assert code(caught) == 401

    commit_info = api.create_commit(repo, [add()], commit_message="mine", token=SOMEBODYS_TOKEN, create_pr=True)
    assert (commit_info.pr_num, commit_info.pr_revision, commit_info.pr_url) == (
        1,
        "refs/pr/1",
        f"{hub.url}/{repo}/discussions/1",
    )
    api.create_commit(repo, [add("b")], commit_message="more", token=SOMEBODYS_TOKEN, revision="refs/pr/1")
    assert hub.files(repo, revision="refs/pr/1").keys() == {".gitattributes", "notes.txt", "b"}
    assert hub.files(repo).keys() == {".gitattributes"}
    (discussion,) = api.get_repo_discussions(repo, discussion_type="pull_request", discussion_status="open")
    assert (discussion.title, discussion.author, discussion.is_pull_request) == ("mine", "somebody", True)
    assert not list(api.get_repo_discussions(repo, author="tester"))
    assert Path(hf_hub_download(repo, "b", revision="refs/pr/1")).read_text() == "hello"
    assert api.create_pull_request(repo, title="empty").num == 2

    unchanged = api.create_commit(repo, [add("b")], commit_message="b", revision="refs/pr/1")
    assert unchanged.oid == hub.head(repo, revision="refs/pr/1")
    api.create_commit(repo, [add("b")], commit_message="b")
    unchanged = api.create_commit(repo, [add("b")], commit_message="b", create_pr=True)
    assert (unchanged.pr_url, unchanged.oid) == (None, hub.head(repo))


def test_branches_and_tags(hub: HubServer, api: HfApi, repo: str) -> None:
    first = hub.head(repo)
    api.create_branch(repo, branch="a/b")
    api.create_commit(repo, [add()], commit_message="on it", revision="a/b")
    api.create_tag(repo, tag="v1", revision="a/b")
    for again in (lambda: api.create_tag(repo, tag="v1"), lambda: api.create_branch(repo, branch="a/b")):
        with pytest.raises(HfHubHTTPError) as caught:
            again()
        assert code(caught) == 409
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(repo, tag="v2", revision="nowhere")
    refs = api.list_repo_refs(repo, include_pull_requests=True)
    tip = hub.head(repo, revision="v1")
    assert [(branch.name, branch.target_commit) for branch in refs.branches] == [("main", first), ("a/b", tip)]
    assert [(tag.name, tag.ref, tag.target_commit) for tag in refs.tags] == [("v1", "refs/tags/v1", tip)]
    for revision in ("a/b", "v1", tip):
        assert Path(hf_hub_download(repo, "notes.txt", revision=revision)).parent.name == tip
        assert api.model_info(repo, revision=revision).sha == tip
    api.delete_tag(repo, tag="v1")
    api.delete_branch(repo, branch="a/b")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo, revision="v1")


def test_private_ones_look_as_if_they_were_not_there(hub: HubServer, api: HfApi) -> None:
    api.create_repo(MODEL, private=True)
    assert api.model_info(MODEL).private
    for token, status in ((SOMEBODYS_TOKEN, 404), (False, 401)):
        with pytest.raises(RepositoryNotFoundError) as caught:
            api.model_info(MODEL, token=token)
        assert code(caught) == status
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download(MODEL, "README.md", token=token)
    api.update_repo_settings(MODEL, private=False)
    assert api.model_info(MODEL, token=False).private is False


def test_files_come_back(hub: HubServer, api: HfApi, repo: str, folder: Path, tmp_path: Path) -> None:
    api.upload_folder(repo_id=repo, folder_path=folder)
    copy = Path(snapshot_download(repo, local_dir=tmp_path / "copy"))
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert (copy / path.relative_to(folder)).read_bytes() == path.read_bytes()
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(repo, "nothing.json")
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download(repo, "README.md", revision="nowhere")
    hub.write(repo, "README.md", b"changed on the website")
    assert Path(hf_hub_download(repo, "README.md")).read_text() == "changed on the website"


def test_parts_of_files_come_back(hub: HubServer, repo: str) -> None:
    hub.write(repo, "letters.bin", b"abcdefghij")
    file = HfFileSystem()
    ranges = {(2, 5): b"cde", (7, None): b"hij"}
    assert {span: file.cat_file(f"{repo}/letters.bin", *span) for span in ranges} == ranges
    assert {status for _, status in list_requests(hub, "resolve_get")} == {206}
    missing = httpx.get(f"{hub.url}/{repo}/resolve/main/letters.bin", headers={"Range": "bytes=10-"})
    assert (missing.status_code, missing.headers["Content-Range"]) == (416, "bytes */10")


def test_any_path_and_content_can_be_there(hub: HubServer, repo: str) -> None:
    """Asked by a client that believes everything."""
    hostile = ["../../up.txt", "/etc/passwd", "a b%2Fc#?.txt", "né\n.txt", "model.pkl"]
    for path in hostile:
        hub.write(repo, path, b"\x80\x04.")
    hub.write(repo, "README.md", b"---\n- not\n- a mapping\n---\n")
    info = httpx.get(f"{hub.url}/api/models/{repo}").json()
    assert {*hostile, "README.md"} < {file["rfilename"] for file in info["siblings"]}
    assert not info.get("cardData")


def test_cards(hub: HubServer, repo: str) -> None:
    card = ModelCard(CARD)
    card.push_to_hub(repo)
    assert hub.files(repo)["README.md"].decode() == str(card)
    assert ModelCard.load(repo).data.tags == ["tweets"]
    card.validate()


def test_transformers_load_by_name(hub: HubServer, api: HfApi, repo: str, classifier_folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification, pipeline

    api.upload_folder(repo_id=repo, folder_path=classifier_folder)
    there, here = (AutoModelForSequenceClassification.from_pretrained(name) for name in (repo, classifier_folder))
    assert all((there.state_dict()[name] == value).all() for name, value in here.state_dict().items())
    answers = [pipeline("text-classification", model=str(name))("so good") for name in (repo, classifier_folder)]
    assert answers[0] == answers[1]
    with pytest.raises(OSError, match="not a valid model identifier"):
        AutoModelForSequenceClassification.from_pretrained("tester/nothing")


def test_datasets_load_by_name(hub: HubServer, api: HfApi, tmp_path: Path) -> None:
    from datasets import Dataset, load_dataset

    api.create_repo("tester/data", repo_type="dataset")
    rows = {"first/train.csv": "a,1\nb,0\n", "first/test.csv": "c,1\n", "second.csv": "d,0\ne,1\nf,1\n"}
    files = {path: f"text,label\n{content}" for path, content in rows.items()} | {"README.md": DATA}
    operations = [add(path, content.encode()) for path, content in files.items()]
    api.create_commit("tester/data", operations, commit_message="data", repo_type="dataset")
    first, second = load_dataset("tester/data"), load_dataset("tester/data", "second")
    assert {name: split["text"][:] for name, split in first.items()} == {"train": ["a", "b"], "test": ["c"]}
    assert second["train"]["label"][:] == [0, 1, 1]

    Dataset.from_dict({"text": ["x"]}).push_to_hub("tester/pushed")
    assert load_dataset("tester/pushed", split="train")["text"][:] == ["x"]


def test_a_squash_leaves_one_commit_and_its_large_files_count_until_they_are_deleted(
    hub: HubServer, api: HfApi, repo: str
) -> None:
    for content in (b"first", b"second"):
        api.upload_file(path_or_fileobj=content, path_in_repo="a.bin", repo_id=repo)
    api.super_squash_history(repo)
    assert len(api.list_repo_commits(repo)) == 1
    assert hub.files(repo)["a.bin"] == b"second"
    listed = {file.file_oid: file for file in api.list_lfs_files(repo)}
    assert set(listed) == {hashlib.sha256(content).hexdigest() for content in (b"first", b"second")}
    old = listed[hashlib.sha256(b"first").hexdigest()]
    api.permanently_delete_lfs_files(repo, [old], rewrite_history=False)
    assert [file.size for file in api.list_lfs_files(repo)] == [6]
    assert Path(hf_hub_download(repo, "a.bin")).read_bytes() == b"second"


def test_a_large_file_that_was_deleted_cannot_be_had(hub: HubServer, api: HfApi, repo: str) -> None:
    api.upload_file(path_or_fileobj=b"lost", path_in_repo="lost.bin", repo_id=repo)
    api.permanently_delete_lfs_files(repo, api.list_lfs_files(repo))
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(repo, "lost.bin", force_download=True)
