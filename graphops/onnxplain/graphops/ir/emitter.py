"""Appending nodes to a graph so that the code reads like the formula: `op.Mul(g, op.Relu(x))`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxplain.graphops.ir.graph import Graph, Tensor, is_constant, numpy_type, onnx_type

__all__ = ["HALF", "Emitter"]

BOOLEAN = {"Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Not", "And", "Or"}
INTEGER = {"Shape", "ArgMax", "NonZero", "Size"}
HALF = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
TYPED_BY = {"Where": 1, "OneHot": 2}  # which input gives the output its type, if not the first


class Emitter:
    """Appends operators to a graph: `op.Relu(x)` adds a node and returns its output.

    Python numbers become constants of the type of the tensors beside them, lists become int64
    constants, `None` an omitted input. Tensors of the forward pass are read through `residual`,
    which, where several results are asked of one image, picks each result's row.
    """

    def __init__(self, graph: Graph, batched: Iterable[str] = ()) -> None:
        self.graph = graph
        self.nodes = graph.nodes  # where new nodes are appended
        self.scope = ""
        self.rows: Tensor | None = None  # int64[B]: which image each result is of
        self.batched = set(batched)  # forward tensors with one row an image
        self.widen = False  # whether half precision is read as float32
        self._names = set(graph.tensors()) | {n.name for n in graph.nodes}
        for body in graph.subgraphs(recursive=True):  # a name may not hide one outside
            self._names |= set(body.tensors()) | {n.name for n in body.nodes}
        self._own: set[str] = set()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Tensor] = {}
        self._picked: dict[str, Tensor] = {}
        self._widened: dict[str, Tensor] = {}

    def __getattr__(self, op_type: str) -> Callable[..., Tensor]:
        if not op_type[:1].isupper():
            raise AttributeError(op_type)
        return lambda *inputs, **attrs: self._emit(op_type, inputs, attrs, 1)[0]

    def many(self, op_type: str, *inputs: Any, outputs: int, **attrs: Any) -> list[Tensor]:
        """Append an operator with several outputs and return them."""
        return self._emit(op_type, inputs, attrs, outputs)

    def reduced(self, op_type: str, tensor: Tensor, axes: list[int], keepdims: int = 1) -> Tensor:
        """Append a reduction; until opset 17 its axes are an attribute, from 18 on an input."""
        if self.graph.opset < 18:
            return self._emit(op_type, (tensor,), {"axes": axes, "keepdims": keepdims}, 1)[0]
        return self._emit(op_type, (tensor, axes), {"keepdims": keepdims}, 1)[0]

    def mean(self, tensor: Tensor, axes: list[int]) -> Tensor:
        """Append the mean over the axes, which stay with size 1."""
        return self.reduced("ReduceMean", tensor, axes)

    def zeros_like(self, tensor: Tensor, dtype: Any = None) -> Tensor:
        """Append zeros of the shape, and the type, that the backward part sees `tensor` with."""
        return self.Expand(self.constant(0, dtype or self._dtype(tensor)), self.shape(tensor))

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Read forward tensors of half precision as float32 meanwhile."""
        before, self.widen = self.widen, True
        try:
            yield
        finally:
            self.widen = before

    def wide(self, tensor: Tensor) -> Tensor:
        """Return a tensor of half precision as float32, where that is what it is read as."""
        if not self.widen or onnx_type(tensor) not in HALF:
            return tensor
        if tensor.name not in self._widened:
            cast = self.raw("Cast", tensor, to=onnx.TensorProto.FLOAT)
            cast.shape = tensor.shape
            self._widened[tensor.name] = cast
        return self._widened[tensor.name]

    def signal_type(self, tensor: Tensor) -> int:
        """Return the ONNX number of the type that a signal at `tensor` has."""
        widened = self.widen and onnx_type(tensor) in HALF
        return int(onnx.TensorProto.FLOAT) if widened else onnx_type(tensor)

    @property
    def opset(self) -> int:
        """The version of the standard operators in the graph."""
        return int(self.graph.opset)

    def raw(self, op_type: str, *inputs: Any, **attrs: Any) -> Tensor:
        """Append an operator that reads the forward pass as it is, not through `residual`."""
        return self._emit(op_type, inputs, attrs, 1, raw=True)[0]

    def residual(self, tensor: Tensor) -> Tensor:
        """Return the forward tensor as the backward part sees it: one row for each result."""
        if self.rows is None or tensor.name not in self.batched:
            return tensor
        if tensor.name not in self._picked:
            with_rows = self.raw("Gather", tensor, self.rows, axis=0)
            if tensor.shape is not None:
                with_rows.shape = self.signal_shape(tensor)
            self._picked[tensor.name] = with_rows
        return self._picked[tensor.name]

    def shape(self, tensor: Tensor, start: int = 0) -> Tensor:
        """Return the shape of `residual(tensor)` from axis `start` on, without making it."""
        at = {"start": start} if start else {}
        if start or self.rows is None or tensor.name not in self.batched:
            return self.raw("Shape", tensor, **at)
        return self.Concat(self.Shape(self.rows), self.shape(tensor, 1), axis=0)

    def size(self, tensor: Tensor) -> Tensor:
        """Return the number of elements of a forward tensor as it is, all images together."""
        return self.raw("Size", tensor)

    def signal_shape(self, tensor: Tensor) -> list[int | str | None] | None:
        """Return the static shape of a signal at `tensor`: its own, with the results' batch."""
        if tensor.shape is None:
            return None
        shape = list(tensor.shape)
        if self.rows is not None and tensor.name in self.batched and shape:
            shape[0] = self.rows.shape[0]
        return shape

    def reshape_like(self, g: Tensor, tensor: Tensor) -> Tensor:
        """Reshape a signal to the shape of `residual(tensor)`."""
        shape = self.signal_shape(tensor)
        if shape is not None:
            unknown = [i for i, d in enumerate(shape) if not isinstance(d, int)]
            if len(unknown) <= 1 and 0 not in shape:
                return self.Reshape(g, [d if isinstance(d, int) else -1 for d in shape])
        return self.Reshape(g, self.shape(tensor))

    def constant(self, values: Any, dtype: Any) -> Tensor:
        """Return a constant of the graph; equal constants are one."""
        array = np.asarray(values, numpy_type(dtype))
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            tensor = gs.Constant(self.name("constant"), array)
            self._own.add(tensor.name)
            self._constants[key] = tensor
        return self._constants[key]

    def name(self, base: str) -> str:
        """Return a tensor or node name, unused so far, that starts with `onnxplain/`."""
        stem = "/".join(filter(None, ["onnxplain", self.scope, base]))
        name, count = stem, 1
        while name in self._names:
            count += 1
            name = f"{stem}_{count}"
        self._names.add(name)
        return name

    def claim(self, *wanted: str) -> str:
        """Return the first of the wanted names that nothing has, and take it."""
        name = next((w for w in wanted if w not in self._names), None) or self.name(wanted[-1])
        self._names.add(name)
        return name

    def is_own(self, tensor: Tensor) -> bool:
        """Tell whether the tensor was emitted here, rather than being of the forward pass."""
        return tensor.name in self._own

    def own(self, tensor: Tensor) -> Tensor:
        """Take `tensor` as emitted: it is read as it is, not through `residual`."""
        self._own.add(tensor.name)
        return tensor

    def _emit(
        self,
        op_type: str,
        values: Sequence[Any],
        attrs: dict[str, Any],
        count: int,
        raw: bool = False,
    ) -> list[Tensor]:
        typed = TYPED_BY.get(op_type, 0)
        tensors = [v for v in [*values[typed:], *values] if isinstance(v, gs.Tensor)]
        like = self._dtype(tensors[0], raw) if tensors else np.float32
        inputs = [self._input(v, like, raw) for v in values]
        if op_type == "Cast":
            like = onnx.helper.tensor_dtype_to_np_dtype(attrs["to"]) if attrs["to"] != 16 else 16
        elif op_type == "ConstantOfShape":
            like = attrs["value"].values.dtype
        name = self.name(op_type)
        dtype = np.bool_ if op_type in BOOLEAN else np.int64 if op_type in INTEGER else like
        outputs = [gs.Variable(name, dtype=dtype)]
        outputs += [gs.Variable(f"{name}:{i}", dtype=dtype) for i in range(1, count)]
        self._own.update(t.name for t in outputs)
        self.nodes.append(gs.Node(op_type, name=name, attrs=attrs, inputs=inputs, outputs=outputs))
        return outputs

    def _input(self, value: Any, like: Any, raw: bool) -> Tensor:
        if value is None:
            return gs.Variable.empty()
        if isinstance(value, gs.Tensor):
            if raw or value.name in self._own:
                return value
            return self.wide(value if is_constant(value) else self.residual(value))
        if isinstance(value, np.ndarray):
            return self.constant(value, value.dtype)
        if isinstance(value, list | tuple):
            return self.constant(value, np.int64)
        return self.constant(value, like)

    def _dtype(self, tensor: Tensor, raw: bool = False) -> Any:
        """Return the type that `tensor` is read with."""
        as_it_is = raw or not self.widen or tensor.name in self._own
        return tensor.dtype if as_it_is or onnx_type(tensor) not in HALF else np.dtype(np.float32)
