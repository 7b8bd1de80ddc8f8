"""Converting a classifier of one window to a network that classifies every window of a picture.

A dense layer is a convolution whose kernel covers the whole feature map (Sermanet et al. 2014, Long
et al. 2015). Nothing else has to change, and overlapping windows share their computation.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx

from onnxplain.graphops.analysis import default_target, has_channels_last, resize_input
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import (
    Emitter,
    Graph,
    Node,
    Tensor,
    diagnosing,
    dimension_names,
    infer_shapes,
    is_static,
    reads,
    shape_of,
    write,
)
from onnxplain.graphops.network import NetworkSource, as_network
from onnxplain.graphops.operators import Placed, SizesOnly, Slide, Without, operator_of, refuse

__all__ = ["convolutionalize"]

PREPROCESS = "onnxplain.preprocess"


def convolutionalize(model: NetworkSource, size: tuple[int, ...] | None = None) -> onnx.ModelProto:
    """Convert a classifier to a fully convolutional network, which maps larger pictures to scores.

    Gemm and MatMul become convolutions, and a global pooling becomes one over the window.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network; it is not changed.
        size: the window's height and width in pixels, where the model leaves its picture's free.

    Returns:
        A model whose picture has free height and width, with the output [N, classes, Y, X]. Its
        position p holds the scores of the window that begins at pixel p·stride, exactly if the
        network does not pad. The metadata `onnxplain.sliding` holds the window, the stride, the
        name of the output and the names of the nodes that pad.

    Raises:
        OptionError: `size` is out of range.
        UnsupportedModel: a part of the network has no sliding rule, or the window is unknown.
        MissingFile, CorruptModel, UnsafeModel: the model cannot be read.
    """
    network = as_network(model)
    with diagnosing(network.model):
        graph = network.canonical().graph
        if size is not None:
            resize_input(graph, size)
            infer_shapes(graph, sizes_changed=True)
        picture = default_target(graph)
        slide = Slide(Emitter(graph))
        with slide.op.collecting() as nodes:
            start = _place_picture(slide.op, picture)
            slide.placed[picture.name] = start
            for node in graph.nodes:
                _convert(slide, node, {t.name for t in graph.outputs})
        scores = _scores(graph, slide)
        graph.nodes = nodes
        _free_sizes(graph, picture, start)
        _name_sizes(graph, scores)
        graph.cleanup()
        converted = write(graph, network.model)
        _describe(converted, start, scores, slide.padded)
        return converted


def _place_picture(op: Emitter, picture: Tensor) -> Placed:
    """Return the picture's layout, after a Transpose if its channels are last."""
    shape = list(picture.shape or ())
    if len(shape) < 3:
        raise UnsupportedModel(
            f"the input '{picture.name}' is no picture: its rank is {len(shape)}"
        )
    last = has_channels_last(picture)
    sizes = [*shape[-1:], *shape[1:-1]] if last else shape[1:]
    if not is_static(sizes):
        raise UnsupportedModel(
            f"the input '{picture.name}' leaves its size free, but the window must be known: name "
            "the height and width that the network was trained on, as in --size 224x224"
        )
    channels, *window = sizes
    ones = (1,) * len(window)
    if not last:
        return Placed(picture, channels, tuple(window), ones)
    turned = op.raw("Transpose", picture, perm=[0, 3, 1, 2])
    plain = Placed(turned, channels, tuple(window), ones)
    return plain.ordered(np.moveaxis(plain.order, 0, -1))


def _convert(slide: Slide, node: Node, outputs: set[str]) -> None:
    """Append the node's sliding form, and record its output's layout under the old name."""
    read = [t.name for t in reads(node) if t.name in slide.placed]
    operator = operator_of(node)
    rule = operator.slide if operator is not None else Without("it belongs to another domain")
    if not read or isinstance(rule, SizesOnly):  # sizes become constants
        slide.op.append(node)
        return
    if isinstance(rule, Without):
        refuse(node, "has no sliding rule")
    if any(t.outputs or t.name in outputs for t in node.outputs[1:]):
        refuse(node, "has more than one output that is used")
    out = node.outputs[0]
    with slide.op.scoped(node.name):
        result = rule(slide, node)
    if out.name in outputs and not result.is_readable():
        refuse(
            node, "has an output that is neither a vector of scores nor [channels, height, width]"
        )
    if result.tensor is out:
        slide.op.append(node)
    elif out.name in outputs:  # the node is left out, but the output keeps its name
        node.op, node.attrs, node.inputs = "Identity", {}, [result.tensor]
        slide.op.append(node)
        result = result.at(out)
    else:
        node.inputs.clear()
    slide.placed[out.name] = result


def _scores(graph: Graph, slide: Slide) -> Placed:
    """Return the first output that slides."""
    scores = [slide.placed[t.name] for t in graph.outputs if t.name in slide.placed]
    if not scores:
        raise UnsupportedModel("no output of the model depends on the picture")
    return scores[0]


def _free_sizes(graph: Graph, picture: Tensor, start: Placed) -> None:
    """Free the picture's height and width, and infer all shapes again."""
    used = dimension_names(graph)
    shape = list(shape_of(picture))
    first = 1 if has_channels_last(picture) else 2
    names = ("height", "width") if len(start.window) == 2 else ("size_0", "size_1", "size_2")
    for axis, name in enumerate(names[: len(start.window)]):
        shape[first + axis] = name if name not in used else f"onnxplain_{name}"
    picture.shape = shape
    for node in graph.nodes:
        for tensor in node.outputs:
            tensor.shape = None
    infer_shapes(graph)


def _name_sizes(graph: Graph, scores: Placed) -> None:
    """Name the dynamic sizes of the score map."""
    used = dimension_names(graph)
    shape = list(scores.tensor.shape or ())
    names = ("rows", "columns") if len(shape) == 4 else ()
    for axis, name in enumerate(names, start=2):
        if not isinstance(shape[axis], int) and name not in used:
            shape[axis] = name
    scores.tensor.shape = shape or None


def _describe(model: onnx.ModelProto, start: Placed, scores: Placed, padded: list[str]) -> None:
    """Record the windows' layout in the metadata, and drop the size that pictures are fitted to."""
    facts: dict[str, Any] = {"window": start.window, "stride": scores.stride}
    facts |= {"output": scores.tensor.name, "padded": padded}
    properties = {p.key: p.value for p in model.metadata_props}
    properties["onnxplain.sliding"] = json.dumps(facts)
    try:
        preprocess = json.loads(properties.get(PREPROCESS, "null"))
    except ValueError:  # reading the preprocessing reports it
        preprocess = None
    if isinstance(preprocess, dict):
        preprocess.pop("resize", None)
        properties[PREPROCESS] = json.dumps(preprocess | {"size": None, "crop": "none"})
    onnx.helper.set_model_props(model, properties)
