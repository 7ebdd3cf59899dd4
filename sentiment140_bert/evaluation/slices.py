"""The kinds of tweets on which a model is significantly worse than on the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation import intervals
from sentiment140_bert.schemas.metrics import Slice

Rows = npt.NDArray[np.bool_]
MIN_TWEETS = 20  # tweets in a slice, and outside of it, for a test to mean something
MIN_OF_TOPIC = 10
SHORT, LONG = 5, 20  # words: about the shortest and the longest sixth of the corpus
MIN_WORDS = 4  # a shorter tweet says nothing of its language
# Eyes, perhaps a nose, and a mouth; or the reverse. One that begins with a letter or a digit must be a word of its own:
# "XP:", "at 8:30" and "fired: " hold none.
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
# The commonest words of English tweets that are not scikit-learn's stop words: few English texts have none of both.
COMMON_WORDS = (
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
    """Return True if a text hardly is English: a guess by its words and letters, good enough to count by."""
    words = [word.lower() for word in WORD.findall(text.replace("@user", " ").replace("http", " "))]
    if len(words) < MIN_WORDS:
        return False
    letters = "".join(words)
    beyond = sum(letter > "\u024f" for letter in letters) / len(letters)  # past the Latin alphabets
    return beyond > 0.2 or _english_words().isdisjoint(word.replace("’", "'") for word in words)


@cache
def _english_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS).union(COMMON_WORDS)


def find_slices(texts: Sequence[str], topics: Sequence[str | None] | None = None) -> dict[str, Rows]:
    """Find the tweets of each slice, by its name; shape (n,). A tweet may belong to several.

    Args:
        texts: Texts as a person reads them.
        topics: The query by which each tweet was found, if that is known.
    """
    members = {name: np.fromiter(map(test, texts), dtype=bool, count=len(texts)) for name, test in KINDS.items()}
    counts = Counter(topic for topic in topics or () if topic)
    for topic in sorted(topic for topic, count in counts.items() if count >= MIN_OF_TOPIC):
        members[f"topic: {topic}"] = np.array([some == topic for some in topics or ()])
    return {name: rows for name, rows in members.items() if rows.any()}


def score_slices(correct: Rows, members: Mapping[str, Rows]) -> list[Slice]:
    """Measure the accuracy on every slice, and test if it is significantly worse than on the rest.

    A slice is tested by Fisher's exact test, one-sided, against all other tweets; the p-values are corrected for the
    number of slices (Holm 1979). Slices overlap: a model that is bad at "but" is bad at long tweets, which hold more of
    them. So the slice with the clearest difference is flagged first, its tweets are set aside, and the others are
    tested on the rest, until none is worse.

    Args:
        correct: True where the prediction is, shape (n,).
        members: Result of :func:`find_slices`.

    Returns:
        For each slice, in order, ``name``, ``n``, ``accuracy`` with its interval, ``rest`` (accuracy of all other
        tweets, None if there are none), ``p_value`` (when it was flagged, or of the tweets outside the flagged ones;
        None if too few are left to test) and ``worse``.
    """
    waiting, left = dict(members), np.ones(len(correct), dtype=bool)
    p_values: dict[str, float | None] = dict.fromkeys(members)
    worse = []
    while waiting:
        tested = {
            name: p for name, rows in waiting.items() if (p := _test_slice(correct[left], rows[left])) is not None
        }
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
            "accuracy": intervals.measure_share(int(correct[rows].sum()), int(rows.sum())),
            "rest": float(correct[~rows].mean()) if not rows.all() else None,
            "p_value": p_values[name],
            "worse": name in worse,
        }
        for name, rows in members.items()
    ]


def _test_slice(correct: Rows, rows: Rows) -> float | None:
    """Return the p-value of as many errors in a slice if errors were spread evenly; None for too few tweets."""
    from scipy.stats import fisher_exact

    if min(rows.sum(), (~rows).sum()) < MIN_TWEETS:
        return None
    table = [
        [int((~correct & rows).sum()), int((correct & rows).sum())],
        [int((~correct & ~rows).sum()), int((correct & ~rows).sum())],
    ]
    return float(fisher_exact(table, alternative="greater").pvalue)
