"""The memory of a graph's run, estimated from the sizes of its tensors."""

from __future__ import annotations

import ctypes
import functools
import gc
import math
import sys
import threading
from collections.abc import Callable, Mapping

import onnx

from onnxplain.graphops.ir import inferred, with_shapes

__all__ = ["Footprint", "release_memory"]

# Beside the tensors, ONNX Runtime holds the convolutions' workspaces and the gaps of its arena:
# docs/memory.md has the measurements.
OVERHEAD = 2.0
MOST_SHAPES = 1000


def release_memory() -> None:
    """Return freed memory to the operating system, which glibc does not do unasked.

    Loading and rewriting a model frees its weights several times over; graphs hold reference
    cycles.
    """
    gc.collect()
    trim = _trim()
    if trim is not None:
        trim(0)


class Footprint:
    """The memory of a graph's run per item of its batch axis, by picture shape. Thread-safe."""

    def __init__(self, model: onnx.ModelProto, picture: str) -> None:
        self._light = with_shapes(model)
        self._picture = picture
        self._known: dict[tuple[int, ...], int] = {}
        self._lock = threading.Lock()

    def max_batch(
        self, shape: tuple[int, ...], memory_bytes: int, wanted: int | None = None
    ) -> int:
        """Return the largest batch that fits into memory, at least one.

        wanted: the items that there are; a single one is run whatever it takes.
        """
        return 1 if wanted == 1 else max(1, memory_bytes // self.item_bytes(shape))

    def item_bytes(self, shape: tuple[int, ...]) -> int:
        """Return the peak memory of a run on one picture [C, H, W], in bytes.

        Weights are not counted. A tensor of unknown size is taken to be as large as its node's
        inputs.
        """
        with self._lock:
            if shape not in self._known:
                if len(self._known) >= MOST_SHAPES:  # clients choose the sizes of pictures
                    self._known.clear()
                self._known[shape] = self._item_bytes(shape)
            return self._known[shape]

    def _item_bytes(self, shape: tuple[int, ...]) -> int:
        graph = self._sized(shape).graph
        sizes = _Sizes(self._light.graph, graph)
        fixed = {t.name for t in graph.initializer} | {v.name for v in graph.input}
        last = {name: i for i, node in enumerate(graph.node) for name in node.input}
        last |= dict.fromkeys((v.name for v in graph.output), len(graph.node))
        live = {self._picture: sizes.bytes(self._picture)}
        peak = now = live[self._picture]
        for i, node in enumerate(graph.node):
            inputs = [name for name in node.input if name]
            for name in node.output:
                if name and name in last:
                    live[name] = sizes.bytes(name)
                    now += live[name]
            peak = max(peak, now)
            for name in {*inputs, *node.output}:
                if name not in fixed and last.get(name, -1) <= i:
                    now -= live.pop(name, 0)
        return max(1, int(OVERHEAD * peak))

    def _sized(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """Return the graph for a batch of one, with the sizes that follow from the picture's."""
        model = onnx.ModelProto()
        model.CopyFrom(self._light)
        for value in model.graph.input:
            dims = value.type.tensor_type.shape.dim
            for i, dim in enumerate(dims):
                if dim.dim_value > 0:
                    continue
                if value.name == self._picture and 0 < i <= len(shape):
                    dim.dim_value = shape[i - 1]
                elif i == 0:
                    dim.dim_value = 1
        try:
            return inferred(model)
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
            return model  # ONNX Runtime reports shapes that do not fit


class _Sizes:
    """The sizes of a graph's tensors.

    Where shape inference gives up, as it does behind a signal's own arithmetic, a named dimension
    is as long as another of that name: a signal has its forward tensor's dimensions. A size that
    remains unknown is that of the node's inputs, or of its consumer.
    """

    def __init__(self, named: onnx.GraphProto, sized: onnx.GraphProto) -> None:
        self._values = _values(sized)
        self._lengths: dict[str, int] = {}
        for name, value in _values(named).items():
            inferred = self._values.get(name)
            pairs = zip(value.shape.dim, inferred.shape.dim if inferred else (), strict=False)
            for before, after in pairs:
                if before.dim_param and after.dim_value > 0:
                    self._lengths.setdefault(before.dim_param, after.dim_value)
        self._elements = {name: n for name in self._values if (n := self._count(name)) is not None}
        self._elements |= dict.fromkeys((t.name for t in sized.initializer), 0)
        self._look_ahead(sized)
        for node in sized.node:
            counts = [self._elements.get(name, 0) for name in node.input if name]
            guess = sum(counts) if node.op_type == "Concat" else max(counts, default=0)
            for name in node.output:
                self._elements.setdefault(name, guess)

    def bytes(self, name: str) -> int:
        """Return the bytes of a tensor."""
        value = self._values.get(name)
        known = value is not None and value.elem_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.elem_type) if value and known else None
        return self._elements.get(name, 0) * (dtype.itemsize if dtype else 4)

    def _look_ahead(self, graph: onnx.GraphProto) -> None:
        """Copy the size of a Reshape's or ScatterElements' output to its input, where unknown."""
        for node in reversed(graph.node):
            if node.op_type in ("Reshape", "ScatterElements") and node.output[0] in self._elements:
                self._elements.setdefault(node.input[0], self._elements[node.output[0]])

    def _count(self, name: str) -> int | None:
        """Return the number of elements that follows from the shape, None if unknown."""
        value = self._values[name]
        if not value.HasField("shape"):
            return None
        lengths = [d.dim_value or self._lengths.get(d.dim_param, 0) for d in value.shape.dim]
        return math.prod(lengths) or None


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def _values(graph: onnx.GraphProto) -> Mapping[str, onnx.TypeProto.Tensor]:
    return {v.name: v.type.tensor_type for v in [*graph.input, *graph.value_info, *graph.output]}
