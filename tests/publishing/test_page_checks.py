"""A card compared with the one that the tool writes: no line can be another one, and what people wrote is listed."""

from __future__ import annotations

from pathlib import Path

from sentiment140_bert.cards.facts import read_facts
from sentiment140_bert.cards.merge import LAYOUT, parse_card
from sentiment140_bert.cards.model import render_model_card
from sentiment140_bert.publishing import pages
from sentiment140_bert.publishing.checks import CLAIMED, FALSE, TRUE, UNCHECKED, WARNING, Check, reach_verdict

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")
SIZE = 7  # of the step through the lines; a prime, so that no column of a table is left out


def compare(folder: Path, text: str, right: str) -> list[Check]:
    (folder / "README.md").write_bytes(text.encode())
    return list(pages.compare_card("card", folder / "README.md", right))


def test_no_line_can_be_left_out_repeated_or_changed(small_run: Path, tmp_path: Path) -> None:
    right = render_model_card(read_facts(small_run), "small", "tester/small", [])
    assert reach_verdict(compare(tmp_path, right, right)) == TRUE
    lines = right.splitlines(keepends=True)
    outside = "".join(parse_card(right).between).strip()
    assert outside == ""
    end = lines.index("---\n", 1)  # of the front matter
    missed = []
    for at in range(1, len(lines), SIZE):
        line = lines[at]
        if not line.strip() or line.startswith("license:"):  # a person's word counts there
            continue
        edits = ["", line + line, line.replace("\n", " and more\n")]
        edits += [f"{line}<!-- x -->\n"] if at > end else []
        if line.startswith("<!-- begin") or at == end:
            edits.remove(line + line)  # a mark without its counterpart, which is warned of; or a line by hand
        for edit in edits[:1] if line.startswith("<!-- end") else edits:  # what stands behind it is text by hand
            edited = "".join([*lines[:at], edit, *lines[at + 1 :]])
            if reach_verdict(compare(tmp_path, edited, right)) not in (FALSE, UNCHECKED):
                missed.append((at, line, edit))
    assert missed == []


def test_a_card_with_the_sentences_of_an_earlier_version_is_unchecked(small_run: Path, tmp_path: Path) -> None:
    """Its front matter is compared all the same."""
    right = render_model_card(read_facts(small_run), "small", "tester/small", [])
    for layout in ("", ", layout 1", ", layout 33"):
        earlier = right.replace(f", layout {LAYOUT}", layout).replace("## Limits", "## Intended use and limits")
        for text, verdict in ((earlier, UNCHECKED), (earlier.replace("license: ", "licence: "), FALSE)):
            checks = compare(tmp_path, text, right)
            assert reach_verdict(checks) == verdict, layout
            assert "another layout; its owner can write it again: s140 card RUN" in [check.why for check in checks][-1]
    assert reach_verdict(compare(tmp_path, right.replace("## Limits", "## Limit"), right)) == FALSE


def test_a_licence_is_a_persons_word_unless_the_base_model_has_one(small_run: Path, tmp_path: Path) -> None:
    right = render_model_card(read_facts(small_run), "small", "tester/small", [])
    for written, verdict in (("unknown", CLAIMED), ("apache-2.0", WARNING)):
        text = right.replace("license: unknown", f"license: {written}")
        checks = compare(tmp_path, right.replace("license: unknown", "license: mit"), text)
        assert [check.verdict for check in checks if check.claim.endswith("license")] == [verdict]
        assert reach_verdict(checks) == TRUE


def test_results_of_no_dataset_are_not_the_tools(tmp_path: Path) -> None:
    """The tool writes none where the tweets have no id on the Hub."""
    (tmp_path / ".eval_results").mkdir()
    (tmp_path / ".eval_results" / "sentiment140.yaml").write_text("- dataset: {id: a/b, task_id: test}\n  value: 1.0\n")
    assert reach_verdict(pages.compare_results(tmp_path, None, None)) == FALSE
    (tmp_path / ".eval_results" / "folder").mkdir()
    checks = [*pages.compare_results(tmp_path, None, None)]
    assert {check.claim: check.verdict for check in checks}[".eval_results/folder"] == UNCHECKED


def test_names_that_a_card_does_not_have(tmp_path: Path) -> None:
    """Whatever somebody wrote in their place; the arguments stand in for them."""
    section = "<!-- begin s140: {0} -->\n{1}\n<!-- end s140: {0} -->\n"
    snippets = ["    model=__import__('os').getpid(),", "    model=1,", "x", "(" * 9_000]
    for snippet in [*snippets, f"    model={'(' * 9_000},"]:
        (tmp_path / "README.md").write_text(section.format("use", snippet))
        assert pages.read_names(tmp_path / "README.md", "title", "a/b") == ("title", "a/b"), snippet[:50]
    for title in ("a_b", "*x*", "a & b", "1. x", "x # y"):
        from sentiment140_bert.cards.markup import escape

        (tmp_path / "README.md").write_text(section.format("summary", f"# {escape(title)}"))
        assert pages.read_names(tmp_path / "README.md", "", "")[0] == title
