"""Secrets in every place where one can come from, and the search for them in everything there is afterwards."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from urllib.parse import quote

from hub_server import TOKEN

# Put together here, so that nobody who scans this repository stumbles over them.
HEX = "0123456789abcdef" * 3
VARIABLES = {
    "HF_TOKEN": TOKEN,
    "HUGGING_FACE_HUB_TOKEN": "hf_" + "OldNameOfTheVariableForTheLogin",
    "HUGGINGFACE_TOKEN": "hf_" + "AnotherNameThatSomePeopleUseForIt",
    "WANDB_API_KEY": "7" + HEX[1:40],
    "MLFLOW_TRACKING_PASSWORD": 'mlflow-password-ä"of-a-variable',
    "MLFLOW_TRACKING_TOKEN": "mlflow-token-of-a-variable",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "mlflow-flask-key-of-a-variable",
    "DATABRICKS_TOKEN": "dapi" + HEX[2:34],
    "DATABRICKS_CLIENT_SECRET": "dose" + HEX[3:35],
    "TRACKIO_WRITE_TOKEN": "trackio-token-of-a-variable",
    "AWS_ACCESS_KEY_ID": "AKIA" + "Q3EGV7ZX2LNP5TRW",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG" + "+bPxRfiCYzz3X4MPL9K",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzE" * 5,
    "AZURE_CLIENT_SECRET": "azure~secret~of~a~variable",
    "GITHUB_TOKEN": "ghp_" + "TokenOfAVariableThatIsNotOurs",
    "OPENAI_API_KEY": "sk-" + "KeyOfAVariableThatIsNotOurs",
}
IN_ADDRESSES = {
    "MLFLOW_TRACKING_URI": "mlflow-password-of-an-address",
    "HTTP_PROXY": "proxy%2Fpassword-of-an-address",
    "DATABASE_URL": "database-password-of-an-address",
}
IN_FILES = {
    "netrc": "netrc" + HEX[:35],
    "token": "hf_" + "TheLoginThatLiesOnTheDiskOfThisOne",
    "stored_tokens": "hf_" + "AnotherLoginThatLiesOnTheDiskHere",
    ".databrickscfg": "dapi" + HEX[5:37],
    "credentials": "mlflow-password-of-a-file",
    "aws": "AbCdEfGhIjKlMnOpQrStUvWxYz" + "0123456789/+ab",
    ".git-credentials": "git-password-of-a-file",
    "netrc, second on its line": "netrc-password-of-the-second",
    "aws config": "/AbCdEfGhIjKlMnOpQrStUvWxYz" + "0123456789+ab",
    ".config/git": "git-password-of-another-file",
}
SECRETS = VARIABLES | {f"{name} (address)": value for name, value in IN_ADDRESSES.items()}
SECRETS |= {f"{name} (file)": value for name, value in IN_FILES.items()}


def planted(home: Path) -> dict[str, str]:
    """Writes the files into a home folder, and returns the variables: no address of a server of ours is among them."""
    contents = {
        ".netrc": f"machine api.wandb.ai\n  login user\n  password {IN_FILES['netrc']} "
        f"machine example.com login me password\n {IN_FILES['netrc, second on its line']}\n",
        "hf/token": IN_FILES["token"],
        "hf/stored_tokens": f"[mine]\nhf_token = {IN_FILES['stored_tokens']}\n",
        ".databrickscfg": f"[DEFAULT]\nhost = https://example.com\ntoken = {IN_FILES['.databrickscfg']}\n",
        ".mlflow/credentials": f"[mlflow]\nmlflow_tracking_password = {IN_FILES['credentials']}\n",
        ".aws/credentials": f"[default]\naws_secret_access_key = {IN_FILES['aws']}\n",
        ".aws/config": f"[profile mine]\naws_secret_access_key = {IN_FILES['aws config']}\n",
        ".config/git/credentials": f"https://somebody:{IN_FILES['.config/git']}@example.com\n",
        ".git-credentials": f"https://somebody:{IN_FILES['.git-credentials']}@example.com\n",
    }
    for name, content in contents.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    proxy = f"http://somebody:{IN_ADDRESSES['HTTP_PROXY']}@127.0.0.1:9"
    return VARIABLES | {
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "MLFLOW_TRACKING_USERNAME": "somebody",
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "DATABASE_URL": f"postgresql://somebody:{IN_ADDRESSES['DATABASE_URL']}@127.0.0.1:9/trials",
        "HF_DEBUG": "1",
        "WANDB_DEBUG": "true",
    }


def spellings(secret: str) -> list[bytes]:
    """Return the spellings of a secret: plain, in JSON, in an address, quoted twice, and inside base64."""
    raw = secret.encode()
    forms = {raw, json.dumps(secret)[1:-1].encode(), quote(secret, safe="").encode(), quote(quote(secret)).encode()}
    for before in range(3):
        coded = base64.b64encode(b"?" * before + raw + b"?" * (-(before + len(raw)) % 3))
        forms.add(coded[4 * bool(before) : -4])
    return sorted(forms)


def holding(secret: str, content: dict[str, bytes]) -> list[str]:
    """Return the names of the contents that hold a secret."""
    return [name for name, value in content.items() if any(form in value for form in spellings(secret))]


def files_below(folder: Path, home: Path) -> dict[str, bytes]:
    """Return every file with its name, including names of folders, except those that :func:`planted` wrote."""
    planted = {home / name for name in (".netrc", "hf/token", "hf/stored_tokens", ".databrickscfg", ".git-credentials")}
    planted |= {home / name for name in (".mlflow/credentials", ".aws/credentials", ".aws/config")}
    planted |= {home / ".config/git/credentials"}
    content = {}
    for path in sorted(folder.rglob("*")):
        if path not in planted:
            name = os.fspath(path.relative_to(folder))
            content[name] = name.encode() + (b"\n" + path.read_bytes() if path.is_file() else b"")
    return content
