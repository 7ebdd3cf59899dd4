"""What a study is a study of, so that no trial of another one gets into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sentiment140_bert.errors import StoreError


def refuse_another(before: Mapping[str, Any] | None, now: Mapping[str, Any], what: str) -> None:
    """Raises StoreError where a study is one of something else, with what differs.

    Args:
        before: Its identity; None of a new one.
        now: Of this call.
        what: Begins the sentence.
    """
    changed = list(_changed(before, now)) if before is not None else []
    if changed:
        raise StoreError(
            f"{what} is another one: {'; '.join(changed)}.",
            "Go on with the recipe and the tweets of the beginning, or choose another --study-name and OUTPUT.",
        )


def _changed(before: Any, now: Any, name: str = "") -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            yield from _changed(before.get(key), now.get(key), f"{name}.{key}" if name else str(key))
    elif before != now:
        yield f"{name}: {_shown(before)} then, {_shown(now)} now"


def _shown(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else repr(value)
