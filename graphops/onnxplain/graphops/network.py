"""A model, prepared once for everything that is asked of it."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from typing import TypeAlias

import onnx

from onnxplain.graphops.analysis import Layer, list_layers, resize_input
from onnxplain.graphops.canonicalize import CanonicalGraph, canonicalize
from onnxplain.graphops.ir import blaming, infer_shapes, load

__all__ = ["Network", "NetworkSource", "as_network", "layers"]


class Network:
    """A model that is read, checked and brought to canonical form once, at its first use.

    source: a path, the bytes of a file, or a ModelProto, which is taken as it is and must not be
    changed while the network is in use. `rewrite`, `check`, `layers`, `forward` and
    `convolutionalize` take a Network wherever they take a model. Thread-safe.

    Raises MissingFile, CorruptModel, UnsafeModel or UnsupportedModel, as `load` does.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes | onnx.ModelProto) -> None:
        self.model = source if isinstance(source, onnx.ModelProto) else load(source)
        self._canonical: dict[bool, CanonicalGraph] = {}
        self._lock = threading.RLock()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the model as ONNX serialises it, in hexadecimal."""
        return self._serialized[0]

    @property
    def size_bytes(self) -> int:
        """How many bytes the model takes as ONNX serialises it."""
        return self._serialized[1]

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer of the network, in order, its float inputs first."""
        with blaming(self.model):
            return tuple(list_layers(self._original(keep_shape=False).graph))

    def canonical(self, keep_shape: bool = False) -> CanonicalGraph:
        """Return the network in canonical form, a copy that may be edited.

        keep_shape: leave a fixed batch fixed. Raises CorruptModel or UnsupportedModel.
        """
        return self._original(keep_shape).copy()

    @functools.cached_property
    def _serialized(self) -> tuple[str, int]:
        data = self.model.SerializeToString(deterministic=True)
        return hashlib.sha256(data).hexdigest(), len(data)

    def _original(self, keep_shape: bool) -> CanonicalGraph:
        with self._lock:
            if keep_shape not in self._canonical:
                self._canonical[keep_shape] = canonicalize(self.model, keep_shape)
            return self._canonical[keep_shape]


NetworkSource: TypeAlias = "str | os.PathLike[str] | bytes | onnx.ModelProto | Network"


def as_network(source: NetworkSource) -> Network:
    """Return `source` as a Network, itself where it is one. Raises what `Network` does."""
    return source if isinstance(source, Network) else Network(source)


def layers(model: NetworkSource, size: tuple[int, ...] | None = None) -> list[Layer]:
    """List every layer of a network, in order, its float inputs first.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network.
        size: the picture's height and width in pixels, where the model leaves them free; then every
            size that follows from them is known.

    Returns:
        One Layer for each float tensor that depends on the inputs.

    Raises:
        OptionError: `size` has a number below 1, or too many pixels.
        UnsupportedModel: the model fixes another size, or cannot be brought to canonical form.
        MissingFile, CorruptModel, UnsafeModel: the model cannot be read.
    """
    network = as_network(model)
    if size is None:
        return list(network.layers)
    with blaming(network.model):
        graph = network.canonical().graph
        resize_input(graph, size)
        infer_shapes(graph, sizes_changed=True)
        return list_layers(graph)
