"""From a classifier of one window to a network that classifies every window of a larger picture.

A dense layer is a convolution whose kernel is as large as the window (Sermanet et al. 2014, Long et
al. 2015): nothing else has to change, and neighbouring windows share all that they have in common.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx

from onnxplain.graphops.analysis import default_target, resize_input
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import (
    Emitter,
    Graph,
    Node,
    Tensor,
    blaming,
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
    """Return the classifier as a fully convolutional network: a map of scores for larger pictures.

    size: the height and width of the window, where the model leaves its picture's free.

    Gemm and MatMul become convolutions, a global pooling one over the window; the picture's height
    and width become free. Output [N, classes, Y, X]: at p the scores of the window that begins at
    p·stride, exactly so where the network does not pad. The metadata `onnxplain.sliding` says the
    window, the stride, the output, and which nodes pad.

    Raises UnsupportedModel where a part of the network cannot slide. `model` is not changed.
    """
    network = as_network(model)
    with blaming(network.model):
        graph = network.canonical().graph
        if size is not None:
            resize_input(graph, size)
            infer_shapes(graph, sizes_changed=True)
        picture = default_target(graph)
        slide = Slide(Emitter(graph))
        with slide.op.collecting() as nodes:
            start = _placed_picture(slide.op, picture)
            slide.placed[picture.name] = start
            for node in graph.nodes:
                _convert(slide, node, {t.name for t in graph.outputs})
        scores = _scores(graph, slide)
        graph.nodes = nodes
        _free_sizes(graph, picture, start)
        _name_sizes(graph, scores)
        graph.cleanup()
        made = write(graph, network.model)
        _describe(made, start, scores, slide.padded)
        return made


def _placed_picture(op: Emitter, picture: Tensor) -> Placed:
    """Return how the picture lies; one with its channels last is turned first."""
    shape = list(picture.shape or ())
    if len(shape) < 3:
        raise UnsupportedModel(
            f"the input '{picture.name}' is no picture: it has {len(shape)} dimensions"
        )
    last = _has_channels_last(shape)
    sizes = [*shape[-1:], *shape[1:-1]] if last else shape[1:]
    if not is_static(sizes):
        raise UnsupportedModel(
            f"the input '{picture.name}' leaves its size free, and the window must be known: name "
            "the height and width that the network was trained on, as in --size 224x224"
        )
    channels, *window = sizes
    ones = (1,) * len(window)
    if not last:
        return Placed(picture, channels, tuple(window), ones)
    turned = op.raw("Transpose", picture, perm=[0, 3, 1, 2])
    plain = Placed(turned, channels, tuple(window), ones)
    return plain.ordered(np.moveaxis(plain.order, 0, -1))


def _has_channels_last(shape: list[int | str | None]) -> bool:
    return len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3)


def _convert(slide: Slide, node: Node, outputs: set[str]) -> None:
    """Write the node as it slides; what it makes is placed, and known by the old name."""
    read = [t.name for t in reads(node) if t.name in slide.placed]
    operator = operator_of(node)
    rule = operator.slide if operator is not None else Without("it is not ONNX's own")
    if not read or isinstance(rule, SizesOnly):  # what is made of sizes is read as constants
        slide.op.append(node)
        return
    if isinstance(rule, Without):
        refuse(node, "has no sliding rule")
    if any(t.outputs or t.name in outputs for t in node.outputs[1:]):
        refuse(node, "has more than one output that is used")
    out = node.outputs[0]
    with slide.op.scoped(node.name):
        made = rule(slide, node)
    if out.name in outputs and not made.is_readable():
        refuse(
            node, "gives an output that is neither a vector of scores nor channels, rows, columns"
        )
    if made.tensor is out:
        slide.op.append(node)
    elif out.name in outputs:  # it only moved values, but its name has to stay
        node.op, node.attrs, node.inputs = "Identity", {}, [made.tensor]
        slide.op.append(node)
        made = made.at(out)
    else:
        node.inputs.clear()
    slide.placed[out.name] = made


def _scores(graph: Graph, slide: Slide) -> Placed:
    """Return the first output that slides."""
    found = [slide.placed[t.name] for t in graph.outputs if t.name in slide.placed]
    if not found:
        raise UnsupportedModel("no output of the model is made of the picture")
    return found[0]


def _free_sizes(graph: Graph, picture: Tensor, start: Placed) -> None:
    """Let the picture have any size, and infer the shapes of all that follows."""
    taken = {d for t in graph.tensors().values() for d in t.shape or ()}
    shape = list(shape_of(picture))
    first = 1 if _has_channels_last(shape) else 2
    names = ("height", "width") if len(start.window) == 2 else ("size_0", "size_1", "size_2")
    for axis, name in enumerate(names[: len(start.window)]):
        shape[first + axis] = name if name not in taken else f"onnxplain_{name}"
    picture.shape = shape
    for node in graph.nodes:
        for tensor in node.outputs:
            tensor.shape = None
    infer_shapes(graph)


def _name_sizes(graph: Graph, scores: Placed) -> None:
    """Call the sizes of the scores' map what they are, where inference gave them numbers."""
    taken = {d for t in graph.tensors().values() for d in t.shape or ()}
    shape = list(scores.tensor.shape or ())
    names = ("rows", "columns") if len(shape) == 4 else ()
    for axis, name in enumerate(names, start=2):
        if not isinstance(shape[axis], int) and name not in taken:
            shape[axis] = name
    scores.tensor.shape = shape or None


def _describe(made: onnx.ModelProto, start: Placed, scores: Placed, padded: list[str]) -> None:
    """Write down how the windows lie. What pictures are fitted to is no longer the window."""
    facts: dict[str, Any] = {"window": start.window, "stride": scores.stride}
    facts |= {"output": scores.tensor.name, "padded": padded}
    properties = {p.key: p.value for p in made.metadata_props}
    properties["onnxplain.sliding"] = json.dumps(facts)
    try:
        preprocess = json.loads(properties.get(PREPROCESS, "null"))
    except ValueError:  # whoever reads it will say so
        preprocess = None
    if isinstance(preprocess, dict):
        properties[PREPROCESS] = json.dumps(preprocess | {"size": None, "crop": "none"})
    onnx.helper.set_model_props(made, properties)
