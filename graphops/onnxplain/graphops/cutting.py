"""Parts of a network: cut at a layer, or begun at one of its tensors."""

from __future__ import annotations

import onnx

from onnxplain.graphops.backward import Interface
from onnxplain.graphops.ir import Emitter, diagnosing, read_metadata, write
from onnxplain.graphops.network import NetworkSource, as_network

__all__ = ["begin_at", "forward", "without_explanation"]


def forward(
    model: NetworkSource, layer: str | None = None, *, keep_shape: bool = False
) -> onnx.ModelProto:
    """Cut a network at a layer, to see the layer's values.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network; it is not changed.
        layer: the name of a tensor, a node or a module; None for the class score.
        keep_shape: leave a fixed batch as it is.

    Returns:
        A model with one output, `activation`, of the layer's shape. Its inputs are those of the
        network that the layer depends on.

    Raises:
        UnknownLayer, UnsupportedModel: no such layer, or the network has no class score.
        MissingFile, CorruptModel, UnsafeModel: the model cannot be read.
    """
    network = as_network(model)
    with diagnosing(network.model):
        canonical = network.canonical(keep_shape)
        graph, tensor = canonical.graph, canonical.tensor(layer)
        op = Emitter(graph)
        interface = Interface(1, 1)
        activation = interface.output(op, "activation", op.Identity(tensor), tensor.shape)
        graph.outputs = [activation]
        graph.cleanup()
        graph.drop_unread_inputs()
        return write(graph, network.model)


def begin_at(model: NetworkSource, tensor: str) -> onnx.ModelProto:
    """Let a network begin at one of its tensors as well as at its own inputs.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network; it is not changed.
        tensor: the name of a tensor, a node or a module.

    Returns:
        A model with the tensor as one more input, without the nodes that only it needed. The
        network's own inputs stay: other parts of it may depend on them.

    Raises:
        UnknownLayer: no such tensor.
        MissingFile, CorruptModel, UnsafeModel, UnsupportedModel: the model cannot be read.
    """
    network = as_network(model)
    with diagnosing(network.model):
        canonical = network.canonical()
        graph, start = canonical.graph, canonical.tensor(tensor)
        if start.inputs:
            start.inputs.clear()
            graph.inputs.append(start)
        graph.cleanup()
        return write(graph, network.model)


def without_explanation(artefact: NetworkSource) -> onnx.ModelProto:
    """Leave out of an artefact what a rewrite added.

    Args:
        artefact: a path, the bytes of a file, a ModelProto or a Network; it is not changed.

    Returns:
        The network with its own outputs, or, where the artefact has none of them, with the
        explained layer as its output.

    Raises:
        UnsupportedModel: the artefact does not say which layer it explains.
        MissingFile, CorruptModel, UnsafeModel: the model cannot be read.
    """
    network = as_network(artefact)
    with diagnosing(network.model):
        canonical = network.canonical(keep_shape=True)
        graph = canonical.graph
        own = [tensor for tensor in graph.outputs if tensor.name not in graph.added]
        layer = read_metadata(network.model).get("onnxplain.layer")
        graph.outputs = own or [canonical.tensor(layer)]
        graph.cleanup()
        graph.drop_unread_inputs()
        outputs = {tensor.name for tensor in graph.outputs}
        for node in graph.nodes:
            unread = [t for t in node.outputs[1:] if not t.outputs and t.name not in outputs]
            if node.op == "MaxPool" and unread:  # the indices, which only the explanation needed
                node.outputs = node.outputs[:1]
        return write(graph, network.model)
