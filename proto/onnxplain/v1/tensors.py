"""Conversion between NumPy arrays and tensor messages: little-endian bytes, a shape and a type."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.v1 import explain_pb2 as pb

__all__ = ["MAX_PART_BYTES", "from_array", "join", "split", "to_array"]

# Fixed in v1: the longest piece of anything that is sent in pieces.
MAX_PART_BYTES = 2**20

_DTYPES: dict[pb.DataType, np.dtype[Any]] = {
    pb.DATA_TYPE_FLOAT: np.dtype("<f4"),
    pb.DATA_TYPE_UINT8: np.dtype("u1"),
    pb.DATA_TYPE_INT8: np.dtype("i1"),
    pb.DATA_TYPE_UINT16: np.dtype("<u2"),
    pb.DATA_TYPE_INT16: np.dtype("<i2"),
    pb.DATA_TYPE_INT32: np.dtype("<i4"),
    pb.DATA_TYPE_INT64: np.dtype("<i8"),
    pb.DATA_TYPE_BOOL: np.dtype("?"),
    pb.DATA_TYPE_FLOAT16: np.dtype("<f2"),
    pb.DATA_TYPE_DOUBLE: np.dtype("<f8"),
    pb.DATA_TYPE_UINT32: np.dtype("<u4"),
    pb.DATA_TYPE_UINT64: np.dtype("<u8"),
}
_DATA_TYPES = {dtype: data_type for data_type, dtype in _DTYPES.items()}


def from_array(array: npt.NDArray[Any]) -> pb.Tensor:
    """Return `array` as a message. Raises ValueError for a dtype without a DataType."""
    data_type, data = _raw(array)
    return pb.Tensor(data_type=data_type, shape=array.shape, data=data)


def to_array(tensor: pb.Tensor) -> npt.NDArray[Any]:
    """Return the message's array, read-only. Raises ValueError if its fields are inconsistent."""
    return _array(tensor.data_type, tensor.shape, tensor.data)


def split(array: npt.NDArray[Any]) -> Iterator[pb.TensorPart]:
    """Yield `array` in pieces of at most MAX_PART_BYTES; an empty array has one empty piece.

    Raises ValueError for a dtype without a DataType.
    """
    data_type, data = _raw(array)
    for offset in range(0, max(len(data), 1), MAX_PART_BYTES):
        piece = data[offset : offset + MAX_PART_BYTES]
        yield pb.TensorPart(data_type=data_type, shape=array.shape, offset=offset, data=piece)


def join(parts: Iterable[pb.TensorPart]) -> npt.NDArray[Any]:
    """Return the array whose pieces are `parts`. Raises ValueError if a piece is missing."""
    pieces = list(parts)
    length = 0
    for piece in pieces:
        if piece.offset != length:
            raise ValueError(f"a piece begins at byte {piece.offset}, expected {length}")
        length += len(piece.data)
    if not pieces:
        raise ValueError("there is no piece of the tensor")
    return _array(pieces[0].data_type, pieces[0].shape, b"".join(piece.data for piece in pieces))


def _raw(array: npt.NDArray[Any]) -> tuple[pb.DataType, bytes]:
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _DATA_TYPES:
        known = ", ".join(d.name for d in _DATA_TYPES)
        raise ValueError(f"no tensor type for {array.dtype}: convert the array to one of {known}")
    return _DATA_TYPES[dtype], array.astype(dtype, copy=False).tobytes()


def _array(data_type: pb.DataType, shape: Sequence[int], data: bytes) -> npt.NDArray[Any]:
    if data_type not in _DTYPES:
        raise ValueError(f"unknown data type {data_type}")
    dtype = _DTYPES[data_type]
    if any(size < 0 for size in shape):
        raise ValueError(f"the shape {list(shape)} has a negative size")
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(
            f"a tensor {dtype.name}{list(shape)} has {math.prod(shape) * dtype.itemsize} bytes, "
            f"not {len(data)}"
        )
    array = np.frombuffer(data, dtype).reshape(tuple(shape))
    return array.astype(dtype.newbyteorder("="), copy=False)
