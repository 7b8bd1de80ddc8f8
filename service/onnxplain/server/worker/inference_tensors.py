"""Conversion between the Open Inference Protocol's tensors and NumPy arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from onnxplain.graphops.errors import AnswerTooLarge, InputError, UnsupportedModel
from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.server.worker.models import Value

__all__ = [
    "MAX_INFERENCE_BYTES",
    "input_arrays",
    "requested_outputs",
    "tensor_metadata",
    "with_outputs",
]

MAX_INFERENCE_BYTES = 64 * 2**20  # of a response, as of a request; promised in the proto

Array = npt.NDArray[Any]


class _Datatype(NamedTuple):
    """A datatype of the protocol: its NumPy dtype, and the field of typed contents."""

    dtype: np.dtype[Any]
    field: str


DATATYPES = {
    "BOOL": _Datatype(np.dtype("?"), "bool_contents"),
    "UINT8": _Datatype(np.dtype("u1"), "uint_contents"),
    "UINT16": _Datatype(np.dtype("<u2"), "uint_contents"),
    "UINT32": _Datatype(np.dtype("<u4"), "uint_contents"),
    "UINT64": _Datatype(np.dtype("<u8"), "uint64_contents"),
    "INT8": _Datatype(np.dtype("i1"), "int_contents"),
    "INT16": _Datatype(np.dtype("<i2"), "int_contents"),
    "INT32": _Datatype(np.dtype("<i4"), "int_contents"),
    "INT64": _Datatype(np.dtype("<i8"), "int64_contents"),
    "FP16": _Datatype(np.dtype("<f2"), ""),
    "FP32": _Datatype(np.dtype("<f4"), "fp32_contents"),
    "FP64": _Datatype(np.dtype("<f8"), "fp64_contents"),
}
NAMES = {datatype.dtype.name: name for name, datatype in DATATYPES.items()}
NOT_SERVED = {"string": "BYTES", "bfloat16": "BF16"}  # the protocol's other datatypes


def tensor_metadata(value: Value) -> pb.ModelMetadataResponse.TensorMetadata:
    """Return an input or output of a model as a message.

    A dtype that the protocol has no name for is written in capitals.
    """
    return pb.ModelMetadataResponse.TensorMetadata(
        name=value.name,
        datatype=NAMES.get(value.dtype) or NOT_SERVED.get(value.dtype) or value.dtype.upper(),
        shape=[size if isinstance(size, int) and size > 0 else -1 for size in value.shape],
    )


def requested_outputs(request: pb.ModelInferRequest) -> list[str]:
    """Return the names of the requested outputs. Raises InputError for an invalid one."""
    names: dict[str, None] = {}
    for i, output in enumerate(request.outputs):
        if output.name in names:
            raise InputError(f"outputs[{i}].name: '{output.name:.100}' is there twice")
        for name in output.parameters:
            raise InputError(f"outputs[{i}].parameters: '{name:.100}' is not served: leave it out")
        names[output.name] = None
    return list(names)


def input_arrays(request: pb.ModelInferRequest) -> dict[str, Array]:
    """Return the request's inputs by name, read-only. Raises InputError for an invalid one."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InputError(
            f"raw_input_contents: {len(raw)} values for {len(request.inputs)} inputs: send the "
            "bytes of every input, or typed contents of every input"
        )
    arrays: dict[str, Array] = {}
    for i, tensor in enumerate(request.inputs):
        field = f"inputs[{i}]"
        if tensor.name in arrays:
            raise InputError(f"{field}.name: '{tensor.name}' is there twice")
        for name in tensor.parameters:
            raise InputError(f"{field}.parameters: '{name}' is not served: send the values instead")
        if tensor.datatype not in DATATYPES:
            raise InputError(
                f"{field}.datatype: '{tensor.datatype}' is not served: send one of "
                f"{', '.join(DATATYPES)}"
            )
        if any(size < 0 for size in tensor.shape):
            raise InputError(f"{field}.shape: {_shown(tensor.shape)} has a negative size")
        if not raw:
            values = _typed(field, tensor)
        elif tensor.contents.ListFields():
            raise InputError(f"{field}.contents: set beside raw_input_contents: leave one of them")
        else:
            values = _from_bytes(f"raw_input_contents[{i}]", tensor, raw[i])
        try:
            arrays[tensor.name] = values.reshape(tuple(tensor.shape))
        except ValueError as e:  # more dimensions than NumPy knows
            raise InputError(f"{field}.shape: {_shown(tensor.shape)}: {e}") from e
    return arrays


def with_outputs(
    response: pb.ModelInferResponse, outputs: Mapping[str, Array], raw: bool
) -> pb.ModelInferResponse:
    """Add outputs to a response, as raw bytes, or as typed contents where all of them have these.

    Raises AnswerTooLarge, and UnsupportedModel for an output that the protocol cannot carry.
    """
    kinds = {
        name: NAMES.get(getattr(v, "dtype", np.dtype(object)).name) for name, v in outputs.items()
    }
    for name, kind in kinds.items():
        if kind is None:
            raise UnsupportedModel(
                f"the output '{name}' is no tensor of numbers: name the other outputs to return"
            )
    if sum(values.nbytes for values in outputs.values()) > MAX_INFERENCE_BYTES:
        raise _too_large()
    raw = raw or not all(DATATYPES[str(kind)].field for kind in kinds.values())
    for name, values in outputs.items():
        kind = str(kinds[name])
        output = response.outputs.add(name=name, datatype=kind, shape=values.shape)
        datatype = DATATYPES[kind]
        if raw:
            response.raw_output_contents.append(values.astype(datatype.dtype, copy=False).tobytes())
        else:
            getattr(output.contents, datatype.field).extend(values.ravel().tolist())
    if response.ByteSize() > MAX_INFERENCE_BYTES:
        raise _too_large()
    return response


def _from_bytes(field: str, tensor: pb.ModelInferRequest.InferInputTensor, data: bytes) -> Array:
    dtype = DATATYPES[tensor.datatype].dtype
    size = math.prod(tensor.shape) * dtype.itemsize
    if len(data) != size:
        raise InputError(
            f"{field}: {len(data)} bytes, and {tensor.datatype} {_shown(tensor.shape)} has {size}"
        )
    if dtype.kind == "b":
        return np.frombuffer(data, np.uint8).astype(bool)  # of any bytes
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)


def _typed(field: str, tensor: pb.ModelInferRequest.InferInputTensor) -> Array:
    dtype, name = DATATYPES[tensor.datatype]
    if not name:
        raise InputError(f"{field}.datatype: {tensor.datatype} has only raw_input_contents")
    for other, _ in tensor.contents.ListFields():
        if other.name != name:
            raise InputError(
                f"{field}.contents.{other.name}: does not hold {tensor.datatype}: set {name}"
            )
    values = np.array(getattr(tensor.contents, name), _widest(dtype))
    if len(values) != math.prod(tensor.shape):
        raise InputError(
            f"{field}.contents.{name}: {len(values)} values, and the shape {_shown(tensor.shape)} "
            f"has {math.prod(tensor.shape)}"
        )
    if dtype.kind in "iu" and len(values):
        limits = np.iinfo(dtype)
        if values.min() < limits.min or values.max() > limits.max:
            raise InputError(
                f"{field}.contents.{name}: values outside {limits.min} to {limits.max}, the range "
                f"of {tensor.datatype}"
            )
    return values.astype(dtype.newbyteorder("="), copy=False)


def _widest(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the field that holds the values."""
    return {"i": np.dtype("i8"), "u": np.dtype("u8")}.get(dtype.kind, dtype)


def _shown(shape: Any) -> str:
    """Return a shape as text, of which a hostile request may have megabytes."""
    return f"{list(shape)}" if len(shape) <= 16 else f"of {len(shape)} sizes"


def _too_large() -> AnswerTooLarge:
    return AnswerTooLarge(
        f"the response exceeds {MAX_INFERENCE_BYTES} bytes: request fewer outputs, images or "
        "channels, or call ExplainUnits, which streams its results"
    )
