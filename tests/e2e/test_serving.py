"""Each way to serve a model that docs/serving.md says was run: it answers as predict, and as the page's table says."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from command_line import complete
from local_server import LocalServer
from sentiment140_bert import export, predict

pytest_plugins = "model_fixtures"

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text("utf-8")
TEXTS = ["@a_user what a lovely surprise http://example.com/1", "my phone died &amp; again", "", '"so good"', "2009"]
LARGE = ["so tired " * 250_000]
REQUESTS: dict[str, list[Any]] = {  # by row of the table: texts, or a body as it is
    "over 512 tokens": [["!?" * 300]],
    "over 1,000 characters": [["so tired " * 5_000]],
    "over 2,000,000 bytes": [LARGE],
    "empty or blank text": [[""], [" \n\u00a0"]],
    "number or null": [[5], [None], ["so good", 5, None]],
    "list in place of a text": [[["so good", "so sad"]]],
    "no texts": [[]],
    "101 texts": [[f"so good {number}" for number in range(101)]],
    "malformed JSON or lone surrogate": [b"{no", ["\ud800"]],
    "100,000 nested brackets": [b"[" * 100_000],
}
each_request = pytest.mark.parametrize(
    ("row", "content"),
    [pytest.param(row, one, id=f"{row} {at}") for row, contents in REQUESTS.items() for at, one in enumerate(contents)],
)
Served = tuple[LocalServer, Path]


def read_table() -> dict[str, list[str]]:
    """Return the cells of the page's table of requests by the name of their row."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    start = next(at for at, cells in enumerate(rows) if cells[0] == "request")
    return {cells[0]: cells[1:] for cells in rows[start + 1 :] if len(cells) == 4}


FASTAPI, MLFLOW, BATCH = ({name: cells[at] for name, cells in read_table().items()} for at in range(3))


def find_line(start: str) -> list[str]:
    """Return the words of the one command of the page that begins so, without address and port."""
    (line,) = [line for line in PAGE.replace("\\\n", "").splitlines() if line.startswith(start)]
    return shlex.split(line.partition("--host")[0])


def find_body(place: str) -> bytes:
    """Return what the page's call of curl sends to a port and path."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith("curl") and place in line]
    return shlex.split(line)[-1].encode()


def post(server: LocalServer, path: str, body: bytes, *, sent: bool = True, chunked: bool = False) -> tuple[int, Any]:
    """Return status and JSON of the answer, None if it is not JSON; ``sent`` False: the body is only announced."""
    connection = HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("POST", path)
    connection.putheader("Content-Type", "application/json")
    connection.putheader(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))))
    connection.endheaders(body if sent else None)
    with connection.getresponse() as answer:
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(answer.read()) if is_json else None


def as_records(texts: list[Any]) -> bytes:
    """Return a request to MLflow."""
    return json.dumps({"dataframe_records": [{"text": text} for text in texts]}).encode()


def as_lines(texts: list[Any]) -> bytes:
    """Return a file of JSON lines."""
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def list_labels(model: Path, texts: list[Any]) -> list[str]:
    """Return the labels of predict; a number counts as its digits, a list as its first text."""
    firsts = [text[0] if isinstance(text, list) else text for text in texts]
    return [answer.label for _, answer in predict(model, ["" if text is None else str(text) for text in firsts])]


def test_the_table_has_a_row_for_each_request() -> None:
    assert list(read_table()) == list(REQUESTS)


@pytest.fixture(scope="module")
def project(smallest_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run where the page's examples look for it."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(smallest_run, folder / "runs" / "quickstart")
    return folder


@pytest.fixture(scope="module")
def api(project: Path) -> Iterator[LocalServer]:
    """Return the page's example for FastAPI, running."""
    (project / "serve.py").write_text(re.search(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)[1], "utf-8")
    with LocalServer(project, *find_line("uvicorn "), ready="/docs") as server:
        yield server


def test_fastapi_answers_as_predict_to_many_at_once(api: LocalServer, project: Path) -> None:
    run, texts = project / "runs" / "quickstart", [text for text in TEXTS if text]
    status, answer = post(api, "/predict", find_body("8000/predict"))
    assert (status, [one["label"] for one in answer]) == (200, list_labels(run, ["what a lovely surprise"]))
    expected = [answer._asdict() for _, answer in predict(run, texts)]
    with ThreadPoolExecutor(8) as threads:
        bodies = [json.dumps({"texts": texts}).encode()] * 24
        answers = list(threads.map(lambda body: post(api, "/predict", body), bodies))
    for status, answer in answers:
        assert status == 200
        assert answer == [pytest.approx(one, abs=1e-5) for one in expected]


@each_request
def test_fastapi_bounds_its_requests(row: str, content: Any, api: LocalServer, project: Path) -> None:
    body = content if isinstance(content, bytes) else json.dumps({"texts": content}).encode()
    status, answer = post(api, "/predict", body, sent=content is not LARGE)
    assert status == int(FASTAPI[row][:3]), answer
    if status == 200:
        assert [one["label"] for one in answer] == list_labels(project / "runs" / "quickstart", content)
    else:
        assert answer["detail"]
        assert len(json.dumps(answer)) < 200  # the texts are not sent back


def test_fastapi_refuses_what_announces_no_size_and_takes_its_largest_request(api: LocalServer) -> None:
    assert post(api, "/predict", b"", sent=False, chunked=True)[0] == 413
    largest = json.dumps({"texts": ["\U0001f600" * 1_000] * 100}).encode()
    assert post(api, "/predict", largest)[0] == 200


@pytest.fixture(scope="module")
def tracked(smallest_words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return MLflow's server of the model that a run registered, and the run."""
    folder = tmp_path_factory.mktemp("tracked")
    scripts = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # mlflow starts uvicorn
    env = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "PATH": scripts}
    words = ["--report-to", "mlflow", "--register-model", "sentiment"]
    complete("train", "--output-dir", "run", *smallest_words, *words, env=env, cwd=folder)
    with LocalServer(folder, *find_line("mlflow models serve"), ready="/ping", env=env) as server:
        yield server, folder / "run"


@pytest.mark.long
def test_mlflow_answers_as_predict(tracked: Served) -> None:
    server, run = tracked
    for texts in (TEXTS, *([text] for text in TEXTS)):
        expected = [pytest.approx(one._asdict(), abs=1e-5) for _, one in predict(run, texts)]
        records = [{"text": text} for text in texts]
        split = {"columns": ["id", "text"], "data": [[1, text] for text in texts]}
        for body in ({"dataframe_records": records}, {"dataframe_split": split}, {"inputs": texts}):
            status, answer = post(server, "/invocations", json.dumps(body).encode())
            assert (status, answer.get("predictions")) == (200, expected), body
    status, answer = post(server, "/invocations", find_body("5000/invocations"))
    assert [one["label"] for one in answer["predictions"]] == list_labels(run, ["so good"])


@pytest.mark.long
@each_request
def test_mlflow_does_as_the_table_says(row: str, content: Any, tracked: Served) -> None:
    server, run = tracked
    body = content if isinstance(content, bytes) else as_records(content)
    status, answer = post(server, "/invocations", body)
    assert status == int(MLFLOW[row][:3]), answer
    if status == 200:
        assert [one["label"] for one in answer["predictions"]] == list_labels(run, content)


@pytest.mark.long
def test_mlflow_serves_the_example_that_is_logged_with_the_model(tracked: Served) -> None:
    server, run = tracked
    (example,) = run.parent.rglob("serving_input_example.json")
    status, answer = post(server, "/invocations", example.read_bytes())
    assert status == 200, answer
    text = json.loads((run / "metrics.json").read_text("utf-8"))["examples"][0]["text"]
    assert [one["label"] for one in answer["predictions"]] == list_labels(run, [text])


@each_request
def test_a_batch_job_does_as_the_table_says(row: str, content: Any, smallest_run: Path, tmp_path: Path, s140) -> None:
    cell = BATCH[row]
    source, output = tmp_path / "tweets.jsonl", tmp_path / "labels.jsonl"
    source.write_bytes(content if isinstance(content, bytes) else as_lines(content))
    code = 1 if cell == "exit code 1" else 0
    result = s140("predict", smallest_run, "--input", source, "--output", output, "--max-bad-rows", 1, code=code)
    if code:
        return
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    if cell.startswith("error"):
        assert [row["label"] for row in rows] == [None]
        assert rows[0]["error"]
        assert "1 rows could not be read" in result.output
    else:
        assert [row["label"] for row in rows] == list_labels(smallest_run, content)
        assert ("1 cut at 512 tokens" in result.output) == ("cut" in cell)


def test_the_batch_jobs_of_the_page_run(project: Path, monkeypatch: pytest.MonkeyPatch, s140) -> None:
    monkeypatch.chdir(project)
    export("runs/quickstart", quantize="int8")
    Path("tweets.jsonl").write_bytes(as_lines(TEXTS))
    Path("tweets.csv").write_text("text\nso good\nso sad\n")
    lines = [shlex.split(line) for line in PAGE.splitlines() if line.startswith("s140 predict")]
    assert len(lines) == 2
    for line in lines:
        s140(*line[1:])
        assert Path(line[line.index("--output") + 1]).stat().st_size
        assert "--overwrite" in s140(*line[1:], code=1).output
        s140(*line[1:], "--overwrite")


def test_the_call_for_inference_endpoints_has_arguments_that_exist() -> None:
    from huggingface_hub import InferenceEndpointType, create_inference_endpoint

    (block,) = re.findall(r"^```python\n(from huggingface_hub.*?)^```$", PAGE, re.M | re.S)
    call = ast.parse(block).body[-1].value
    values = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    inspect.signature(create_inference_endpoint).bind(*map(ast.literal_eval, call.args), **values)
    assert InferenceEndpointType(values["type"])
