"""The targets by their names."""

from __future__ import annotations

from pathlib import Path

from fuzzing.loop import Target

NAMES = ("csv", "clean", "recipe", "card", "labels")


def target_of(name: str, folder: Path) -> Target:
    """A target; ``folder`` is where it may write."""
    from fuzzing import tweet_files

    return {"csv": tweet_files.TweetFiles}[name](folder)
