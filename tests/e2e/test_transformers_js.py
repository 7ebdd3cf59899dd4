"""Exported and published graphs in a browser's library: transformers.js, from npm, gives the ids, labels and scores of
`s140 predict`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import sentiment140_bert
from hub_server import HubServer
from npm_fixtures import InstallPackage
from on_hub import MODEL
from sentiment140_bert import Destination
from sentiment140_bert.data.texts import read_texts

pytest_plugins = ("hub_fixtures", "npm_fixtures")
pytestmark = pytest.mark.long
LIBRARY = "@huggingface/transformers@4.3.2"
SCRIPT = Path(__file__).with_name("transformers_js.mjs")
SAMPLE = Path(sentiment140_bert.__file__).parent / "data" / "sample" / "tweets.csv"
RAW = [
    "@someone have you seen http://example.com/a?b=c&amp;d &lt;3",
    "so good 😀😀 #happy",
    "caf\u00e9 &quot;na\u00efve&quot; www.example.com",
    "I can&#39;t even\u2026 @a @b @c",
    "日本 👍🏽 ❤️",
]


@pytest.fixture(scope="module")
def script(install_package: InstallPackage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the script next to the installed library."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(install_package(LIBRARY))
    return Path(shutil.copy(SCRIPT, folder))


@pytest.mark.parametrize("place", ["folder", "Hub"])
def test_it_answers_as_predict(
    small_run: Path, script: Path, tmp_path: Path, hub: HubServer, impatient: list[float], place: str
) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    sentiment140_bert.export(run, quantize="int8")
    arguments = [str(run), "onnx"]
    if place == "Hub":
        sentiment140_bert.push_to_hub(run, Destination(repo_id=MODEL, onnx=True))
        arguments = [hub.url, MODEL]
    texts = [*RAW, *list(read_texts(str(SAMPLE)))[:: 1_465 // 94]]
    assert len(texts) >= 100
    command = ["node", str(script), *arguments]
    done = subprocess.run(
        command, input=json.dumps(texts), capture_output=True, text=True, timeout=600, cwd=script.parent
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    for dtype, backend in (("fp32", "onnx"), ("q8", "onnx-int8")):
        classifier = sentiment140_bert.open_classifier(run, backend=backend)
        for text, answer in zip(texts, answers[dtype], strict=True):
            (expected,) = classifier.predict([text])  # alone: int8 scales by the batch
            assert answer["ids"] == classifier.tokenization([text]).flat["input_ids"].tolist(), text
            assert answer["label"] == expected.label, (dtype, text)
            if dtype == "fp32":
                assert answer["score"] == pytest.approx(expected.score, abs=1e-4), text
