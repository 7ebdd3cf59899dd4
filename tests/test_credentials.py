"""What is taken for a secret of this machine, and what is left alone. The planted ones: tests/secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentiment140_bert.credentials import KINDS, concealed, known, looks_secret

pytestmark = pytest.mark.usefixtures("nothing_else")
LONG = "a-value-of-some-length-9"


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No logins but those of the test."""
    for name in ("HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("NETRC", "HF_TOKEN_PATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("WANDB_API_KEY", "password"), ("HF_TOKEN", "an-odd-login"), ("ANY_API_KEY", LONG), ("Github_Token", LONG)],
)
def test_a_variable_that_holds_one(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert value in known()
    assert looks_secret(f"x {value} y")
    assert concealed(f"x {value} y") == "x *** y"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("POSTGRES_PASSWORD", "postgres", "/data/postgres/tweets.csv"),
        ("DB_PASSWORD", "password", "my password was stolen"),
        ("MAX_TOKEN", "16384000", "16384000 tokens"),
        ("EOS_TOKEN", "<|endoftext|>", "<|endoftext|>"),
        ("APP_SECRET", "sentiment", "me/sentiment140-bert"),
        ("DATABASE_URL", "postgres://postgres:postgres@127.0.0.1/db", "postgres"),
        ("STEP_TOKEN", "1234567890123456789", "1234567890123456789"),
    ],
)
def test_a_word_is_none_whatever_variable_holds_it(monkeypatch, name: str, value: str, text: str) -> None:
    monkeypatch.setenv(name, value)
    assert not looks_secret(text)
    assert concealed(text) == text


def test_comments_and_other_settings_of_a_login_file(tmp_path: Path) -> None:
    (tmp_path / ".databrickscfg").write_text("# token generated 2024\n; key management\ntoken_type = Bearer12\n")
    (tmp_path / ".netrc").write_text(f"machine x\n  login someone\n  password {LONG}\n# password forgotten\n")
    assert known() == {LONG}


@pytest.mark.parametrize("sign", ["/", "~"])
def test_a_key_that_begins_like_a_path(monkeypatch: pytest.MonkeyPatch, sign: str) -> None:
    """One of 64 keys in base64 begins with a slash."""
    ours, other = f"{sign}ours/{LONG}", f"{sign}another/{LONG}"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ours)
    monkeypatch.setenv("S3_SECRET", other)
    assert concealed(f"boom {ours} {other}") == "boom *** ***"


@pytest.mark.parametrize("sign", ["/", "~"])
def test_the_path_of_a_file_is_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sign: str) -> None:
    file = tmp_path / "the-database-password"
    file.touch()
    path = str(file) if sign == "/" else f"~/{file.name}"
    monkeypatch.setenv("POSTGRES_PASSWORD", path)
    assert not looks_secret(path)


@pytest.mark.parametrize(
    "text",
    [
        f"machine x login y password 16-other-letters machine z login user password {LONG}",
        f"machine x login y password 16-other-letters\nmachine x login user password {LONG}",
        f"machine x\n login user\n password\n {LONG}\n",
        f"machine x login u#1 password {LONG}\n",
        f'machine x login user password "{LONG}"\n',
        f'machine x login user password ""\nmachine z login user password {LONG}\n',
        f"default login user password {LONG}",
        f"macdef init\nput key password\n\nmachine x login user password {LONG}\n",
        f"macdef init\nmachine x login user password {LONG}\n",
        f"machine x login user port 80 password {LONG}\n",
        f'mistake\nmachine x login user password\n  "{LONG}"\n',
        f"\ufeffmachine x login user password {LONG}\n",
    ],
)
def test_a_password_anywhere_in_a_netrc(tmp_path: Path, text: str) -> None:
    (tmp_path / ".netrc").write_text(text, "utf-8")
    assert LONG in known()


def test_a_netrc_in_no_unicode(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_bytes(b"# \xe4\xff\nmachine x login y password " + LONG.encode())
    assert LONG in known()


def test_words_of_a_macro_are_none(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f"macdef init\nput password forgotten\n\nmachine x login y password {LONG}\n")
    assert known() == {LONG}


@pytest.mark.parametrize("name", ["token", "stored_tokens"])
@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"XDG_CACHE_HOME": "~/xdg"}, "xdg/huggingface"),
        ({"XDG_CACHE_HOME": "$HOME/xdg"}, "xdg/huggingface"),
        ({}, ".cache/huggingface"),
        ({"HF_HOME": "$HOME/hf", "XDG_CACHE_HOME": "~/xdg"}, "hf"),
        ({"HF_TOKEN_PATH": "~/elsewhere/token"}, "elsewhere"),
    ],
)
def test_a_login_of_the_hub_wherever_it_lies(monkeypatch, tmp_path: Path, name: str, variables, folder: str) -> None:
    monkeypatch.delenv("HF_HOME")
    for each, value in variables.items():
        monkeypatch.setenv(each, value)
    file = tmp_path / folder / name
    file.parent.mkdir(parents=True)
    file.write_text(LONG if name == "token" else f"[mine]\nhf_token = {LONG}\n")
    assert known() == {LONG}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".aws/config", f"[default]\nregion = eu-central-1\naws_secret_access_key = {LONG}\n"),
        (".config/git/credentials", f"https://somebody:{LONG}@example.com\n"),
        ("xdg/git/credentials", f"https://somebody:{LONG}@example.com\n"),
    ],
)
def test_logins_of_aws_and_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str) -> None:
    if name.startswith("xdg"):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert concealed(f"x {LONG}") == "x ***"


@pytest.mark.parametrize("kind", ["oauth", "jwt"])
def test_tokens_that_the_hub_gives_for_a_while(kind: str) -> None:
    """They are JWTs, with dots, dashes and underscores."""
    token = f"hf_{kind}_" + "eyJhbGciOiJF.eyJ2ZXJzaW9u-Ijoy_fQ.a-b_c9"
    assert concealed(f"login {token}\n") == "login ***\n"
    assert looks_secret(token)
    for _, sign, pattern in KINDS:
        assert not sign.startswith(b"hf_") or not pattern.search(b"hf_oauth_expiration_minutes: 480, hf_jwt_...")


@pytest.mark.parametrize(
    "text",
    ["per token: 12.345 ms", "secret: whatever", "tokens: 1234567", "password: forgotten"],
)
def test_what_only_has_its_name_stays(text: str) -> None:
    assert concealed(text) == text


@pytest.mark.parametrize("text", ["token=abc123def", "password: hunter22", f"?api_key={LONG}"])
def test_what_has_its_name_and_looks_like_one_does_not(text: str) -> None:
    assert concealed(text).endswith("***")
