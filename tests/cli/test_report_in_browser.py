"""The page of ``s140 report`` in a real browser: it works, it fits, and nothing on it runs or gets out."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner
from selenium.webdriver.common.keys import Keys

from browser_fixtures import Browser
from eavesdropper import Eavesdropper
from report_fixtures import HOSTILE_TWEETS
from sentiment140_bert.cli import main
from sentiment140_bert.evaluation.mistakes import mask_words
from sentiment140_bert.run import RunDir

pytest_plugins = ("model_fixtures", "report_fixtures", "browser_fixtures")


@pytest.fixture(scope="module")
def page(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page with malicious tweets and weights of words."""
    file = tmp_path_factory.mktemp("page") / "a report.html"
    arguments = ["report", str(scored_run.path), "--output", str(file)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{file}\n"
    return file


VISIBLE = (
    "return [...document.querySelectorAll('.errors tbody tr')].filter(row => row.offsetParent).map(row => {}).flat()"
)


def column(browser: Browser, name: str) -> list[str]:
    return browser.run(VISIBLE.format(f"row.querySelector('.{name}').textContent"))


def search(browser: Browser, text: str) -> None:
    field = browser.one("[type=search]")
    field.clear()
    field.send_keys(text, Keys.ENTER)


def choose(browser: Browser, name: str, value: str) -> None:
    browser.one(f"input[name={name}][value='{value}']").click()


def count(browser: Browser) -> str:
    return browser.one(".controls output").text


def test_opens_without_console_messages_and_without_requests(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run("return document.readyState") == "complete"
    assert browser.console() == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == [page.as_uri()]
    assert browser.run("return performance.getEntriesByType('resource').map(each => each.name)") == []


def test_policy_blocks_requests_and_other_scripts(browser: Browser, page: Path, tmp_path: Path) -> None:
    """Show that the same page without its policy does send requests."""
    ask = "const image = new Image(), done = arguments[1]; image.onload = image.onerror = () => done();"
    ask += "image.src = arguments[0]"
    with Eavesdropper(status=204, content=b"") as server:
        browser.open(page)
        browser.driver.execute_async_script(ask, f"{server.url}/pixel.png")
        assert server.heard == []
        assert "Content Security Policy" in " ".join(browser.console())
        browser.run("document.body.insertAdjacentHTML('beforeend', '<b onclick=\"document.title = 1\" id=bad>b</b>')")
        browser.run("document.getElementById('bad').click()")
        assert browser.run("return document.title") != "1"
        assert "Content Security Policy" in " ".join(browser.console())
        naked = tmp_path / "naked.html"
        naked.write_text(page.read_text("utf-8").replace("Content-Security-Policy", "nothing"), "utf-8")
        browser.open(naked)
        browser.driver.execute_async_script(ask, f"{server.url}/pixel.png")
        assert len(server.heard) == 1


def test_a_malicious_tweet_is_only_text(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run("return document.title").endswith("· report")
    assert browser.run("return document.scripts.length") == 1
    shown = column(browser, "tweet")
    for text in HOSTILE_TWEETS:
        expected = "".join(word for word, _ in mask_words(((text, None),)))
        assert expected in shown
    assert browser.run("return document.querySelectorAll('.errors img, .errors b, .errors script').length") == 0
    whole = browser.run("return document.body.innerText")
    assert not {"\u202e", "\u200b", "\u2066"} & {*whole}
    assert "hidden_user" not in whole
    assert "some_user" not in whole
    assert "secret_user" not in page.read_text("utf-8")


def test_the_search_narrows_the_rows(browser: Browser, page: Path) -> None:
    browser.open(page)
    everything = column(browser, "tweet")
    assert count(browser) == f"{len(everything)} of {len(everything)} shown"
    search(browser, "ALERT(1) bad")
    assert [text for text in everything if "alert(1)" in text] == column(browser, "tweet")
    assert count(browser) == f"1 of {len(everything)} shown"
    search(browser, "no tweet says this")
    assert column(browser, "tweet") == []
    assert browser.one(".nothing").is_displayed()
    search(browser, "")
    browser.one("[type=search]").send_keys("x", Keys.BACKSPACE)
    assert column(browser, "tweet") == everything


def test_splits_and_labels_are_filters(browser: Browser, page: Path) -> None:
    browser.open(page)
    rows = [*zip(column(browser, "split"), column(browser, "label"), strict=True)]
    assert len({split for split, _ in rows}) > 1
    choose(browser, "split", "manual")
    assert column(browser, "label") == [label for split, label in rows if split == "manual"]
    choose(browser, "label", "negative")
    assert {*column(browser, "split")} <= {"manual"}
    assert column(browser, "label") == [label for split, label in rows if (split, label) == ("manual", "negative")]
    choose(browser, "split", "")
    choose(browser, "label", "")
    assert len(column(browser, "label")) == len(rows)


COLUMNS = ("tweet", "label", "prediction", "confidence", "topic", "split")


def test_every_column_sorts_both_ways_by_mouse_and_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    surest = [float(text.rstrip("%")) for text in column(browser, "confidence")]
    assert surest == sorted(surest, reverse=True)
    assert browser.all(".errors thead th")[3].get_attribute("aria-sort") == "descending"
    for at, name in enumerate(COLUMNS):
        head = browser.all(".errors thead th")[at]
        orders = []
        for press in (lambda button: button.click(), lambda button: button.send_keys(Keys.ENTER)):
            press(head.find_element("tag name", "button"))
            order = head.get_attribute("aria-sort")
            values = column(browser, name)
            if name == "confidence":
                numbers = [float(text.rstrip("%")) for text in values]
                assert numbers == sorted(numbers, reverse=order == "descending")
            else:
                pairs = browser.run(
                    "const compare = new Intl.Collator(undefined, {numeric: true, sensitivity: 'base'}).compare;"
                    "return arguments[0].slice(1).map((text, at) => compare(arguments[0][at], text))",
                    values,
                )
                assert all(pair <= 0 if order == "ascending" else pair >= 0 for pair in pairs), name
            orders.append(order)
            assert [th.get_attribute("aria-sort") for th in browser.all(".errors thead th")].count(order) == 1
        assert {*orders} == {"ascending", "descending"}, name


def test_the_page_is_never_wider_than_the_screen(browser: Browser, page: Path) -> None:
    for width, scheme in itertools.product((320, 375, 768, 1200), ("light", "dark")):
        browser.open(page, width, 800, prefers_color_scheme=scheme)
        assert browser.run("return document.scrollingElement.scrollWidth") <= width, scheme
        colour = browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        assert (sum(colour) > 380) == (scheme == "light"), width


def test_words_carry_their_weights(browser: Browser, page: Path) -> None:
    browser.open(page)
    spans = browser.run(
        "return [...document.querySelectorAll('.tweet span')].map(each => [each.className, each.title, "
        "getComputedStyle(each).backgroundColor, getComputedStyle(each).borderBottomStyle])"
    )
    assert {kind[0] for kind, *_ in spans} == {"p", "n"}
    for kind, weight, colour, line in spans:
        assert (float(weight) >= 0) == (kind[0] == "p")
        assert line == ("solid" if kind[0] == "p" else "dotted")
        red, _, blue = [float(part) for part in colour.removeprefix("rgba(").split(",")[:3]]
        assert (blue > red) == (kind[0] == "p")


def test_without_a_script_it_is_a_plain_page(browser: Browser, page: Path) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(page)
        assert len(browser.all(".errors tbody tr")) > 5
        assert not browser.one(".controls").is_displayed()
        assert browser.all(".errors button") == []
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
