"""A model that is read and canonicalised once, for any number of calls."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from typing import TypeAlias

import onnx

from onnxplain.graphops.analysis import ClassScore, Layer, list_layers, needed_inputs, resize_input
from onnxplain.graphops.canonicalize import CanonicalGraph, canonicalize
from onnxplain.graphops.ir import diagnosing, fits, infer_shapes, load, raw, size_of, split

__all__ = ["Network", "NetworkSource", "as_network", "layers"]


class Network:
    """A model that is read and checked when created, and canonicalised once, at its first use.

    source: a path, the bytes of a file, or a ModelProto, which is not copied and must not change
    while the network is in use. `rewrite`, `check`, `layers`, `forward`, `begin_at` and
    `convolutionalize` accept a Network as their model. Thread-safe.

    Raises MissingFile, CorruptModel, UnsafeModel or UnsupportedModel, as `load` does.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes | onnx.ModelProto) -> None:
        self.model = source if isinstance(source, onnx.ModelProto) else load(source)
        self._canonical: dict[bool, CanonicalGraph] = {}
        self._lock = threading.RLock()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the model as ONNX serialises it, in hexadecimal.

        Above 2 GiB: of the model without its large tensors, followed by their values.
        """
        return self._serialized[0]

    @property
    def size_bytes(self) -> int:
        """The size of the model in bytes as ONNX serialises it."""
        return self._serialized[1]

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer of the network, in order, its float inputs first."""
        with diagnosing(self.model):
            original = self._original(keep_shape=False)
            return tuple(list_layers(original.graph, (original.score, original.axes)))

    @functools.cached_property
    def class_score(self) -> ClassScore | None:
        """What is explained where no layer is named; None where there is no default."""
        with diagnosing(self.model):
            score = self._original(keep_shape=False).score
            return score if isinstance(score, ClassScore) else None

    @property
    def unbatched(self) -> frozenset[str]:
        """The names of the tensors without a batch axis, in a network of one image without one."""
        with diagnosing(self.model):
            return self._original(keep_shape=False).unbatched

    @property
    def batched(self) -> frozenset[str]:
        """The names of the tensors whose axis 0 runs over images that do not influence another.

        None in a network that fixes its batch size, or where images influence each other anywhere.
        """
        with diagnosing(self.model):
            original = self._original(keep_shape=False)
            is_free = original.batch == "free" and not original.batch_note
            return original.batched if is_free else frozenset()

    def inputs_of(self, layer: str | None) -> tuple[str, ...]:
        """Return the names of the inputs that a layer depends on.

        Args:
            layer: the name of a tensor, a node or a module; None for the class score.

        Returns:
            The names, in the order of the network's inputs.

        Raises:
            UnknownLayer, UnsupportedModel: no such layer, or the network has no class score.
        """
        with diagnosing(self.model):
            canonical = self._original(keep_shape=False)
            return tuple(t.name for t in needed_inputs(canonical.graph, canonical.tensor(layer)))

    def canonical(self, keep_shape: bool = False) -> CanonicalGraph:
        """Return an editable copy of the network in canonical form.

        Args:
            keep_shape: keep a fixed batch size; by default it is freed where that is exact.

        Returns:
            The canonical graph, which shares the model's weights.

        Raises:
            CorruptModel, UnsupportedModel: the model cannot be brought to canonical form.
        """
        return self._original(keep_shape).copy()

    @functools.cached_property
    def _serialized(self) -> tuple[str, int]:
        if fits(self.model):
            data = self.model.SerializeToString(deterministic=True)
            return hashlib.sha256(data).hexdigest(), len(data)
        light, large = split(self.model)
        digest = hashlib.sha256(light.SerializeToString(deterministic=True))
        for tensor in large:
            digest.update(raw(tensor))
        return digest.hexdigest(), size_of(self.model)

    def _original(self, keep_shape: bool) -> CanonicalGraph:
        with self._lock:
            if keep_shape not in self._canonical:
                self._canonical[keep_shape] = canonicalize(self.model, keep_shape)
            return self._canonical[keep_shape]


NetworkSource: TypeAlias = "str | os.PathLike[str] | bytes | onnx.ModelProto | Network"


def as_network(source: NetworkSource) -> Network:
    """Return `source` as a Network. Raises what `Network` does."""
    return source if isinstance(source, Network) else Network(source)


def layers(model: NetworkSource, size: tuple[int, ...] | None = None) -> list[Layer]:
    """List every layer of a network, in order, its float inputs first.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network.
        size: the picture's height and width in pixels, where the model leaves them free; then every
            size that depends on them is known.

    Returns:
        One Layer for each float tensor that depends on the inputs.

    Raises:
        OptionError: a size is below 1, or the picture has too many pixels.
        UnsupportedModel: the model fixes another size, or cannot be brought to canonical form.
        MissingFile, CorruptModel, UnsafeModel: the model cannot be read.
    """
    network = as_network(model)
    if size is None:
        return list(network.layers)
    with diagnosing(network.model):
        graph = network.canonical().graph
        resize_input(graph, size)
        infer_shapes(graph, sizes_changed=True)
        return list_layers(graph)
