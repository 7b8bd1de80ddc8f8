"""The rewriter: a network in, one plain ONNX graph out that explains it. No runtime inside.

from onnxplain.graphops import load, rewrite, save

model = load("net.onnx")
save(rewrite(model, "layer4", "guided_backprop"), "explained.onnx")
"""

import onnx

from onnxplain.graphops.blame import blaming
from onnxplain.graphops.layers import Layer, list_layers
from onnxplain.graphops.methods import METHODS, Method
from onnxplain.graphops.options import Options
from onnxplain.graphops.preflight import NodeReport, Report, check
from onnxplain.graphops.prepare import prepare
from onnxplain.graphops.rewriter import begin_at, forward, rewrite
from onnxplain.graphops.source import load, read_metadata, save

__all__ = [
    "METHODS",
    "Layer",
    "Method",
    "NodeReport",
    "Options",
    "Report",
    "begin_at",
    "check",
    "forward",
    "layers",
    "load",
    "read_metadata",
    "rewrite",
    "save",
]


def layers(model: onnx.ModelProto) -> list[Layer]:
    """Return every layer of the network, in order, its float inputs first."""
    with blaming(model):
        return list_layers(prepare(model).graph)
