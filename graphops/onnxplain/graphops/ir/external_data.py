"""The values of tensors that lie in files beside the model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import external_data_helper

from onnxplain.graphops.errors import CorruptModel, MissingFile, UnsafeModel

__all__ = ["read_values", "refuse_outside"]


def refuse_outside(tensors: Iterable[onnx.TensorProto], name: str) -> None:
    """Raise UnsafeModel if a tensor's values are not in the model itself, which came as bytes."""
    for tensor in tensors:
        if external_data_helper.uses_external_data(tensor):
            raise UnsafeModel(
                f"tensor '{tensor.name}' of the {name} is stored in another file; a model passed "
                "as bytes must contain all its tensors: save it without external data"
            )


def read_values(tensors: Iterable[onnx.TensorProto], folder: Path, name: str) -> int:
    """Read the values that lie in files beside the model, into the tensors.

    folder: the model's. ONNX opens no link there, neither a symbolic nor a hard one, nor anything
    else than a regular file. Returns the number of bytes read. Raises MissingFile, UnsafeModel or
    CorruptModel.
    """
    total = 0
    for tensor in tensors:
        if external_data_helper.uses_external_data(tensor):
            total += _read(tensor, folder, name)
    return total


def _read(tensor: onnx.TensorProto, folder: Path, name: str) -> int:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    what = f"tensor '{tensor.name}' of {name}"
    try:
        path = folder / location
        missing = path.resolve().is_relative_to(folder.resolve()) and not path.exists()
    except (OSError, ValueError) as e:  # a name that is too long, or contains a NUL
        raise UnsafeModel(f"{what} is stored in a file whose name no system has") from e
    if missing:
        raise MissingFile(
            f"{what} is stored in '{location}', which is missing: put that file beside the model"
        )
    length = entries.get("length") or str(_length(tensor))
    if "length" not in entries:
        tensor.external_data.add(key="length", value=length)
    try:
        external_data_helper.load_external_data_for_tensor(tensor, str(folder))
    except (onnx.checker.ValidationError, RuntimeError) as e:
        raise UnsafeModel(
            f"{what} is stored outside the model's folder, behind a link, or in no regular file: "
            f"put the values of all tensors into files beside the model"
        ) from e
    except ValueError as e:
        raise CorruptModel(
            f"{what} is stored in a file that is damaged or too short: '{location}'"
        ) from e
    except OSError as e:
        raise MissingFile(f"{what} is stored in an unreadable file: {e.strerror}") from e
    tensor.ClearField("data_location")
    return int(length)


def _length(tensor: onnx.TensorProto) -> int:
    """Return the bytes that the shape says, 0 where it is damaged, which is told later."""
    try:
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError:
        return 0
    return max(0, math.prod(tensor.dims) * kind.itemsize)
