"""Calls that can run what they read: none stands in the package, but for those named here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sentiment140_bert

PACKAGE = Path(sentiment140_bert.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN = {
    *(f"{module}.{name}" for module in ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve")
      for name in ("load", "loads", "open", "Unpickler")),
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "runpy.run_path"),
    *("torch.load", "yaml.load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "pd.read_pickle"),
    *("shutil.unpack_archive", "mlflow.pyfunc.load_model", "mlflow.transformers.load_model", "pandas.read_pickle"),
}  # fmt: skip
# Where, what, and what makes it harmless.
ALLOWED = {
    ("modeling/conversion.py", "torch.load"): "weights_only=True",
    ("training/fetched.py", "torch.load"): "weights_only=True",
    ("plain_yaml.py", "yaml.load"): "_Repeating if repeated else _Plain",  # both are SafeLoaders
}


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_nothing_that_is_read_is_run(file: Path) -> None:
    place = str(file.relative_to(PACKAGE))
    for name, call in calls(file):
        said = ast.unparse(call)
        given = {each.arg: each.value for each in call.keywords}
        harmless = ALLOWED.get((place, name))
        assert name not in FORBIDDEN or (harmless and harmless in said), f"{place}:{call.lineno}: {said}"
        for option in ("trust_remote_code", "shell", "allow_pickle"):
            assert option not in given or ast.unparse(given[option]) == "False", f"{place}:{call.lineno}: {said}"
        if name.endswith(".from_pretrained") or name.endswith(".from_config"):
            assert "trust_remote_code" in given, f"{place}:{call.lineno}: say trust_remote_code=False"
        if name.endswith("Model.from_pretrained") or "ForSequenceClassification.from_pretrained" in name:
            assert ast.unparse(given["use_safetensors"]) == "True", f"{place}:{call.lineno}: say use_safetensors=True"


def test_what_is_allowed_is_there() -> None:
    found = {(str(file.relative_to(PACKAGE)), name) for file in FILES for name, _ in calls(file)}
    assert ALLOWED.keys() <= found


def test_a_loader_that_runs_nothing() -> None:
    import yaml

    from sentiment140_bert import plain_yaml

    assert issubclass(plain_yaml._Plain, yaml.SafeLoader)
    assert issubclass(plain_yaml._Repeating, yaml.SafeLoader)
