"""The type of ``onnx/export.json``: what the ONNX graphs that are published with a model were made from."""

from __future__ import annotations

from typing_extensions import TypedDict

from sentiment140_bert.schemas.basics import Count, Sha256


class Graph(TypedDict):
    """A graph's file, and on how many texts its label is torch's."""

    sha256: Sha256
    labels_agree: Count


class GraphFiles(TypedDict):
    """The graphs by their kind."""

    fp32: Graph
    int8: Graph


class Graphs(TypedDict):
    """The weights of the graphs, and the number of texts on which each was compared with torch."""

    weights_sha256: Sha256
    texts: Count
    graphs: GraphFiles
    packages: dict[str, str]
