"""Words and numbers of a report: their colours, their emoji, and how they are formatted."""

from __future__ import annotations

import html
import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cards_names import HOSTILE
from report_fixtures import HOSTILE_TWEETS
from report_page import make_mistake
from sentiment140_bert.cards import html_pages
from sentiment140_bert.cards.markup import clean_controls, flatten
from sentiment140_bert.cards.report_page import color_words, find_color_scale

WEIGHTS = st.lists(st.none() | st.floats(-5, 5) | st.sampled_from([0.0, 1.0, -1.0]), max_size=30)


@given(st.lists(WEIGHTS, max_size=4))
def test_the_strongest_colour_begins_above_19_of_20_words(pages: list[list[float | None]]) -> None:
    sizes = [abs(weight) for weights in pages for weight in weights if weight is not None]
    expected = float(np.quantile(sizes, 0.95, method="lower")) if sizes else 0
    assert (
        find_color_scale([make_mistake(words=tuple(("word", weight) for weight in weights)) for weights in pages])
        == expected
    )


@given(st.none() | st.floats(-5, 5) | st.sampled_from([0.2, 0.4, -0.4, -0.2, 1.0]), st.sampled_from([0.0, 1.0, 2.5]))
def test_a_word_has_the_colour_of_its_weight(weight: float | None, scale: float) -> None:
    level = next((step for step in range(5, 0, -1) if scale and weight and abs(weight) * 5 / scale >= step), 0)
    expected = "a&lt;b"
    if level and weight:
        expected = f'<span class="{"p" if weight > 0 else "n"}{level}" title="{weight:+.2f}">a&lt;b</span>'
    assert color_words((("a<b", weight),), scale) == expected
    assert color_words(((" ", weight), ("b", None)), scale) == " b"


def test_joined_emoji_stay_joined() -> None:
    for text in (
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u2764\ufe0f\u200d\U0001f525",
        "\U0001f9d1\U0001f3fd\u200d\U0001f680",
    ):
        assert clean_controls(f" a {text}") == f" a {text}"
        assert text in html.unescape(str(color_words(((text, 1.0),), 1.0)))
    for text in (
        *("a\u200db", "\u200d", "\U0001f600\u200d", "\u200d\U0001f600", "@\u200d\U0001f600", "\U0001f600\u200d1"),
    ):
        assert "\u200d" not in clean_controls(text), ascii(text)


@given(
    st.text()
    | st.sampled_from(HOSTILE + HOSTILE_TWEETS)
    | st.text(alphabet=" \t\n\u2028\xad\u200b\ue000ab\U0001f600\u200d")
)
def test_cleaned_text_hides_nothing(text: str) -> None:
    """Keep white space at the ends as one blank, and joiners only between emoji."""
    cleaned = clean_controls(text)
    assert " ".join(cleaned.replace("\u200d", "").split()) == flatten(text)
    assert clean_controls(cleaned) == cleaned
    blank = {"Cc", "Zl", "Zp", "Zs"}
    shown = [unicodedata.category(sign) for sign in text if unicodedata.category(sign) not in ("Cf", "Cs", "Co")]
    assert cleaned.startswith(" ") == (shown[:1] != [] and shown[0] in blank)
    assert cleaned.endswith(" ") == (shown[-1:] != [] and shown[-1] in blank)
    assert "  " not in cleaned


def test_numbers_are_formatted_for_reading() -> None:
    assert (
        html_pages.format_percent({"value": 0.84031, "low": 0.77, "high": 0.89})
        == html_pages.format_percent(0.84031)
        == "84.0%"
    )
    assert html_pages.format_limits({"value": 0.8, "low": 0.7712, "high": 0.891}, 100) == "77.1 to 89.1%"
    assert html_pages.format_limits({"value": 0.8, "low": 0.7712, "high": 0.891}) == "0.771 to 0.891"
    assert html_pages.format_limits(0.8) == html_pages.format_limits({"value": 0.8}) == ""
    assert html_pages.format_points({"value": -0.0123, "low": -0.05, "high": 0.03}) == "-1.2 points (-5.0 to +3.0)"
    numbers = (0.0, 0.00099, 0.001, 0.0213, 0.0999, 0.1, 0.62, 1.0)
    shown = ["p < 0.001", "p < 0.001", "p = 0.001", "p = 0.021", "p = 0.100", "p = 0.10", "p = 0.62", "p = 1.00"]
    assert [html_pages.format_p_value(number) for number in numbers] == shown
    assert html_pages.format_points({"value": 0.0123}) == "+1.2 points"
