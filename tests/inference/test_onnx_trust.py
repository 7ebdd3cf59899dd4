"""ONNX graphs that mean harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from command_line import Command
from sentiment140_bert.errors import ModelError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest_plugins = "model_fixtures"


def test_onnxruntime_tells_nobody_of_its_use(smallest_run: Path, tmp_path: Path, cache: Path) -> None:
    """Its telemetry would leave a file among the temporary ones; with it switched off there is none."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    words = ["export", smallest_run, "--output", "graph"]
    with Command(*words, cwd=tmp_path, env={"TMPDIR": str(temporary), "S140_CACHE": str(cache)}) as command:
        assert command.wait() == 0, command.stderr.whole()
    assert list(temporary.rglob(".ses")) == []


@pytest.mark.parametrize("place", ["../private.bin", "{}/private.bin"])
def test_a_graph_names_no_file_outside_of_its_folder(tmp_path: Path, place: str) -> None:
    from sentiment140_bert.inference.onnx_backend import OnnxBackend

    folder = tmp_path / "export"
    folder.mkdir()
    (tmp_path / "private.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4])
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=place.format(tmp_path))
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["w"], ["y"])], "g", [], [output], [weights])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="cannot be used"):
        OnnxBackend(folder / "model.onnx", ["negative", "positive"])
