"""On which kinds of tweets a model is worse than on the rest, beyond chance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation import intervals

Rows = npt.NDArray[np.bool_]
FEWEST = 20  # tweets in a slice, and beside it, for a test to mean something
FEWEST_OF_TOPIC = 10
SHORT, LONG = 5, 20  # words: about the shortest and the longest sixth of the corpus
NOT_ENGLISH_WORDS = 4  # a shorter tweet says nothing of its language

# Eyes, perhaps a nose, and a mouth; or the other way round. One that begins with a letter or a digit stands alone: in
# "XP:", "at 8:30" and "fired: " there is none.
EMOTICON = re.compile(
    r"(?<!\w)[xX8][-o*']?[)(dD](?!\w)"
    r"|(?<![\d:])[:;=](?!//)[-o*']?(?:[)(\]\[/\\|}{@*]+|[dDpPoO3](?!\w))"
    r"|(?<!\w)[)(\]\[dD][-o*']?[:;=](?=\s|$)"
    r"|(?<!\w)(?:<3|\^_?\^|-_+-)"
)
EMOJI = re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff]")
NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|nowhere|without|cannot|(?:ai|are|ca|could|did|does|do|had|has|have|is|"
    r"might|must|need|should|was|were|wo|would)n['’]?t)\b",
    re.IGNORECASE,
)
CONTRAST = re.compile(r"\b(?:but|however|although|though|tho|yet|except|despite|nevertheless)\b", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
# Beside scikit-learn's stop words the commonest words of English tweets: a text without any of them rarely is English.
TWEETED = (
    *("i'm", "im", "it's", "don't", "can't", "u", "ur", "lol", "haha", "just", "good", "great", "love", "like", "got"),
    *("day", "today", "tomorrow", "night", "morning", "work", "home", "time", "new", "know", "want", "need", "think"),
    *("happy", "sad", "sorry", "thanks", "thank", "miss", "feel", "oh", "hey", "yeah", "yes", "nice", "bad", "come"),
)

KINDS: dict[str, Callable[[str], bool]] = {
    "negation": lambda text: bool(NEGATION.search(text)),
    "contrast": lambda text: bool(CONTRAST.search(text)),
    "question": lambda text: "?" in text,
    "exclamation": lambda text: "!" in text,
    "mention": lambda text: bool(re.search(r"@\w", text)),
    "url": lambda text: bool(re.search(r"\bhttp|\bwww\.", text)),
    "hashtag": lambda text: bool(re.search(r"#\w*[^\W\d]", text)),
    "emoticon": lambda text: bool(EMOTICON.search(text)),
    "emoji": lambda text: bool(EMOJI.search(text)),
    "elongation": lambda text: bool(re.search(r"([^\W\d_])\1\1", text)),
    "upper case": lambda text: bool(re.search(r"\b[A-Z]{3,}\b", text)),
    "short": lambda text: len(text.split()) <= SHORT,
    "long": lambda text: len(text.split()) >= LONG,
    "not English": lambda text: looks_foreign(text),
}


def looks_foreign(text: str) -> bool:
    """Whether a text hardly is English: a guess by its words and letters, good enough to count by."""
    words = [word.lower() for word in WORD.findall(text.replace("@user", " ").replace("http", " "))]
    if len(words) < NOT_ENGLISH_WORDS:
        return False
    letters = "".join(words)
    beyond = sum(letter > "\u024f" for letter in letters) / len(letters)  # past the Latin alphabets
    return beyond > 0.2 or _english_words().isdisjoint(word.replace("’", "'") for word in words)


@cache
def _english_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS).union(TWEETED)


def of_texts(texts: Sequence[str], topics: Sequence[str | None] | None = None) -> dict[str, Rows]:
    """Which tweets belong to which slice.

    Args:
        texts: As a person reads them.
        topics: The query by which each tweet was found, where that is known.

    Returns:
        By the slice's name whether each tweet belongs to it, shape (n,); a tweet may belong to several.
    """
    found = {name: np.fromiter(map(test, texts), dtype=bool, count=len(texts)) for name, test in KINDS.items()}
    named = Counter(topic for topic in topics or () if topic)
    for topic in sorted(topic for topic, count in named.items() if count >= FEWEST_OF_TOPIC):
        found[f"topic: {topic}"] = np.array([each == topic for each in topics or ()])
    return {name: rows for name, rows in found.items() if rows.any()}


def scored(right: Rows, members: Mapping[str, Rows]) -> list[dict[str, Any]]:
    """The accuracy on every slice, and whether it is worse than on the rest beyond chance.

    A slice is tested by Fisher's exact test, one-sided, against all other tweets; the p-values are corrected for the
    number of slices (Holm 1979). Slices overlap: whoever is bad at "but" is bad at long tweets, which hold more of
    them. So the slice with the clearest difference is flagged first, its tweets are set aside, and the others are
    tested on what is left, until none is worse.

    Args:
        right: Whether the model is right, for each tweet, shape (n,).
        members: From :func:`of_texts`.

    Returns:
        For each slice, in order, ``name``, ``n``, ``accuracy`` with its interval, ``rest`` (accuracy of all other
        tweets, None if there are none), ``p_value`` (when it was flagged, or of the tweets outside the flagged ones;
        None where too few are left to test) and ``worse``.
    """
    waiting, left = dict(members), np.ones(len(right), dtype=bool)
    p_values: dict[str, float | None] = dict.fromkeys(members)
    worse = []
    while waiting:
        tested = {name: p for name, rows in waiting.items() if (p := _p_value(right[left], rows[left])) is not None}
        p_values |= dict.fromkeys(waiting) | tested
        worst = min(tested, key=lambda name: tested[name], default=None)
        if worst is None or tested[worst] * len(tested) >= intervals.SIGNIFICANT:
            break
        worse.append(worst)
        left &= ~waiting.pop(worst)
    return [
        {
            "name": name,
            "n": int(rows.sum()),
            "accuracy": intervals.share(int(right[rows].sum()), int(rows.sum())),
            "rest": float(right[~rows].mean()) if not rows.all() else None,
            "p_value": p_values[name],
            "worse": name in worse,
        }
        for name, rows in members.items()
    ]


def _p_value(right: Rows, rows: Rows) -> float | None:
    """Of finding as many errors in the slice, if they fell on all tweets alike; None where there are too few."""
    from scipy.stats import fisher_exact

    if min(rows.sum(), (~rows).sum()) < FEWEST:
        return None
    table = [
        [int((~right & rows).sum()), int((right & rows).sum())],
        [int((~right & ~rows).sum()), int((right & ~rows).sum())],
    ]
    return float(fisher_exact(table, alternative="greater").pvalue)
