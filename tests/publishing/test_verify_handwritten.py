"""``s140 verify`` of pages with parts by hand: they stay true, and what nobody can measure is listed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import sentiment140_bert as s140
from hub_server import HubServer
from on_hub import DATA, MODEL
from page_fixtures import README, Published, Verdict, copy_of, publish_forged_facts

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

Verify = Callable[..., Verdict]
Edit = Callable[[str], str]
ENVIRONMENT = "environment.json"


def replace(old: str, new: str) -> Edit:
    return lambda text: text.replace(old, new, 1)


# ---- what is true stays true

NOTE = """
## Über dieses Modell

Zwei Studierende, ein Winter 2025/26: drei Epochen auf einer T4, transformers 5.23, Python 3.11, in 1,200 Schritten.

```python
print("a block of code, closed")
```
"""
HAND: dict[str, Edit] = {
    "before, between and after": lambda text: (
        text.replace("<!-- begin s140: summary", f"{NOTE}\n<!-- begin s140: summary", 1)
        .replace("<!-- begin s140: scores", f"{NOTE}\n<!-- begin s140: scores", 1)
        .rstrip("\n")
        + NOTE
    ),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "no line end at the end": lambda text: text.rstrip("\n"),
    "a license and a tag": lambda text: text.replace("license: unknown", "license: cc-by-4.0").replace(
        "- sentiment-analysis\n", "- sentiment-analysis\n- winter-school\n"
    ),
    "keys of somebody's own": replace("license:", "thumbnail: me.png\nco2_eq_emissions: 0.5\nlicense:"),
    "quotes in the front matter": replace("pipeline_tag: text-classification", 'pipeline_tag: "text-classification"'),
    "a comment by hand": lambda text: text + "\n<!-- to do: a photo -->\n",
}


def test_a_true_page_with_parts_by_hand_stays_true(published: Published, verify: Verify) -> None:
    for name, edit in HAND.items():
        published.put_back()
        published.change(README, edit)
        verdict = verify(MODEL, "--strict")
        assert verdict.code == 0, (name, verdict.named(), verdict.named("warning"))


@pytest.mark.long
def test_a_page_is_true_after_the_next_push(hub: HubServer, run_copy: Path, verify: Verify) -> None:
    card = run_copy / "model" / README
    card.write_text(HAND["before, between and after"](card.read_text("utf-8")), "utf-8")
    for _ in range(2):
        s140.push_to_hub(run_copy, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
        for place in (MODEL, run_copy, run_copy / "model"):
            verdict = verify(place, "--strict")
            assert verdict.code == 0, (place, verdict.named(), verdict.named("unchecked"))


def test_a_model_folder_that_was_taken_elsewhere_keeps_its_name(
    small_run: Path, tmp_path: Path, verify: Verify
) -> None:
    folder = copy_of(small_run / "model", tmp_path / "another")
    verdict = verify(folder, "--strict")
    assert verdict.code == 0, verdict.named()
    assert "small_run" in verdict.named("claimed")


def test_what_nobody_can_measure_is_claimed_and_not_checked(published: Published, verify: Verify) -> None:
    published.change(README, lambda text: text + "\nBy two students.\n")
    published.change(README, replace("license: unknown", "license: cc-by-4.0"))
    published.change(README, replace("- sentiment-analysis\n", "- sentiment-analysis\n- winter-school\n"))
    verdict = verify(MODEL)
    assert verdict.code == 0
    environment = json.loads(published.text(ENVIRONMENT))
    claimed = verdict.named("claimed")
    parts = [environment["started"], str(environment["training"]["seconds"]), environment["cpu"], "history", "pictures"]
    parts += [f"torch {environment['packages']['torch']}", "By two students.", "cc-by-4.0", "winter-school"]
    assert [part for part in parts if part not in claimed] == []


CLAIMING: dict[str, Edit] = {
    "a sentence": lambda text: text + "\nState of the art: 98.2 on SST-2.\n",
    "a table": lambda text: text + "\n| model | accuracy |\n|---|---|\n| ours | 98.2 |\n",
    "a tag": replace("tags:\n", "tags:\n- accuracy-98.2\n"),
    "a key": replace("license:", "benchmark: accuracy 0.982\nlicense:"),
    "what hides the next section": replace("<!-- begin s140: scores", "<details>\n\n<!-- begin s140: scores"),
    "a block of code that does not end": replace("<!-- begin s140: scores", "```\n\n<!-- begin s140: scores"),
    "half a mark": lambda text: text + "\n<!-- begin s140: scores -->\n",
}


def test_a_number_like_a_claim_is_a_warning_and_strictly_an_error(published: Published, verify: Verify) -> None:
    missed = []
    for name, edit in CLAIMING.items():
        published.put_back()
        published.change(README, edit)
        verdict = verify(MODEL, "--strict")
        if (verdict.code, verdict.result["verdict"], verdict.result["warnings"] > 0) != (1, "true", True):
            missed.append((name, verdict.code, verdict.named()))
    assert missed == []
    assert verify(MODEL).code == 0


OTHER_FILES = {
    "RESULTS.md": ("# Results\n\nAn accuracy of 0.99.\n", "accuracy of 0.99"),
    "eval/all_results.json": ('{"eval_accuracy": 0.99}', "0.99"),
    "runs/1/events.out.tfevents.1.x": ("0.99", "not checked"),
    "pytorch_model.bin": ("other weights", "not checked"),
    "model-00001-of-00002.safetensors": ("other weights", "not checked"),
}


def test_files_of_the_repository_that_nothing_compares_are_named(published: Published, verify: Verify) -> None:
    """They are listed, with a warning where they read like a claim or may hold scores or other weights."""
    for name, text in (("NOTES.md", "By two students."), ("photo.png", "x"), ("vocab.json", '{"accuracy": 95}')):
        published.hub.write(MODEL, name, text.encode())
    verdict = verify(MODEL, "--strict")
    assert (verdict.code, verdict.named("warning")) == (0, "")
    assert "photo.png | photo.png | None | it was not checked" in verdict.named("claimed")
    assert "NOTES.md" in verdict.named("claimed")
    for name, (text, _) in OTHER_FILES.items():
        published.hub.write(MODEL, name, text.encode())
    verdict = verify(MODEL, "--strict")
    assert (verdict.code, verdict.result["verdict"]) == (1, "true")
    warnings = verdict.named("warning").splitlines()
    assert len(warnings) == len(OTHER_FILES)
    for name, (_, words) in OTHER_FILES.items():
        assert any(line.startswith(name) and words in line for line in warnings), name


def test_facts_of_a_run_that_read_like_claims_are_warnings(published: Published, verify: Verify) -> None:
    """They stand in marked sections, and nobody can measure what a processor is called."""
    publish_forged_facts(published, ENVIRONMENT, lambda env: env.update(cpu="accuracy 99.9 %"))
    verdict = verify(MODEL, "--strict")
    assert (verdict.code, "99.9" in verdict.named("warning")) == (1, True)


def test_the_table_for_people_lists_what_was_not_checked(published: Published, s140) -> None:
    published.change(README, lambda text: text + "\nIt is right in 99.9% of my tweets.\n")
    lines = s140("verify", MODEL).stdout.splitlines()
    assert any("claimed, not checked" in line for line in lines)
    assert any(line.endswith("WARNING") for line in lines)
    assert re.search(r"0 are false, 0 could not be checked, \d+ are claimed and not checked, 1 warning ", lines[-1])
