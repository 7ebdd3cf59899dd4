"""Who wrote a tweet, when, and what query found it, as far as splits keep it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import clean, dates
from sentiment140_bert.data.split import priorities

ORIGIN = {"user": pa.uint64(), "time": pa.int64(), "topic": pa.string()}
SEED = 140  # of the users' hashes: rows of one user are found in files that were read at different times


def with_origin(table: pa.Table) -> pa.Table:
    """The table with ``user``, ``time`` and ``topic`` as splits have them: null where nothing is known.

    Names of users end here: what is kept is a hash, by which rows of one user are found.

    Args:
        table: Perhaps with ``user``, ``date`` and ``topic`` as :func:`sentiment140_bert.data.reading.read` gives them.
    """
    known = {name: table[name] for name in ("user", "date", "topic") if name in table.column_names}
    plain = table.drop_columns(list(known))
    known["user"] = _hashed(known["user"]) if "user" in known else None
    known["topic"] = clean.clean(known["topic"], "mask")[0] if "topic" in known else None
    known["time"] = dates.seconds(known.pop("date")) if "date" in known else None
    for name, kind in ORIGIN.items():
        column = known.get(name)
        plain = plain.append_column(name, pa.nulls(len(table), kind) if column is None else column)
    return plain


def _hashed(users: pa.ChunkedArray) -> pa.ChunkedArray:
    """One number for each name, whatever the case of its letters; null for none."""
    named = pc.utf8_lower(pc.utf8_trim_whitespace(users))
    written = pc.if_else(pc.equal(named, ""), None, named).combine_chunks().dictionary_encode()
    numbers = pa.array(priorities(written.dictionary, SEED))
    return pa.chunked_array([numbers.take(written.indices)])
