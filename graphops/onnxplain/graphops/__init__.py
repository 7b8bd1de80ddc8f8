"""The rewriter: a network in, one plain ONNX graph out that explains it. No runtime inside.

from onnxplain.graphops import load, rewrite, save

model = load("net.onnx")
save(rewrite(model, "layer4", "guided_backprop"), "explained.onnx")
"""

import onnx

from onnxplain.graphops.analysis import Arithmetic, Layer, list_layers, resize_input
from onnxplain.graphops.fully_convolutional import convolutionalize
from onnxplain.graphops.ir import blaming, infer_shapes, load, read_metadata, save
from onnxplain.graphops.methods import METHODS, Method
from onnxplain.graphops.network import prepare
from onnxplain.graphops.options import Options
from onnxplain.graphops.preflight import NodeReport, Report, check
from onnxplain.graphops.rewriter import begin_at, forward, rewrite

__all__ = [
    "METHODS",
    "Arithmetic",
    "Layer",
    "Method",
    "NodeReport",
    "Options",
    "Report",
    "begin_at",
    "check",
    "convolutionalize",
    "forward",
    "layers",
    "load",
    "read_metadata",
    "rewrite",
    "save",
]


def layers(model: onnx.ModelProto, size: tuple[int, ...] | None = None) -> list[Layer]:
    """Return every layer of the network, in order, its float inputs first.

    size: the picture's height and width, where the model leaves them free; then every size that
    follows from them is known. Raises OptionError where these are no sizes,
    and UnsupportedModel where the model fixes others.
    """
    with blaming(model):
        graph = prepare(model).graph
        if size is not None:
            resize_input(graph, size)
            infer_shapes(graph, sizes_changed=True)
        return list_layers(graph)
