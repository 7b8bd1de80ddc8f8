"""The layers of a network, listed."""

from __future__ import annotations

import onnx

from onnxplain.graphops.analysis import Layer, list_layers, resize_input
from onnxplain.graphops.ir import blaming, infer_shapes
from onnxplain.graphops.network import prepare

__all__ = ["layers"]


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
