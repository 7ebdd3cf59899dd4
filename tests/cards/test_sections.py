"""Texts that people write into a card survive any number of new ones; generated sections are replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentiment140_bert.cards.merge import find_numbers, list_differences, merge_cards, parse_card

NAMES = ("summary", "use", "scores", "limits")
FRONT: dict[str, Any] = {"language": "en", "license": "unknown", "tags": ["twitter", "bert"], "model-index": [0.5]}


def section(name: str, body: str) -> str:
    return f"<!-- begin s140: {name} -->\n{body}\n<!-- end s140: {name} -->\n"


def card(
    body: str, names: Sequence[str] = NAMES, between: Sequence[str] = (), front: dict[str, Any] | None = FRONT
) -> str:
    between = between or ["\n"] * len(names) + [""]
    head = "" if front is None else f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n"
    return head + "".join(gap + section(name, body) for gap, name in zip(between, names, strict=False)) + between[-1]


NEW = card("new")
LINES = [
    *("# A heading", "Some text with 12.5 numbers.", "", "---", "```", "<!-- a comment -->"),
    *("<!-- begin s140: mine -->", "begin s140", "| a | b |", "license: mit", "café 😀 \u2028"),
]
HAND = st.lists(st.sampled_from(LINES), max_size=6).map("\n".join)


def test_a_card_is_split_and_joined() -> None:
    assert merge_cards(NEW, NEW) == merge_cards(NEW, None) == merge_cards(NEW, "") == NEW
    parsed = parse_card(card("x", between=["\n", "one", "\ntwo\n", "\n", "three\n"]))
    assert parsed.metadata == FRONT
    assert parsed.sections == {name: section(name, "x") for name in NAMES}
    assert (parsed.between, parsed.handwritten) == (["\n", "one", "\ntwo\n", "\n", "three\n"], "one\ntwo\nthree")


@settings(max_examples=200)
@given(
    st.lists(HAND, min_size=5, max_size=5), st.permutations(NAMES), st.integers(1, 4), st.sampled_from(["\n", "\r\n"])
)
def test_hand_written_text_survives_at_any_place(texts: list[str], names: list[str], count: int, newline: str) -> None:
    """Move or remove sections, and end lines as on Windows."""
    names = names[:count]
    between = [f"\nHAND{at}\n{text}\n" for at, text in enumerate(texts[: count + 1])]
    old = card("old", names, between).replace("\n", newline)
    merged = merge_cards(NEW, old)
    for at, text in enumerate(texts[: count + 1]):
        assert merged.count(f"HAND{at}\n{text}\n") == 1
    assert "old" not in merged
    assert parse_card(merged).sections == parse_card(NEW).sections
    assert merge_cards(NEW, merged) == merged


@given(HAND)
def test_a_card_written_by_hand_is_kept_below_ours(text: str) -> None:
    old = f"HAND\n{text}\nEND\n"
    merged = merge_cards(NEW, old)
    assert f"HAND\n{text}\nEND\n" in merged
    assert parse_card(merged).sections == parse_card(NEW).sections
    assert merge_cards(NEW, merged) == merged


MARKS = [f"<!-- {side} s140: {name} -->" for side in ("begin", "end") for name in (*NAMES, "gone")]


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*MARKS, *MARKS, *LINES]), max_size=14))
def test_broken_marks_lose_no_text_outside_of_sections(lines: list[str]) -> None:
    """Treat a mark without its partner as text; a section begins at the last mark of that name before its end."""
    lines = [f"{line}\nHAND{at}" for at, line in enumerate(lines)]
    old = "START\n" + "\n".join(lines) + "\n"
    merged = merge_cards(NEW, old)
    last_begin: dict[str, int] = {}
    inside: set[int] = set()
    for at, line in enumerate(lines):
        mark = line.split()
        if line.startswith("<!-- begin s140: "):
            last_begin[mark[3]] = at
        elif line.startswith("<!-- end s140: ") and mark[3] in last_begin:
            inside |= {*range(last_begin.pop(mark[3]), at)}
    outside = [f"HAND{at}" for at in range(len(lines)) if at not in inside]
    assert [item for item in ["START", *outside] if f"{item}\n" not in merged] == []
    assert parse_card(merged).sections.keys() >= {*NAMES}
    for name in NAMES:
        assert section(name, "new") in merged


def test_text_around_odd_sections_is_kept() -> None:
    """A mark that is only mentioned, a section that occurs twice, and one that is no longer written."""
    note = "Below `<!-- begin s140: scores -->\nnothing can be written, it would be replaced.\nHAND\n"
    merged = merge_cards(NEW, card("old", between=["\n", "\n", note, "\n", ""]))
    assert ("HAND" in merged, "old" in merged) == (True, False)
    merged = merge_cards(NEW, card("old") + section("use", "mine") + "HAND\n")
    assert section("use", "new") in merged
    assert section("use", "mine") + "HAND\n" in merged
    assert merge_cards(NEW, merged) == merged
    merged = merge_cards(NEW, card("old", [*NAMES, "energy"], ["\n"] * 4 + ["\nHAND\n", ""]))
    assert (merged.endswith("HAND\n"), "energy" in merged) == (True, False)


def test_front_matter_written_by_people_is_kept() -> None:
    edited = {
        "license": "mit",
        "tags": ["mine", "bert"],
        "thumbnail": "a.png",
        "co2_eq_emissions": 0.3,
        "model-index": [0.9],
        "released": "2026-01-01",
    }
    metadata = parse_card(merge_cards(NEW, card("old", front=edited))).metadata
    assert metadata["license"] == "mit"
    assert metadata["tags"] == ["twitter", "bert", "mine"]
    assert (metadata["thumbnail"], metadata["co2_eq_emissions"], metadata["released"]) == ("a.png", 0.3, "2026-01-01")
    assert (metadata["model-index"], metadata["language"]) == ([0.5], "en")


def test_front_matter_as_the_hub_reads_it() -> None:
    """Accept a byte order mark or a blank line before it, as editors write them, and the end of the file as its end."""
    for old in (
        "---\nlicense: mit\n---",
        "---\nlicense: mit\n---\n",
        "\ufeff---\nlicense: mit\n---\nHAND\n",
        "\n---\nlicense: mit\n---\nHAND\n",
        "---\r\nlicense: mit\r\n---\r\nHAND\r\n",
    ):
        merged = merge_cards(NEW, old)
        assert parse_card(merged).metadata["license"] == "mit", old
        assert merged.count("license:") == 1, old
        assert ("HAND" in merged) == ("HAND" in old), old
    for old in ("---\n# nothing yet\n---\nHAND\n", "HAND\n"):
        merged = merge_cards(NEW, old)
        assert parse_card(merged).metadata == FRONT, old
        assert merged.endswith("HAND\n"), old
        assert merged.count("---\n") == 2, old


def test_front_matter_that_cannot_be_read_is_refused() -> None:
    repeated = "a: &a [" + "1, " * 400 + "1]\nb: [" + "*a, " * 400 + "*a]"
    python = "a: !!python/object/apply:os.system [id]"
    for front in ("[", "- a", "text", python, "a: b: c", "x: " + "[" * 3_000, "x: " + "9" * 5_000, repeated):
        with pytest.raises(ValueError, match=r"\w") as caught:
            merge_cards(NEW, f"---\n{front}\n---\nHAND\n")
        assert len(str(caught.value).splitlines()) == 1, front[:20]


def test_tags_that_are_not_a_list_of_words() -> None:
    for tags, added in (
        ("[[a]]", []),
        ("[{a: b}]", []),
        ("mine", ["mine"]),
        ("null", []),
        ("[1, null, x, bert]", ["1", "x"]),
    ):
        merged = parse_card(merge_cards(NEW, f"---\ntags: {tags}\n---\nHAND\n")).metadata["tags"]
        assert merged == FRONT["tags"] + added, tags


@given(
    st.dictionaries(
        st.sampled_from(["mine", "also mine", "license", "thumbnail"]),
        st.recursive(
            st.text() | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none() | st.dates(),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
    )
)
@example({"mine": "\x85"})
def test_any_front_matter_is_kept(added: dict[str, Any]) -> None:
    """Write no anchors."""
    merged = merge_cards(NEW, card("old", front=added))
    metadata = parse_card(merged).metadata
    assert {key: metadata[key] for key in added} == added
    with_alias = merge_cards(NEW, "---\na: &x [1, 2]\nb: *x\n---\n")
    assert parse_card(with_alias).metadata["b"] == [1, 2]
    assert not {*"&*"} & {*with_alias}
    assert merge_cards(NEW, merged) == merged


def test_the_numbers_of_a_text() -> None:
    for text, expected in (
        ("| accuracy | 0.8612 | 1,465 |", ["0.8612", "1,465"]),
        ("**0.8612** (0.8 to 0.9).", ["0.8612", "0.8", "0.9"]),
        ("| Matthews correlation | -0.0435 |", ["-0.0435"]),
        ("`2e-05`, seed 42.", ["2e-05", "42"]),
        ("on 2026-11-29T15:26:55+00:00, 2026-11-29", ["2026-11-29T15:26:55+00:00", "2026-11-29"]),
        (f"sha256 `{'ab12' * 16}`", ["ab12" * 16]),
        ("F1, sha256, Sentiment140, all-MiniLM-L6-v2, 1.2.3", []),
        ("<!-- begin s140: 5 -->\n", ["5"]),
    ):
        assert [number for number, _ in find_numbers(text)] == expected, text


def test_a_number_that_is_another_one_is_a_difference() -> None:
    for claimed, right, expected in (
        ("| a | 0.8613 |", "| a | 0.8612 |", [("0.8613", "0.8612", "| a | 0.8613 |")]),
        ("| a | -0.0535 |", "| a | -0.0435 |", [("-0.0535", "-0.0435", "| a | -0.0535 |")]),
        ("| a | -0.3536 |", "| a | 0.3536 |", [("-0.3536", "0.3536", "| a | -0.3536 |")]),
        ("| a | 0.3536 |", "| a | -0.3536 |", [("0.3536", "-0.3536", "| a | 0.3536 |")]),
        ("| a | 1,465 |", "| a | 1,466 |", [("1,465", "1,466", "| a | 1,465 |")]),
        ("begun 2026-10-23", "begun 2026-11-23", [("2026-10-23", "2026-11-23", "begun 2026-10-23")]),
        (f"`{'a' * 40}`", f"`{'a' * 39}b`", [("a" * 40, "a" * 39 + "b", f"`{'a' * 40}`")]),
        ("a 1\nb 2", "a 1", [("2", "", "b 2")]),
        ("a 1", "a 1\nb 2", [("", "2", "b 2")]),
        ("1 2 4", "1 2 3 4", [("", "3", "1 2 3 4")]),
        ("no number", "none", [("no number", "none", "no number")]),
        ("# mine 1", "# yours 2", [("1", "2", "# mine 1")]),
        (
            "classify = pipeline('a')",
            "classify = pipeline('b')",
            [("classify = pipeline('a')", "classify = pipeline('b')", "classify = pipeline('a')")],
        ),
        ("a\u2028b", "a\nb", [("a\u2028b", "a\nb", "a\u2028b")]),
        ("<!-- mine -->", "", [("<!-- mine -->", "", "<!-- mine -->")]),
    ):
        assert list_differences(claimed, right) == expected, (claimed, right)
        assert list_differences(right, right) == []


def test_a_hostile_card_is_read_quickly() -> None:
    """Repeat beginnings without an end: work that grows with their square would take half an hour, past the guard."""
    assert parse_card("<!-- begin s140: a -->\n" * 100_000).sections == {}


def test_values_that_versions_of_yaml_read_differently_are_kept_as_they_are_written() -> None:
    own = {"meeting": "12:30:00", "zip": "01234", "country": "no", "serial": "1_000"}
    numbers = {"seed": 42, "share": 0.5, "old": True, "hex": 31}
    written = "".join(f"{key}: {value}\n" for key, value in own.items())
    text = f"---\n{written}seed: 42\nshare: 0.5\nold: true\nhex: 0x1F\n---\n"
    for _ in range(2):
        text = merge_cards("---\nlicense: mit\n---\n", text)
        assert {key: value for key, value in parse_card(text).metadata.items() if key != "license"} == own | numbers
    assert yaml.safe_load(text.split("---\n")[1]) == {"license": "mit"} | own | numbers  # in YAML 1.1, too


def test_the_co2_of_an_older_training_is_removed_and_that_of_a_person_kept() -> None:
    own, personal = ({"emissions": 7.0, "source": source} for source in ("codecarbon 3.3.2", "our power meter"))
    for before, after in ((own, None), (personal, personal)):
        merged = merge_cards(NEW, card("old", front=FRONT | {"co2_eq_emissions": before}))
        assert parse_card(merged).metadata.get("co2_eq_emissions") == after
