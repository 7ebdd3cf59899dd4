"""Calls that can run what they read: none stands in the package, but for those named here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

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
    ("models/convert.py", "torch.load"): "weights_only=True",
    ("training/resume.py", "torch.load"): "weights_only=True",
    ("trust/plain_yaml.py", "yaml.load"): "_Repeating if repeated else _Plain",  # both are SafeLoaders
}


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def complaints(place: str, name: str, call: ast.Call) -> Iterator[str]:
    """Yield what is wrong with a call."""
    text, options = ast.unparse(call), {keyword.arg: keyword.value for keyword in call.keywords}
    harmless = ALLOWED.get((place, name))
    if name in FORBIDDEN and not (harmless and harmless in text):
        yield f"{place}:{call.lineno}: {text}"
    for option in ("trust_remote_code", "shell", "allow_pickle"):
        if option in options and ast.unparse(options[option]) != "False":
            yield f"{place}:{call.lineno}: {text}"
    if name.endswith((".from_pretrained", ".from_config")) and "trust_remote_code" not in options:
        yield f"{place}:{call.lineno}: say trust_remote_code=False"
    loads_weights = name.endswith("Model.from_pretrained") or "ForSequenceClassification.from_pretrained" in name
    if loads_weights and ast.unparse(options.get("use_safetensors", ast.Constant(None))) != "True":
        yield f"{place}:{call.lineno}: say use_safetensors=True"


def test_nothing_that_is_read_is_run() -> None:
    wrong = [
        complaint
        for file in FILES
        for name, call in calls(file)
        for complaint in complaints(str(file.relative_to(PACKAGE)), name, call)
    ]
    assert wrong == []


def test_dangerous_calls_are_recognised() -> None:
    dangerous = [
        *("pickle.load(f)", "eval(x)", "torch.load(f)", "yaml.load(f)", "os.system(x)"),
        "np.load(f, allow_pickle=True)",
        *("subprocess.run(x, shell=True)", "AutoTokenizer.from_pretrained(x)", "AutoConfig.from_config(x)"),
        "AutoModel.from_pretrained(x, trust_remote_code=False)",
        "AutoModel.from_pretrained(x, trust_remote_code=True, use_safetensors=True)",
        "BertForSequenceClassification.from_pretrained(x, trust_remote_code=False, use_safetensors=False)",
    ]
    trees = [ast.parse(text).body[0].value for text in dangerous]
    missed = [ast.unparse(tree) for tree in trees if not [*complaints("other.py", ast.unparse(tree.func), tree)]]
    assert missed == []


def test_what_is_allowed_is_there() -> None:
    assert ALLOWED.keys() <= {(str(file.relative_to(PACKAGE)), name) for file in FILES for name, _ in calls(file)}


def test_a_loader_that_runs_nothing() -> None:
    import yaml

    from sentiment140_bert.trust import plain_yaml

    assert issubclass(plain_yaml._Plain, yaml.SafeLoader)
    assert issubclass(plain_yaml._Repeating, yaml.SafeLoader)
