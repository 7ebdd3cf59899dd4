"""Predictions of folds from an earlier call: those of a stranger's run fill no memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment140_bert.experiments.label_issues.cross_validation import _load_fold


def test_a_small_file_of_many_values_is_not_read_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """160 MB of equal values in some KB: damaged folds are trained again."""
    file = tmp_path / "fold-1.parquet"
    table = pa.table({"positive": np.zeros(100_000)})
    with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for _ in range(200):
            writer.write_table(table)
    assert file.stat().st_size < 200_000
    assert _load_fold(file, 90) is None
    assert "unpacks to more than" in caplog.text
    pq.write_table(pa.table({"positive": np.full(90, 0.5)}), file)
    assert _load_fold(file, 90) is not None
