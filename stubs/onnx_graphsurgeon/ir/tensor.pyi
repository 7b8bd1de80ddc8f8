from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx_graphsurgeon.ir.node import Node

# An ONNX number where NumPy has no such type.
_DType: TypeAlias = np.dtype[Any] | type[np.generic] | int
_Shape: TypeAlias = list[int | str | None]

class Tensor:
    name: str
    inputs: list[Node]
    outputs: list[Node]
    @property
    def shape(self) -> _Shape | None: ...
    @shape.setter
    def shape(self, shape: _Shape | None) -> None: ...
    @property
    def dtype(self) -> _DType | None: ...
    @dtype.setter
    def dtype(self, dtype: _DType | None) -> None: ...
    def is_empty(self) -> bool: ...

class Variable(Tensor):
    def __init__(
        self, name: str, dtype: _DType | None = None, shape: _Shape | None = None
    ) -> None: ...
    @staticmethod
    def empty() -> Variable: ...
    def to_constant(self, values: np.ndarray[Any, Any] | LazyValues) -> Constant: ...

class LazyValues:
    def __init__(self, tensor: onnx.TensorProto) -> None: ...
    tensor: onnx.TensorProto
    shape: list[int]
    def load(self) -> np.ndarray[Any, Any]: ...

class SparseValues(LazyValues): ...

class Constant(Tensor):
    _values: np.ndarray[Any, Any] | LazyValues
    @property
    def values(self) -> np.ndarray[Any, Any]: ...
    @values.setter
    def values(self, values: np.ndarray[Any, Any] | LazyValues) -> None: ...
    def __init__(self, name: str, values: np.ndarray[Any, Any] | LazyValues) -> None: ...
