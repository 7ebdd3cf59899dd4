"""Find the secrets of this machine, and nothing else. Planted ones: test_planted_secrets.py."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.credentials import KINDS, conceal, find_secrets, list_forms, looks_secret

LONG = "a-value-of-some-length-9"


@pytest.fixture(autouse=True)
def _no_other_logins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("NETRC", "HF_TOKEN_PATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)


NAMES = [
    *("WANDB_API_KEY", "HF_TOKEN", "MLFLOW_TRACKING_PASSWORD", "DATABRICKS_CLIENT_SECRET", "TRACKIO_WRITE_TOKEN"),
    *("AWS_SECRET_ACCESS_KEY", "ANY_API_KEY", "ANYAPIKEY", "Github_Token", "MY_PASSWD", "DB_PASSWORD"),
    "ENCRYPTION_KEY",
    *("APP_SECRET", "SOME_SECRET_KEY", "OPENAI_API_KEY_2", "HF_TOKEN_10", "S3_ACCESS_KEY"),
]


def test_a_variable_that_holds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        is_of_a_service = name.startswith(("WANDB", "HF", "MLFLOW", "DATABRICKS", "TRACKIO", "AWS"))
        for value in (LONG, "password") if is_of_a_service else (LONG,):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                assert find_secrets() == {value}, name
                assert looks_secret(f"x {value} y")
                assert conceal(f"x {value} y") == "x *** y"


def test_other_variables_hold_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN_FILE", "WANDB_API_KEY_PATH", "TOKENIZERS_PARALLELISM", "HF_TOKENS_USED", "WANDB_PROJECT"):
        monkeypatch.setenv(name, LONG)
    monkeypatch.setenv("HF_TOKEN", "7 chars")
    assert find_secrets() == frozenset()


def test_the_longest_secret_is_hidden_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """One may be part of another: nothing of the longer one may stay."""
    for secrets in (("part-of-it", "begin-part-of-it-end"), ("begin-part", "begin-part-of-it")):
        for first, second in (secrets, secrets[::-1]):
            monkeypatch.setenv("HF_TOKEN", first)
            monkeypatch.setenv("WANDB_API_KEY", second)
            assert conceal(f"a {secrets[1]} b {secrets[0]} c") == "a *** b *** c"


@given(st.text(min_size=12, max_size=24), st.binary(max_size=5), st.binary(max_size=5))
def test_a_secret_is_recognised_however_it_is_written(secret: str, before: bytes, after: bytes) -> None:
    """In JSON, HTML, an address, and in base64 whatever stands before and behind it."""
    written = [
        f"{secret}!",
        json.dumps({"a": f"x{secret}y"}),
        f"http://user:{quote(secret, safe='')}@host",
        f"http://host/{quote(secret)}?a={quote_plus(secret)}",
        f"http://host/{quote(secret).replace('%2F', '%2f')}",
        base64.b64encode(before + secret.encode() + after).decode(),
        base64.urlsafe_b64encode(before + secret.encode() + after).decode(),
        json.dumps({"a": f"x{secret}y"}, ensure_ascii=False),
        f'<p title="{html.escape(secret)}">',
        f"<p>{html.escape(secret, quote=False)}</p>",
    ]
    spellings = list_forms(secret)
    assert [text for text in written if not any(form in text for form in spellings)] == []
    assert all(len(form) >= 12 for form in spellings)


def test_a_password_in_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known as it is written there and as it is."""
    monkeypatch.setenv("DATABASE_URL", "postgres://me:a%2Fpass%20word-of%40ours@127.0.0.1/db")
    assert find_secrets() == {"a%2Fpass%20word-of%40ours", "a/pass word-of@ours"}
    monkeypatch.setenv("DATABASE_URL", "postgres://127.0.0.1:5432/a-database-of-ours")
    assert find_secrets() == frozenset()


def test_the_size_of_a_file_with_logins(tmp_path: Path) -> None:
    file = tmp_path / ".databrickscfg"
    setting = f"token = {LONG}\n"
    file.write_text(setting + "#" * ((1 << 20) - len(setting)))
    assert find_secrets() == {LONG}
    file.write_text(setting + "#" * ((1 << 20) - len(setting) + 1))  # no file of settings
    assert find_secrets() == frozenset()


def test_an_address_that_looks_secret() -> None:
    secret = ("/?token=x", "/?a=b&api_key=x", "/?signature=x", "/a?b&password=x", "//me:secret@host/")
    assert [text for text in secret if not looks_secret(f"http:{text}")] == []
    plain = ("/token=x", "/?tokens_used=3", "/?a=b", "/?token=", "//me@host/", "//host:8080/")
    assert [text for text in plain if looks_secret(f"http:{text}")] == []


def test_a_word_is_none_whatever_variable_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, text in (
        ("POSTGRES_PASSWORD", "postgres", "/data/postgres/tweets.csv"),
        ("DB_PASSWORD", "password", "my password was stolen"),
        ("MAX_TOKEN", "16384000", "16384000 tokens"),
        ("EOS_TOKEN", "<|endoftext|>", "<|endoftext|>"),
        ("APP_SECRET", "sentiment", "me/sentiment140-bert"),
        ("DATABASE_URL", "postgres://postgres:postgres@127.0.0.1/db", "postgres"),
        ("STEP_TOKEN", "1234567890123456789", "1234567890123456789"),
    ):
        monkeypatch.setenv(name, value)
        assert not looks_secret(text), name
        assert conceal(text) == text


@pytest.mark.parametrize("sign", ["/", "~"])
def test_a_key_that_begins_like_a_path(monkeypatch: pytest.MonkeyPatch, sign: str) -> None:
    """One of 64 keys in base64 begins with a slash."""
    one, other = f"{sign}one/{LONG}", f"{sign}another/{LONG}"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", one)
    monkeypatch.setenv("S3_SECRET", other)
    assert conceal(f"boom {one} {other}") == "boom *** ***"


@pytest.mark.parametrize("sign", ["/", "~"])
def test_the_path_of_a_file_is_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sign: str) -> None:
    file = tmp_path / "the-database-password"
    file.touch()
    path = str(file) if sign == "/" else f"~/{file.name}"
    monkeypatch.setenv("POSTGRES_PASSWORD", path)
    assert not looks_secret(path)


NETRCS = [
    f"machine x login y password 16-other-letters machine z login user password {LONG}",
    f"machine x login y password 16-other-letters\nmachine x login user password {LONG}",
    f"machine x login user password {LONG}\nmachine x login y password 16-other-letters",
    *(f"machine x\n login user\n password\n {LONG}\n", f"machine x login u#1 password {LONG}\n"),
    f'machine x login user password "{LONG}"\n',
    f'machine x login user password ""\nmachine z login user password {LONG}\n',
    f"default login user password {LONG}",
    f"macdef init\nput key password\n\nmachine x login user password {LONG}\n",
    *(f"macdef init\nmachine x login user password {LONG}\n", f"machine x login user port 80 password {LONG}\n"),
    *(f'mistake\nmachine x login user password\n  "{LONG}"\n', f"\ufeffmachine x login user password {LONG}\n"),
]


TOKEN = "ey." + "aB3_dE5-" * 100
GIT = f"https://somebody:{LONG}@example.com\n"
STORED = f"[mine]\nhf_token = {LONG}\n"
# A file of the home folder, its content, variables, and the secrets in it.
FILES: list[tuple[str, str, dict[str, str], set[str]]] = [
    (".netrc", f"macdef init\nput password forgotten\n\nmachine x login y password {LONG}\n", {}, {LONG}),
    (".netrc", f"machine x\n  login someone\n  password {LONG}\n# password forgotten\n", {}, {LONG}),
    (".databrickscfg", "# token generated 2024\n; key management\ntoken_type = Bearer12\n", {}, set()),
    *(("token", text, {}, secrets) for text, secrets in ((TOKEN, {TOKEN}), (f"\n{TOKEN}\r\n", {TOKEN}))),
    *(("token", text, {}, set()) for text in (f"two {TOKEN}", "short")),
    ("stored_tokens", STORED, {}, {LONG}),
    ("xdg/huggingface/token", LONG, {"HF_HOME": "", "XDG_CACHE_HOME": "~/xdg"}, {LONG}),
    ("xdg/huggingface/stored_tokens", STORED, {"HF_HOME": "", "XDG_CACHE_HOME": "$HOME/xdg"}, {LONG}),
    (".cache/huggingface/token", LONG, {"HF_HOME": ""}, {LONG}),
    ("hf/token", LONG, {"HF_HOME": "$HOME/hf", "XDG_CACHE_HOME": "~/xdg"}, {LONG}),
    ("elsewhere/stored_tokens", STORED, {"HF_TOKEN_PATH": "~/elsewhere/token"}, {LONG}),
    ("elsewhere/token", LONG, {"HF_TOKEN_PATH": "~/elsewhere/token"}, {LONG}),
    (".aws/config", f"[default]\nregion = eu-central-1\naws_secret_access_key = {LONG}\n", {}, {LONG}),
    (".config/git/credentials", GIT, {}, {LONG, GIT.strip()}),
    ("xdg/git/credentials", GIT, {"XDG_CONFIG_HOME": "XDG"}, {LONG, GIT.strip()}),
]


def test_logins_in_files_wherever_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = []
    for name, text, variables, secrets in FILES:
        with monkeypatch.context() as patch:
            for variable, value in variables.items():
                patch.setenv(variable, value.replace("XDG", str(tmp_path / "xdg"))) if value else patch.delenv(variable)
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            wrong += [(name, text[:20], find_secrets())] if find_secrets() != secrets else []
            file.unlink()
    assert wrong == []


def test_a_password_anywhere_in_a_netrc(tmp_path: Path) -> None:
    texts = [*(text.encode() for text in NETRCS), b"# \xe4\xff\nmachine x login y password " + LONG.encode()]
    missed = []
    for text in texts:
        (tmp_path / ".netrc").write_bytes(text)
        missed += [text] if LONG not in find_secrets() else []
    assert missed == []


@pytest.mark.parametrize("kind", ["oauth", "jwt"])
def test_tokens_that_the_hub_gives_for_a_while(kind: str) -> None:
    """They are JWTs, with dots, dashes and underscores."""
    token = f"hf_{kind}_" + "eyJhbGciOiJF.eyJ2ZXJzaW9u-Ijoy_fQ.a-b_c9"
    assert conceal(f"login {token}\n") == "login ***\n"
    assert looks_secret(token)
    for _, sign, pattern in KINDS:
        assert not sign.startswith(b"hf_") or not pattern.search(b"hf_oauth_expiration_minutes: 480, hf_jwt_...")


def test_what_only_has_its_name_stays_and_what_looks_like_one_does_not() -> None:
    plain = ["per token: 12.345 ms", "secret: whatever", "tokens: 1234567", "password: forgotten"]
    assert [conceal(text) for text in plain] == plain
    for text in ("token=abc123def", "password: hunter22", f"?api_key={LONG}"):
        assert conceal(text).endswith("***"), text
