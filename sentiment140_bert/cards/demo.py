"""The demo of a published model: a static Space on the Hub whose page runs the model in the reader's browser."""

from __future__ import annotations

from importlib.metadata import version
from urllib.parse import quote

from markupsafe import Markup

from sentiment140_bert.cards import merge
from sentiment140_bert.cards.facts import Facts
from sentiment140_bert.cards.html_pages import hash_source, render_page
from sentiment140_bert.cards.markup import read_template, render
from sentiment140_bert.cards.metadata import HEADLINES, format_front_matter

PAGE = "index.html"
CDN = "https://cdn.jsdelivr.net"  # of the library in the page's script
# What the Hub shows of a Space; its owner may change it.
LOOK = {"emoji": "\N{SPEECH BALLOON}", "colorFrom": "blue", "colorTo": "yellow", "pinned": False}
EXAMPLES = 5


def render_demo_card(model_id: str, space_id: str, endpoint: str, card_before: str | None) -> str:
    """Return the README of a Space, with what people wrote on the one before.

    Args:
        model_id: The model's id on the Hub.
        space_id: The Space's.
        endpoint: The Hub's address.
        card_before: The README that is there.

    Raises:
        ValueError: Its front matter cannot be read.
    """
    look = {"title": space_id.rpartition("/")[2], **LOOK}
    before = merge.parse_card(card_before).metadata if card_before else {}
    metadata = look | {key: before[key] for key in look if key in before}
    metadata |= {"sdk": "static", "app_file": PAGE, "models": [model_id]}
    body = render(
        "demo_card.md",
        version=version("sentiment140-bert"),
        layout=merge.LAYOUT,
        title=metadata["title"],
        model_id=model_id,
        model_link=_link(endpoint, model_id),
        page=PAGE,
    )
    return merge.merge_cards(format_front_matter(metadata) + body, card_before)


def render_demo(facts: Facts, title: str, model_id: str, commit: str, endpoint: str, graph_bytes: int) -> str:
    """Return the page of a Space.

    Args:
        facts: Of the run, with its ``graphs``.
        title: The Space's name.
        model_id: The model's id on the Hub.
        commit: The commit of the model that the page loads.
        endpoint: The Hub's address.
        graph_bytes: Size of the graph that it loads, the one in eight bits.
    """
    style, script = read_template("demo.css"), read_template("demo.js")
    metrics = facts.metrics
    threshold = metrics["abstention"]["threshold"] if "abstention" in metrics else None
    settings = {
        "model": model_id,
        "revision": commit,
        "endpoint": f"{endpoint}/",
        "dtype": "q8",  # as the library calls the graph in eight bits
        "bytes": graph_bytes,
        "temperature": metrics["temperature"]["value"] if "temperature" in metrics else 1.0,
        "neutral_below": threshold,
    }
    splits = metrics["splits"]
    return render_page(
        "demo.html",
        version=version("sentiment140-bert"),
        policy=_format_policy(style, script, endpoint),
        style=Markup(style),
        script=Markup(script),
        title=title,
        model_id=model_id,
        model_link=_link(endpoint, model_id),
        settings=settings,
        megabytes=f"{graph_bytes / 1e6:.0f}" if graph_bytes >= 10e6 else f"{graph_bytes / 1e6:.1f}",
        threshold=threshold,
        has_neutral=facts.has_neutral,
        corpus=facts.corpus,
        examples=[example["text"] for example in metrics["examples"][:EXAMPLES]],
        headlines={name: splits[name] for name in HEADLINES if "accuracy" in splits.get(name, {})},
        meaning=HEADLINES,
        metrics=metrics,
        graphs=facts.graphs,
    )


def _link(endpoint: str, model_id: str) -> Markup:
    return Markup(quote(f"{endpoint}/{model_id}", safe="/:[]"))


def _format_policy(style: str, script: str, endpoint: str) -> str:
    """Let the page run its own script and the library, and fetch the model, whose files the Hub keeps on many hosts."""
    return (
        f"default-src 'none'; style-src {hash_source(style)}; img-src data:; "
        f"script-src {hash_source(script)} 'wasm-unsafe-eval' {CDN} blob:; worker-src blob:; "
        f"connect-src https: blob: {endpoint}; base-uri 'none'; form-action 'none'"
    )
