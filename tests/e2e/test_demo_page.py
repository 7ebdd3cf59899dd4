"""The demo of a published model in a real browser: the answers on the page are those of `s140 predict`."""

from __future__ import annotations

import functools
import json
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.support.wait import WebDriverWait

import sentiment140_bert
from browser_fixtures import Browser, start_chromium
from hub_server import HubServer
from npm_fixtures import InstallPackage
from on_hub import MODEL
from sentiment140_bert import Destination
from sentiment140_bert.cards.markup import read_template

pytest_plugins = ("hub_fixtures", "npm_fixtures")
pytestmark = pytest.mark.long
SPACE = "tester/demo"
CDN = "cdn.jsdelivr.net"
LIBRARY = re.search(rf"https://{CDN}/npm/(@huggingface/transformers)@([\d.]+)/", read_template("demo.js"))
TWEETS = [
    "@someone have you seen http://example.com/a?b=c&amp;d &lt;3",
    "so good 😀😀 #happy",
    "<img src=x onerror=\"document.title='run'\"> awful",
    "word " * 190,
]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Packages(_Quiet):
    """Serve npm packages as the CDN does: /npm/NAME@VERSION/FILE."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(re.sub(r"^/npm/(@?[^@]+)@[^/]+", r"/\1", path))

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


@contextmanager
def serve(handler: type[_Quiet], folder: Path, certificate: Path | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser(install_package: InstallPackage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for which the CDN is a server here."""
    assert LIBRARY
    packages, folder = install_package(f"{LIBRARY[1]}@{LIBRARY[2]}"), tmp_path_factory.mktemp("cdn")
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes a certificate for the CDN on loopback, is not installed here")
    certificate = folder / "certificate.pem"
    make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={CDN}"]
    subprocess.run([openssl, *make, "-keyout", certificate, "-out", folder / "public"], check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + (folder / "public").read_text())
    with serve(_Packages, packages, certificate) as port:
        flags = (f"--host-resolver-rules=MAP {CDN}:443 127.0.0.1:{port}", "--ignore-certificate-errors")
        with start_chromium(folder / "profile", *flags) as opened:
            yield opened


def write_space(hub: HubServer, folder: Path) -> Path:
    for name, content in hub.files(SPACE, "space").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def label(browser: Browser, text: str) -> tuple[str, float | None]:
    """Type a text, and return the answer on the page."""
    browser.run("document.getElementById('text').value = arguments[0]; document.forms[0].requestSubmit()", text)
    return read_answer(browser, text)


def read_answer(browser: Browser, text: str) -> tuple[str, float | None]:
    WebDriverWait(browser.driver, 120).until(lambda _: browser.one("[type=submit]").is_enabled())
    assert browser.one("#state").text == "", browser.console()
    assert browser.run("return document.getElementById('labeled').textContent") == text
    score = browser.run("return document.getElementById('answer').dataset.score")
    return browser.one("#label").text, float(score) if score else None


@pytest.mark.parametrize("dtype", ["fp32", "q8"])
def test_it_answers_as_predict(
    small_run: Path, tmp_path: Path, hub: HubServer, impatient: list[float], browser: Browser, dtype: str
) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    sentiment140_bert.export(run, quantize="int8")
    sentiment140_bert.push_to_hub(run, Destination(repo_id=MODEL, space_repo_id=SPACE))
    backend = "onnx-int8" if dtype == "q8" else "onnx"
    metrics = json.loads((run / "metrics.json").read_text())
    page = write_space(hub, tmp_path / "space") / "index.html"
    if dtype == "fp32":  # as on a page of a model whose int8 graph could not be made
        page.write_text(page.read_text().replace('"dtype": "q8"', '"dtype": "fp32"'))
    predict = sentiment140_bert.open_classifier(run, backend=backend, calibrated=True).predict
    abstain = sentiment140_bert.open_classifier(run, backend=backend, calibrated=True, abstains=True).predict
    with serve(_Quiet, page.parent) as port:
        browser.open(f"http://127.0.0.1:{port}/index.html")
        for text in TWEETS:
            (expected,) = predict([text])
            answer = label(browser, text)
            assert answer[0] == expected.label, text
            assert answer[1] == pytest.approx(expected.score, abs=1e-4), text
        assert browser.driver.title == "demo"
        browser.one("#abstain").click()
        for example in browser.all(".example"):
            example.click()
            (expected,) = abstain([example.text])
            answer = read_answer(browser, example.text)
            assert answer[0] == expected.label
            assert (answer[1] is None) == (expected.score is None)
        assert [example.text for example in browser.all(".example")] == [
            example["text"] for example in metrics["examples"]
        ]
        assert not [line for line in browser.console() if "Content Security Policy" in line]
        hosts = {urlsplit(address.removeprefix("blob:")).netloc for address in browser.requests()}
        assert hosts - {""} <= {CDN, f"127.0.0.1:{port}", f"127.0.0.1:{hub.port}"}


def test_without_the_hub_it_says_so_and_fits_a_phone_in_the_dark(
    small_run: Path, tmp_path: Path, hub: HubServer, impatient: list[float], browser: Browser
) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    sentiment140_bert.push_to_hub(run, Destination(repo_id=MODEL, space_repo_id=SPACE))
    with serve(_Quiet, write_space(hub, tmp_path / "space")) as port:
        browser.open(f"http://127.0.0.1:{port}/index.html", width=360, height=740, prefers_color_scheme="dark")
        assert browser.run("return document.documentElement.scrollWidth") <= 360
        assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 27)"
        browser.run("document.forms[0].requestSubmit()")
        assert browser.one("#state").text == "Type a tweet first."
        hub.fail("resolve_get", times=None, status=503)
        browser.run("document.getElementById('text').value = 'hello'; document.forms[0].requestSubmit()")
        WebDriverWait(browser.driver, 60).until(lambda _: "could not be loaded" in browser.one("#state").text)
        hub.mend()
        assert label(browser, "hello")[0] in ("negative", "positive")
