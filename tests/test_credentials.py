"""What is taken for a secret of this machine, and what is left alone. The planted ones: tests/secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentiment140_bert.credentials import concealed, known, looks_secret

pytestmark = pytest.mark.usefixtures("nothing_else")
LONG = "a-value-of-some-length-9"


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No logins but those of the test."""
    for name in ("HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))


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


@pytest.mark.parametrize(
    "text",
    ["per token: 12.345 ms", "secret: whatever", "tokens: 1234567", "password: forgotten"],
)
def test_what_only_has_its_name_stays(text: str) -> None:
    assert concealed(text) == text


@pytest.mark.parametrize("text", ["token=abc123def", "password: hunter22", f"?api_key={LONG}"])
def test_what_has_its_name_and_looks_like_one_does_not(text: str) -> None:
    assert concealed(text).endswith("***")
