"""Appending nodes to a graph so that the code reads like the formula: `op.Mul(g, op.Relu(x))`.

*Inputs.* A Python number becomes a constant of the first input tensor's type, a list of numbers an
int64 constant, an array a constant of its own type, `None` an omitted input. A tensor of the
forward pass is read through `residual`, an emitted tensor directly.

*Names.* A node and its output are called `onnxplain/<scope>/<operator>`, where the scope is usually
a node of the forward pass; a number is appended if the graph or a body in it has the name.

*Residuals.* Where one run has several results per image (select `pairs`, several fixed channels),
the batch of the backward part differs from that of the forward part. `residual(t)` is the forward
tensor with one entry along the batch axis per result; everywhere else it is `t`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxplain.graphops.ir.graph import (
    Body,
    DType,
    Node,
    Shape,
    Tensor,
    is_half,
    numpy_type,
    onnx_type,
)

__all__ = ["Emitter"]

FLOAT = int(onnx.TensorProto.FLOAT)
BOOLEAN = {"Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Not", "And", "Or"}
INTEGER = {"Shape", "ArgMax", "NonZero", "Size"}
TYPED_BY = {"Where": 1, "OneHot": 2}  # the input that has the output's type, if not the first


class Emitter:
    """Appends operators to a graph: `op.Relu(x)` adds a node and returns its output.

    graph: the graph, whose existing nodes are the forward pass.
    batched: the names of the forward tensors whose axis 0 runs over the images.

    Four modes hold within a `with` block: `scoped` (names), `picking` (the image of each result),
    `in_float32` (half precision) and `collecting` (the list that nodes are appended to).
    """

    def __init__(self, graph: Body, batched: Iterable[str] = ()) -> None:
        self.graph = graph
        self._batched = set(batched)
        self._nodes: list[Node] | None = None  # None: the graph's
        self._scope = ""
        self._image: Tensor | None = None
        self._float32 = False
        self._names = set(graph.tensors()) | {n.name for n in graph.nodes}
        for body in graph.subgraphs(recursive=True):  # an inner name must not hide an outer one
            self._names |= set(body.tensors()) | {n.name for n in body.nodes}
        self._own: set[str] = set()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Tensor] = {}
        self._picked: dict[str, Tensor] = {}
        self._widened: dict[str, Tensor] = {}

    # The modes.

    def scoped(self, name: str) -> AbstractContextManager[None]:
        """Name nodes appended in the block after `name`, which replaces an outer block's scope."""
        return self._during(_scope=name)

    def picking(self, image: Tensor | None) -> AbstractContextManager[None]:
        """Read forward tensors at the images `image`, int64[B], one index per result.

        None stands for one result per image, in order.
        """
        return self._during(_image=image)

    def in_float32(self, wanted: bool = True) -> AbstractContextManager[None]:
        """Read forward tensors in half precision as float32 in the block, if `wanted`."""
        return self._during(_float32=self._float32 or wanted)

    @contextmanager
    def collecting(self) -> Iterator[list[Node]]:
        """Collect the nodes appended in the block in a list instead of in the graph."""
        nodes: list[Node] = []
        with self._during(_nodes=nodes):
            yield nodes

    @contextmanager
    def _during(self, **modes: object) -> Iterator[None]:
        before = {name: getattr(self, name) for name in modes}
        vars(self).update(modes)
        try:
            yield
        finally:
            vars(self).update(before)

    # Nodes.

    def __getattr__(self, op_type: str) -> Callable[..., Tensor]:
        if not op_type[:1].isupper():
            raise AttributeError(op_type)
        return lambda *inputs, **attrs: self._emit(op_type, inputs, attrs, 1)[0]

    def many(self, op_type: str, *inputs: Any, outputs: int, **attrs: Any) -> list[Tensor]:
        """Append an operator with several outputs, and return them."""
        return self._emit(op_type, inputs, attrs, outputs)

    def raw(self, op_type: str, *inputs: Any, **attrs: Any) -> Tensor:
        """Append an operator that reads forward tensors directly, not through `residual`."""
        return self._emit(op_type, inputs, attrs, 1, raw=True)[0]

    def append(self, node: Node) -> None:
        """Append an existing node."""
        (self.graph.nodes if self._nodes is None else self._nodes).append(node)

    def second_output(self, node: Node, base: str, dtype: DType) -> Tensor:
        """Return the second output of a forward node, such as MaxPool's indices.

        If the model omits that output, it is added with the shape of the first.
        """
        first = node.outputs[0]
        if len(node.outputs) < 2 or node.outputs[1].is_empty():
            second = gs.Variable(self.name(base), dtype=dtype, shape=first.shape)
            node.outputs = [first, second]
        if first.name in self._batched:
            self._batched.add(node.outputs[1].name)
        return node.outputs[1]

    def reduced(self, op_type: str, tensor: Tensor, axes: list[int], keepdims: int = 1) -> Tensor:
        """Append a reduction; its axes are an attribute until opset 17, an input from 18 on."""
        if self.opset < 18:
            return self._emit(op_type, (tensor,), {"axes": axes, "keepdims": keepdims}, 1)[0]
        return self._emit(op_type, (tensor, axes), {"keepdims": keepdims}, 1)[0]

    def mean(self, tensor: Tensor, axes: list[int]) -> Tensor:
        """Append the mean over the axes, which are kept with size 1."""
        return self.reduced("ReduceMean", tensor, axes)

    def zeros_like(self, tensor: Tensor, dtype: DType | None = None) -> Tensor:
        """Append zeros of the shape and the type of `residual(tensor)`."""
        return self.Expand(self.constant(0, dtype or self._dtype(tensor)), self.shape(tensor))

    def reshape_like(self, g: Tensor, tensor: Tensor) -> Tensor:
        """Reshape a signal to the shape of `residual(tensor)`."""
        shape = self.signal_shape(tensor)
        if shape is not None:
            unknown = [i for i, d in enumerate(shape) if not isinstance(d, int)]
            if len(unknown) <= 1 and 0 not in shape:
                return self.Reshape(g, [d if isinstance(d, int) else -1 for d in shape])
        return self.Reshape(g, self.shape(tensor), allowzero=1)

    def constant(self, values: Any, dtype: DType) -> Tensor:
        """Return a constant of the graph; equal constants share one tensor."""
        array = np.asarray(values, numpy_type(dtype))
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.own(gs.Constant(self.name("constant"), array))
        return self._constants[key]

    # The forward pass as the backward part reads it.

    @property
    def opset(self) -> int:
        """The version of the standard operator set."""
        return self.graph.opset

    def image_index(self, tensor: Tensor) -> Tensor | None:
        """Return each result's index along the tensor's batch axis, int64[B]; None: all."""
        return self._image if tensor.name in self._batched else None

    def residual(self, tensor: Tensor) -> Tensor:
        """Return the forward tensor with one entry along the batch axis per result."""
        image = self.image_index(tensor)
        if image is None:
            return tensor
        if tensor.name not in self._picked:
            gathered = self.raw("Gather", tensor, image, axis=0)
            if tensor.shape is not None:
                gathered.shape = self.signal_shape(tensor)
            self._picked[tensor.name] = gathered
        return self._picked[tensor.name]

    def shape(self, tensor: Tensor, start: int = 0) -> Tensor:
        """Append the shape of `residual(tensor)` from axis `start` on, without `residual`."""
        at = {"start": start} if start else {}
        image = self.image_index(tensor)
        if start or image is None:
            return self.raw("Shape", tensor, **at)
        return self.Concat(self.Shape(image), self.shape(tensor, 1), axis=0)

    def signal_shape(self, tensor: Tensor) -> Shape | None:
        """Return the static shape of a signal at `tensor`: its own, with the results' batch."""
        if tensor.shape is None:
            return None
        shape, image = list(tensor.shape), self.image_index(tensor)
        if image is not None and image.shape and shape:
            shape[0] = image.shape[0]
        return shape

    # Half precision: float32 where its range or its digits do not suffice.

    def widened(self, tensor: Tensor) -> Tensor:
        """Return the tensor as the backward part reads it, in float32 instead of half precision."""
        tensor = tensor if self.is_own(tensor) else self.residual(tensor)
        if not is_half(tensor):
            return tensor
        if tensor.name not in self._widened:
            cast = self.raw("Cast", tensor, to=FLOAT)
            cast.shape = tensor.shape
            self._widened[tensor.name] = cast
        return self._widened[tensor.name]

    def wide(self, tensor: Tensor) -> Tensor:
        """Return the tensor as the backward part reads it, in float32 within `in_float32`."""
        if self._float32:
            return self.widened(tensor)
        return tensor if self.is_own(tensor) else self.residual(tensor)

    def narrowed(self, tensor: Tensor, onnx_number: int) -> Tensor:
        """Return the tensor cast to the ONNX type number, unless it has that type already."""
        return tensor if onnx_type(tensor) == onnx_number else self.Cast(tensor, to=onnx_number)

    def signal_type(self, tensor: Tensor) -> int:
        """Return the ONNX type number of a signal at the forward tensor."""
        return FLOAT if self._float32 and is_half(tensor) else onnx_type(tensor)

    # Names and ownership.

    def name(self, base: str) -> str:
        """Return an unused tensor or node name that starts with `onnxplain/`."""
        stem = "/".join(filter(None, ["onnxplain", self._scope, base]))
        name, count = stem, 1
        while name in self._names:
            count += 1
            name = f"{stem}_{count}"
        self._names.add(name)
        return name

    def claim(self, *wanted: str) -> str:
        """Return the first unused name of those wanted, and reserve it."""
        name = next((w for w in wanted if w not in self._names), None) or self.name(wanted[-1])
        self._names.add(name)
        return name

    def own(self, tensor: Tensor) -> Tensor:
        """Mark `tensor` as emitted, so that it is read directly, not through `residual`."""
        self._own.add(tensor.name)
        return tensor

    def is_own(self, tensor: Tensor) -> bool:
        """Tell whether the tensor was emitted here and does not belong to the forward pass."""
        return tensor.name in self._own

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
        names = [name, *(f"{name}:{i}" for i in range(1, count))]
        outputs = [self.own(gs.Variable(n, dtype=dtype)) for n in names]
        self.append(gs.Node(op_type, name=name, attrs=attrs, inputs=inputs, outputs=outputs))
        return outputs

    def _input(self, value: Any, like: Any, raw: bool) -> Tensor:
        if value is None:
            return gs.Variable.empty()
        if isinstance(value, gs.Tensor):
            return value if raw or self.is_own(value) else self.wide(value)
        if isinstance(value, np.ndarray):
            return self.constant(value, value.dtype)
        if isinstance(value, list | tuple):
            return self.constant(value, np.int64)
        return self.constant(value, like)

    def _dtype(self, tensor: Tensor, raw: bool = False) -> Any:
        """Return the type that `tensor` is read in."""
        is_read_wide = self._float32 and not raw and not self.is_own(tensor) and is_half(tensor)
        return np.dtype(np.float32) if is_read_wide else tensor.dtype
