"""Models above 2 GiB, which protobuf cannot write in one piece: their large tensors stand apart."""

from __future__ import annotations

import math
from collections.abc import Container

import onnx
from google.protobuf.message import Message
from onnx import numpy_helper

__all__ = ["bytes_of", "fits", "join", "raw", "size_of", "split"]

LIMIT = 2**31 - 2**20  # bytes of one protobuf message, less what estimates may miss
LARGE = 2**16  # bytes of a tensor that is worth standing apart


def size_of(model: onnx.ModelProto) -> int:
    """Return the bytes of the model, tensors included."""
    large = [t for t in model.graph.initializer if bytes_of(t) >= LARGE]
    return split(model)[0].ByteSize() + sum(map(bytes_of, large))


def fits(model: onnx.ModelProto) -> bool:
    """Tell whether the model can be written in one piece."""
    return sum(map(bytes_of, model.graph.initializer)) < LIMIT


def split(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[onnx.TensorProto]]:
    """Return a copy whose large initialisers have no values, and these initialisers themselves."""
    light = onnx.ModelProto()
    _copy(model, light, {"graph"})
    _copy(model.graph, light.graph, {"initializer"})
    large = []
    for tensor in model.graph.initializer:
        if bytes_of(tensor) < LARGE:
            light.graph.initializer.append(tensor)
            continue
        large.append(tensor)
        light.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    return light, large


def join(light: onnx.ModelProto, large: list[onnx.TensorProto]) -> None:
    """Put the values of large initialisers back, in place."""
    values = {tensor.name: tensor for tensor in large}
    for tensor in light.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(values[tensor.name])


def bytes_of(tensor: onnx.TensorProto) -> int:
    """Return the bytes of a tensor's values."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return math.prod(tensor.dims) * kind.itemsize


def raw(tensor: onnx.TensorProto) -> bytes:
    """Return a tensor's values as they stand in a file of external data."""
    if tensor.HasField("raw_data"):
        return tensor.raw_data
    return numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data


def _copy(source: Message, target: Message, left_out: Container[str]) -> None:
    for field, value in source.ListFields():
        if field.name in left_out:
            continue
        if field.is_repeated:
            getattr(target, field.name).extend(value)
        elif field.message_type is not None:
            getattr(target, field.name).CopyFrom(value)
        else:
            setattr(target, field.name, value)
