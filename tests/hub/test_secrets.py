"""Stop a push for a secret anywhere in a run, without repeating it, and for nothing that only looks like one."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from command_line import Command
from hub_server import TOKEN, HubServer
from on_hub import BOTH, DATA, MODEL, commits_of_ours
from sentiment140_bert import prepare, saved_recipe
from sentiment140_bert.errors import SecretError
from sentiment140_bert.hub import secrets
from sentiment140_bert.run import RunDir

pytest_plugins = "hub_fixtures"

HEX = "0123456789abcdef" * 8
HF = "hf_" + "aB3dE5" * 6
AWS = "wJalrXUtnFEMI/K7MDENG" + "/bPxRfiCYzz3X4MPL9K"
# Put together here, so that nobody who scans this repository stumbles over them.
PLANTED = {
    "hf": HF,
    "hf-browser": "hf_oauth_" + "eyJhbGci.aB3dE5-aB3dE5_aB3dE5",
    "hf-job": "hf_jwt_" + "eyJhbGci.aB3dE5-aB3dE5_aB3dE5",
    "hf-organisation": "api_org_" + "aB3dE5" * 6,
    "wandb-bare": HEX[3:43],
    "wandb-named": f"WANDB_API_KEY={HEX[5:45]}",
    "wandb-new": "wandb_v1_" + "aB3dE5" * 10,
    "wandb-local": f"local-{HEX[:40]}",
    "databricks": "dapi" + HEX[:32],
    "databricks-suffix": "dapi" + HEX[:32] + "-2",
    "databricks-named": "databricks_token: " + "aB3dE5" * 6,
    "mlflow-password": "MLFLOW_TRACKING_PASSWORD=" + "swordfish99",
    "mlflow-token": 'MLFLOW_TRACKING_TOKEN="' + "ey.aB3dE5.aB3dE5" + '"',
    "aws-id": "AKIA" + "Q3EGV7ZX2LNP5TRW",
    "aws-temporary-id": "ASIA" + "Q3EGV7ZX2LNP5TRW",
    "aws-secret": f"aws_secret_access_key = {AWS}",
    "aws-session": "AWS_SESSION_TOKEN=" + "FwoGZXIvYXdzE" * 5,
    "github": "ghp_" + "aB3dE5" * 6,
    "github-fine-grained": "github_pat_" + "11AB_" + "aB3dE5" * 9,
    "gitlab": "glpat-" + "aB3dE5" * 4,
    "gitlab-runner": "glrt-" + "aB3dE5" * 4,
    "slack": "xoxb-" + "1234567890-aB3dE5" * 2,
    "slack-browser": "xoxc-" + "1234567890-aB3dE5" * 2,
    "slack-app": "xapp-1-" + "A1B2C3D4E5-" * 3,
    "slack-webhook": "https://hooks.slack.com/services/" + "T00AA00/B00BB00/aB3dE5aB3dE5",
    "google-access": "ya29." + "aB3dE5" * 6,
    "google-client": "GOCSPX-" + "aB3dE5" * 5,
    "basic": "Authorization: Basic " + "bWU6c3dvcmRmaXNo",
    "openai": "sk-proj-" + "aB3dE5" * 6,
    "google": "AIza" + ("aB3dE5" * 6)[:35],
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0." + "aB3dE5" * 4,
    "bearer": "Authorization: Bearer " + "aB3dE5" * 4,
    "login-in-url": "https://" + "aB3dE5" * 4 + "@github.com/you/it",
    "private-key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "pgp-key": "-----BEGIN " + "PGP PRIVATE KEY BLOCK-----",
    "password-in-url": "https://me:" + "swordfish99@example.com/mlflow",
    "password-without-user": "redis://:" + "swordfish99@example.com/0",
}


def check_stopped(result, hub: HubServer, name: str, secret: str) -> None:
    """Check that the file is named, the secret is not, and the Hub was not even asked."""
    assert result.exit_code == 1
    assert name in result.stderr
    assert "secret" in result.stderr
    assert secret not in result.output
    assert hub.requests == []


def test_any_kind_is_found_and_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    for kind, secret in PLANTED.items():
        file.write_text(f"remember\n{secret}\nfor later\n")
        for content in (file, file.read_bytes()):
            with pytest.raises(SecretError, match=r"notes\.txt") as caught:
                secrets.check_files([("fine.txt", b"nothing here"), ("notes.txt", content)])
            assert secret[-10:] not in str(caught.value), kind
        for encoding in ("utf-16", "utf-16-be", "utf-32"):  # as PowerShell writes them
            assert secrets.find_secret(f"remember\n{secret}\n".encode(encoding)), (kind, encoding)


MIXED, DIGITS = "aB3dE5" * 20, "0123456789abcdef" * 4
# What each begins with, the signs that follow, and how many there must be.
SHORTEST = [
    *(("hf_", MIXED, 30), ("api_org_", MIXED, 30), ("hf_oauth_", "a.B-3_" * 9, 20), ("hf_jwt_", "a.B-3_" * 9, 20)),
    *(("wandb_v1_", MIXED, 20), ("dapi", DIGITS, 32), ("dkea", DIGITS, 32), ("dose", DIGITS, 32)),
    *(("WANDB_API_KEY=", "a-B_3" * 9, 20), ("mlflow_tracking_token: ", "a.B:3" * 9, 8)),
    *(("MLFLOW_TRACKING_PASSWORD='", "a.B:3" * 9, 8), ("databricks_token = ", "a.B:3" * 9, 8)),
    *(("DATABRICKS_CLIENT_SECRET=", "a.B:3" * 9, 8), ("://me:", "a.B!3" * 9, 6)),
]
# Whose end counts, too.
EXACT = [
    *(("local-", DIGITS, 40), ("AKIA", "Q3EG" * 9, 16), ("ASIA", "Q3EG" * 9, 16)),
    *((f"wandb{gap}", DIGITS, 40) for gap in (" ", ": {'key': '", "." * 39 + " ")),
    *((f"{name}=", DIGITS, 40) for name in ("api_key", "apikey", "API-KEY")),
]
AT_LEAST_40 = [
    *(f"{name}=" for name in ("aws_secret_access_key", "aws-secret-access-key", "awssecretaccesskey")),
    *(f"{name}: " for name in ("SecretAccessKey", "AWS_SESSION_TOKEN", "awsSessionToken", "aws_sessiontoken")),
]


def test_how_long_a_secret_is_at_least() -> None:
    """The shortest secrets are found, shorter strings are not, in tweets and in binary files."""
    rows, wrong = [*SHORTEST, *EXACT, *((start, "wJalr/3+=" * 9, 40) for start in AT_LEAST_40)], []
    for start, signs, length in rows:
        end = "@example.com" if start.startswith("://") else " "
        for count, is_found in ((length, True), (length - 1, False)):
            text = f"it is {start}{signs[:count]}{end}and so on".encode()
            for content in (text, b"\0" + text):
                if bool(secrets.find_secret(content, bare=False)) is not is_found:
                    wrong.append((start, count, content[:1]))
    for start, signs, length in EXACT:
        if secrets.find_secret(f"{start}{signs[: length + 1]} ".encode(), bare=False):
            wrong.append((start, length + 1, b""))
    assert wrong == []


def test_a_name_is_near_its_value_and_on_its_line() -> None:
    for name in ("wandb", "api_key"):
        assert secrets.find_secret(f"{name}{' ' * 40}{HEX[:40]}".encode(), bare=False)
        assert secrets.find_secret(f"{name}{' ' * 41}{HEX[:40]}".encode(), bare=False) is None
        assert secrets.find_secret(f"{name}\n{HEX[:40]}".encode(), bare=False) is None
    assert secrets.find_secret(HEX[:40].encode())  # without a name only in text
    assert secrets.find_secret(b"\0 " + HEX[:40].encode()) is None
    assert secrets.find_secret(HEX[:40].encode(), bare=False) is None
    assert secrets.find_secret(HEX[:39].encode()) is secrets.find_secret(HEX[:41].encode()) is None


def test_what_this_machine_knows_is_found_in_any_file_and_form(tmp_path: Path, monkeypatch) -> None:
    password = 'sword"fish\\/90 ä-and-more'
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    raw = password.encode()
    contents = {"plain": raw, "binary": b"\0\xff" + raw, "JSON": json.dumps([password]).encode()}
    contents["address"] = quote(password, safe="").encode()
    contents |= {f"base64 {at}": base64.b64encode(b"u" * at + b":" + raw) for at in range(4)}
    assert [name for name, content in contents.items() if not secrets.find_secret(content, secrets.list_known())] == []
    assert secrets.find_secret(password[:-1].encode(), secrets.list_known()) is None
    for content in contents.values():
        with pytest.raises(SecretError, match=r"tweets\.parquet"):
            secrets.make_tweet_check()(content, "tweets.parquet")


IN_RUN = [
    *("recipe.yaml", "history.jsonl", "metrics.json", "environment.json", "data.json", "model/README.md"),
    *("model/config.json", "model/tokenizer_config.json", "model/notes.txt", "model/training_args.bin"),
    *("wandb/offline-run-1/files/output.log", ".env"),
]


def test_the_name_of_a_file_is_searched_and_not_repeated() -> None:
    token = "hf_" + "abcdefghijABCDEFGHIJ" * 2
    with pytest.raises(SecretError) as refused:
        secrets.check_files([(f"figures/{token}.png", b"")])
    assert token not in str(refused.value)
    secrets.check_files([(f"blobs/{'0123456789abcdef' * 4}.png", b""), (f"{'0' * 40}.json", b"")])


def test_in_any_file_of_the_run_it_stops_the_push(hub: HubServer, push, run_copy: Path) -> None:
    for name in IN_RUN:
        file, secret = run_copy / name, PLANTED["wandb-bare" if name.endswith((".yaml", ".jsonl")) else "hf"]
        before = file.read_bytes() if file.exists() else None
        if name.endswith(".json"):
            file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"note": secret}))
        elif before is not None:
            with file.open("a", encoding="utf-8") as opened:
                opened.write(f"# {secret}\n")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(secret)
        check_stopped(push(code=1), hub, Path(name).name, secret)
        file.unlink() if before is None else file.write_bytes(before)
    push("--dry-run")


AROUND: dict[str, Callable[[str], str]] = {
    "a line in a JSON string": lambda text: json.dumps({"log": f"login\n{text}\ndone"}),
    "a cell in a JSON string": lambda text: json.dumps({"log": f"login\t{text}\tdone"}),
    "JSON in JSON": lambda text: json.dumps({"log": json.dumps({"a": text})}),
    "a header": lambda text: f"curl -H 'Authorization: Bearer {text}'",
    "a setting": lambda text: f"key={text};",
    "brackets": lambda text: f"({text})",
    "Windows": lambda text: f"\ufeff{text}\r\n",
}


def test_in_any_surroundings() -> None:
    kinds = ("hf", "databricks", "wandb-bare", "aws-secret", "wandb-named", "aws-id")
    texts = {(kind, name): around(PLANTED[kind]) for kind in kinds for name, around in AROUND.items()}
    texts |= {(kind, "an address"): f"https://example.com/?key%3D{PLANTED[kind]}" for kind in ("hf", "databricks")}
    shapes = (
        *(f'"aws_secret_access_key": "{AWS}"', f"AWS_SECRET_ACCESS_KEY={AWS}", f"aws-secret-access-key: {AWS}"),
        *(f"aws_secret_access_key='{AWS}'", f'"SecretAccessKey": "{AWS}"'),
        *(f"machine api.wandb.ai\n  login user\n  password {HEX[:40]}", f'wandb.login(key="{HEX[:40]}")'),
    )
    texts |= dict(enumerate(shapes))
    assert [place for place, text in texts.items() if not secrets.find_secret(text.encode())] == []


def test_what_this_machine_knows_stops_the_push_whatever_it_looks_like(
    hub: HubServer, push, run_copy: Path, monkeypatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    for variable, value in (
        ("HF_TOKEN", "correct horse battery"),
        ("WANDB_API_KEY", "p4ssw0rd"),
        ("WANDB_API_KEY", "end-of-a-file\n"),
        ("DATABRICKS_TOKEN", "ä-ö-ü-ß-€uro"),
        ("MLFLOW_TRACKING_PASSWORD", "swordfish"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            (run_copy / "notes.txt").write_text(f"it is {value.strip()}, I think", "utf-8")
            check_stopped(push(code=1), hub, "notes.txt", value.strip())
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("an-odd-login")
    (run_copy / "history.jsonl").write_text('{"step": 1, "note": "an-odd-login"}\n')
    check_stopped(push(code=1), hub, "history.jsonl", "an-odd-login")


@pytest.mark.parametrize("secret", [HF, PLANTED["wandb-named"], PLANTED["aws-secret"], "x" * 900])
def test_no_seam_hides_a_secret(tmp_path: Path, monkeypatch, secret: str) -> None:
    monkeypatch.setattr(secrets, "CHUNK", 2048)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "x" * 900)  # such tokens are that long
    file = tmp_path / "log.txt"
    for start in range(2048 - len(secret) - 8, 2056, 7):
        file.write_text("." * (start - 1) + " " + secret + " " + "." * 3000)
        with pytest.raises(SecretError, match=r"log\.txt"):
            secrets.check_files([("log.txt", file)])


def test_no_seam_makes_a_secret(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(secrets, "CHUNK", 2048)
    file = tmp_path / "log.txt"
    for line in (f'"sha256": "{HEX[:64]}"', f"revision `{HEX[:40]}`", f'"commit": "{HEX[:40]}"'):
        for start in (*range(1430, 1620), *range(1940, 2060)):
            file.write_text("." * start + " " + line + " " + "." * 3000)
            secrets.check_files([("log.txt", file)])


def test_what_only_looks_like_one_is_none() -> None:
    texts = [
        *(f"revision: {HEX[:40]}", f"revision: '{HEX[:40]}'", f'"revision": "{HEX[:40]}"'),
        *(f"dataset_revision: {HEX[:40]}", f"revision `{HEX[:40]}`"),
        f"s140 train --dataset-revision {HEX[:40]} --max-steps 2",
        *(f"s140 train --dataset-revision={HEX[:40]} --max-steps 2", f"s140 train --model-revision={HEX[:40]}"),
        *(f"commit {HEX[:40]}", f'{{"commit": "{HEX[:40]}"}}', f"https://huggingface.co/user/model/tree/{HEX[:40]}"),
        *(f"https://huggingface.co/user/model/commit/{HEX[:40]}", f"sha256: {HEX[:64]}", f"md5 {HEX[:32]}"),
        "wandb: run abc123 at https://wandb.ai/me/project/runs/abc123",
        "https://user@example.com/path and https://example.com:8080/a@b",
        *("http://t.co/ab:cdefgh the time is 12:30:45@home", "hf_hub_download and hf_xet"),
        *("-----BEGIN PUBLIC KEY-----", "DATABRICKS_TOKEN=$DATABRICKS_TOKEN and MLFLOW_TRACKING_TOKEN=${TOKEN}"),
        *("export HF_TOKEN=hf_...", "dapix dapi0123 AKIA ASIANFOODISGREATYUM", "local-time"),
    ]
    assert [text for text in texts if secrets.find_secret(text.encode())] == []


@pytest.mark.realdata
def test_real_tweets_hold_none(real_data: Path) -> None:
    check = secrets.make_tweet_check()
    for name in ("original_format_random.csv", "original_format_head_and_tail.csv"):
        content = (real_data / name).read_bytes()
        check(content, name)
        assert secrets.find_secret(content) is None
    assert secrets.find_secret(content + HF.encode(), bare=False)


def test_a_secret_in_the_card_on_the_hub_stops_the_push(hub: HubServer, push, run_copy: Path) -> None:
    """A card that comes from the Hub is merged with the run's own, and searched after that."""
    hub.create(MODEL)
    hub.write(MODEL, "README.md", f"# A page\n\nThe key is {HF}.\n".encode())
    before = hub.head(MODEL)
    result = push(code=1)
    assert "README.md" in result.stderr
    assert HF not in result.output
    assert hub.head(MODEL) == before


def test_a_secret_in_a_message_or_a_name_stops_the_push(hub: HubServer, push, run_copy: Path) -> None:
    for flag in ("--commit-message", "--tag", "--revision"):
        result = push(flag, f"v1-{HF}", code=1)
        assert flag in result.stderr
        assert HF not in result.output
    assert not hub.requests


def test_a_secret_in_a_tweet_stops_the_push(hub: HubServer, push, run_copy: Path, cache: Path) -> None:
    sample = Path(str(files("sentiment140_bert.data"))) / "sample"
    rows = (sample / "tweets.csv").read_text("latin-1").splitlines(keepends=True)
    tweets = Path("tweets.csv").resolve()
    planted = f'"0","1","Mon Apr 06 22:32:26 PDT 2009","NO_QUERY","me","oh no, my key is {HF} please forget it"\n'
    tweets.write_text(planted + "".join(rows[::4]), "latin-1")
    recipe = yaml.safe_load((run_copy / "recipe.yaml").read_text("utf-8"))
    recipe["data"] |= {"dataset": os.fspath(tweets), "max_samples": None, "validation_size": 20, "test_size": 20}
    (run_copy / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    (run_copy / "data.json").write_text(json.dumps(prepare(saved_recipe(run_copy))))
    RunDir(run_copy).remember()  # as a training does
    result = push(to=("--dataset-repo-id", DATA), code=1)
    check_stopped(result, hub, "default/train-00000-of-00001.parquet", HF)
    secrets.make_tweet_check()(f"my game id is {HEX[:40]}".encode(), "default/train.parquet")  # may be anything


def test_training_with_secrets_around_leaves_them_nowhere(hub: HubServer, encoder: Path, tmp_path: Path) -> None:
    """Neither in a file, nor in what is printed, nor on the Hub; and it publishes with them."""
    values = {"HF_TOKEN": TOKEN, "WANDB_API_KEY": HEX[7:47], "DATABRICKS_TOKEN": "dapi" + HEX[4:36]}
    words = ["--recipe", "quickstart", "--model-name-or-path", encoder, "--max-samples", 100]
    words += ["--validation-size", 20, "--test-size", 20, "--max-steps", 2, "--report-to", "wandb"]
    words += ["--output-dir", "new", "--push-to-hub", *BOTH]
    command = Command("train", *words, env=values | {"WANDB_MODE": "offline"}, cwd=tmp_path)
    arguments = Path(f"/proc/{command.pid}/cmdline")
    content = {"argv": arguments.read_bytes() if arguments.exists() else b""}
    stdout, stderr = command.communicate(timeout=200)
    assert command.returncode == 0, stderr
    assert commits_of_ours(hub) == (1, 1)
    content |= {"stdout": stdout.encode(), "stderr": stderr.encode()}
    content |= {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any("wandb" in name for name in content)
    content |= {f"{MODEL}/{path}": data for path, data in hub.files(MODEL).items()}
    content |= {f"{DATA}/{path}": data for path, data in hub.files(DATA, "dataset").items()}
    for name, secret in values.items():
        assert [path for path, data in content.items() if secret.encode() in data] == [], name
