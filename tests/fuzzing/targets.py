"""The targets by their names."""

from __future__ import annotations

from pathlib import Path

from fuzzing.loop import Target

NAMES = ("csv", "clean", "recipe", "card", "labels")


def target_of(name: str, folder: Path) -> Target:
    """A target; ``folder`` is where it may write."""
    if name == "csv":
        from fuzzing.tweet_files import TweetFiles

        return TweetFiles(folder)
    if name == "recipe":
        from fuzzing.recipe_files import RecipeFiles

        return RecipeFiles(folder)
    if name == "card":
        from fuzzing.pages import Cards, trained

        return Cards(trained(folder))
    from fuzzing import texts

    return texts.Cleaning() if name == "clean" else texts.LabelMaps()
