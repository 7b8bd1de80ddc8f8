"""How much memory one run of a graph takes, told from the sizes of its tensors."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping

import onnx

from onnxplain.graphops.shapes import with_shapes

__all__ = ["Footprint"]

# Beside the tensors, ONNX Runtime holds what a convolution lays out anew for its kernels, and
# what its arena cannot fill: see docs/memory.md for what was measured.
OVERHEAD = 1.5


class Footprint:
    """The memory of one row of a graph's run, for each shape of its picture. Thread-safe."""

    def __init__(self, model: onnx.ModelProto, picture: str) -> None:
        self._light = with_shapes(model)
        self._picture = picture
        self._known: dict[tuple[int, ...], int] = {}
        self._lock = threading.Lock()

    def rows(self, shape: tuple[int, ...], memory_bytes: int) -> int:
        """Return how many rows fit into the memory, at least one."""
        return max(1, memory_bytes // self.row_bytes(shape))

    def row_bytes(self, shape: tuple[int, ...]) -> int:
        """Return the bytes that a run takes for one picture of that shape [C, H, W] at its peak.

        Weights are not counted. Tensors whose sizes cannot be told are taken to be as large as the
        largest that they are made of.
        """
        with self._lock:
            if shape not in self._known:
                self._known[shape] = self._row_bytes(shape)
            return self._known[shape]

    def _row_bytes(self, shape: tuple[int, ...]) -> int:
        graph = self._sized(shape).graph
        sizes = _Sizes(self._light.graph, graph)
        fixed = {t.name for t in graph.initializer} | {v.name for v in graph.input}
        last = {name: i for i, node in enumerate(graph.node) for name in node.input}
        last |= dict.fromkeys((v.name for v in graph.output), len(graph.node))
        live = {self._picture: sizes.bytes(self._picture, ())}
        peak = now = live[self._picture]
        for i, node in enumerate(graph.node):
            inputs = [name for name in node.input if name]
            for name in node.output:
                if name and name in last:
                    live[name] = sizes.bytes(name, inputs)
                    now += live[name]
            peak = max(peak, now)
            for name in {*inputs, *node.output}:
                if name not in fixed and last.get(name, -1) <= i:
                    now -= live.pop(name, 0)
        return max(1, int(OVERHEAD * peak))

    def _sized(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """Return the graph with one row, and all sizes that follow from the picture's."""
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
            return onnx.shape_inference.infer_shapes(model, data_prop=True)
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
            return model  # ONNX Runtime will say what does not fit


class _Sizes:
    """The bytes of a graph's tensors.

    Where inference gives up, as it does behind a signal's own arithmetic, a dimension that has a
    name is as long as one of that name elsewhere: a signal has its forward tensor's dimensions.
    """

    def __init__(self, named: onnx.GraphProto, sized: onnx.GraphProto) -> None:
        self._values = _values(sized)
        self._bytes: dict[str, int | None] = {}
        self._lengths: dict[str, int] = {}
        for name, value in _values(named).items():
            found = self._values.get(name)
            if found is None:
                continue
            pairs = zip(value.shape.dim, found.shape.dim, strict=False)
            for before, after in pairs:
                if before.dim_param and after.dim_value > 0:
                    self._lengths.setdefault(before.dim_param, after.dim_value)
        for tensor in sized.initializer:
            self._bytes[tensor.name] = 0

    def bytes(self, name: str, inputs: tuple[str, ...] | list[str]) -> int:
        """Return a tensor's bytes; if they cannot be told, the most that an input of it has."""
        if name not in self._bytes:
            self._bytes[name] = self._told(name)
        known = self._bytes[name]
        if known is None:
            known = max((self._bytes.get(i) or 0 for i in inputs), default=0)
            self._bytes[name] = known
        return known

    def _told(self, name: str) -> int | None:
        value = self._values.get(name)
        if value is None or not value.HasField("shape"):
            return None
        lengths = [self._length(dim, i) for i, dim in enumerate(value.shape.dim)]
        if any(length is None for length in lengths):
            return None
        size = onnx.helper.tensor_dtype_to_np_dtype(value.elem_type).itemsize
        return math.prod(length for length in lengths if length is not None) * int(size)

    def _length(self, dim: onnx.TensorShapeProto.Dimension, axis: int) -> int | None:
        if dim.dim_value > 0:
            return int(dim.dim_value)
        found = self._lengths.get(dim.dim_param)
        return 1 if found is None and axis == 0 else found


def _values(graph: onnx.GraphProto) -> Mapping[str, onnx.TypeProto.Tensor]:
    return {v.name: v.type.tensor_type for v in [*graph.input, *graph.value_info, *graph.output]}
