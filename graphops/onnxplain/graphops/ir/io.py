"""Reading models from files or bytes, and writing them atomically.

A model may store its large tensors in external files. They are read for a model with a path, from
its own folder, and refused for bytes, whose sender must not read this machine's files.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError

from onnxplain.graphops.errors import (
    CorruptModel,
    MissingFile,
    OutputError,
    UnsupportedModel,
    missing_file,
    one_line,
)
from onnxplain.graphops.ir.external_data import read_values, refuse_outside
from onnxplain.graphops.ir.large import fits, raw, split
from onnxplain.graphops.ir.parts import require_values, tensors_of
from onnxplain.graphops.ir.shape_inference import require_consistent, without_large_constants
from onnxplain.graphops.ir.tidying import declared, tidy
from onnxplain.graphops.ir.validity import diagnosing

__all__ = ["MAX_OPSET", "MIN_OPSET", "load", "read_metadata", "save", "write_atomically"]

ALIGNED = 4096  # bytes; runtimes map the tensors of a file of external data into memory
SESSION_OPTIONS = "ort_config"  # metadata from which ONNX Runtime may read them
MIN_OPSET = 7
MAX_OPSET = 26


def load(source: str | os.PathLike[str] | bytes) -> onnx.ModelProto:
    """Read and check a model, with all its tensors in memory.

    Args:
        source: a path, or the bytes of a file, which must contain all tensors.

    Returns:
        The model, external tensors read into it.

    Raises:
        MissingFile: the model or a file of its tensors cannot be read.
        CorruptModel: the model is not valid ONNX.
        UnsafeModel: a tensor lies outside the model's folder, or `source` is bytes and refers to
            external files.
        UnsupportedModel: the opset is not one of 7 to 26.
    """
    if not isinstance(source, str | bytes | os.PathLike):
        raise TypeError(
            "the model must be the path or the bytes of an ONNX file, or a ModelProto, not "
            f"{source!r:.60} ({type(source).__name__}): export a network of another framework first"
        )
    name = "model" if isinstance(source, bytes) else f"'{os.fspath(source)}'"
    data = source if isinstance(source, bytes) else _read(source, name)
    model = _parse(data, name)
    tensors = tensors_of(model, name)
    checked: onnx.ModelProto | bytes = data  # the checker would serialise a ModelProto again
    read = 0
    if isinstance(source, bytes):
        refuse_outside(tensors, name)
    else:
        read = read_values(tensors, Path(source).resolve().parent, name)
    require_values(tensors, len(data) + read, name)
    if read:
        checked = model if fits(model) else without_large_constants(model)
    with diagnosing(model):
        _check(model, checked, name)
    return model


def save(model: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a model to a file, whole or not at all.

    Args:
        model: the model. Its tensors are written into the same file, or, where that would exceed
            2 GiB, into another beside it, whose name has `.data` appended.
        path: the file, which is replaced if it exists.

    Raises:
        OutputError: the file cannot be written.
    """
    if fits(model):
        write_atomically(path, model.SerializeToString())
        return
    light, large = split(model)
    target = Path(os.path.realpath(path))
    _write_apart(target.with_name(f"{target.name}.data"), light, large)
    write_atomically(target, light.SerializeToString())


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to a temporary file beside `path` and rename it. Raises OutputError.

    A link is followed. A device or a pipe is written to directly.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        with replacing(target) as file:
            file.write(data)
    except OSError as e:
        raise OutputError(f"cannot write '{os.fspath(path)}': {e.strerror or e}") from e


def _write_apart(path: Path, light: onnx.ModelProto, large: Sequence[onnx.TensorProto]) -> None:
    """Write large tensors' values to a file, which the model then names. Raises OutputError."""
    headers = {tensor.name: tensor for tensor in light.graph.initializer}
    try:
        with replacing(path) as file:
            for tensor in large:
                header, offset = headers[tensor.name], file.tell()
                header.data_location = onnx.TensorProto.EXTERNAL
                length = file.write(raw(tensor))
                for key, value in (
                    ("location", path.name), ("offset", str(offset)), ("length", str(length))
                ):  # fmt: skip
                    header.external_data.add(key=key, value=value)
                file.write(bytes(-length % ALIGNED))
    except OSError as e:
        raise OutputError(f"cannot write '{path}': {e.strerror or e}") from e


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `target`, which replaces it after the block. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Return the metadata properties of a model.

    Args:
        model: a source model or an artefact, whose properties start with `onnxplain.`.

    Returns:
        The values of the properties by key.
    """
    return {entry.key: entry.value for entry in model.metadata_props}


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operator set that the model imports, 0 if none."""
    return max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


def _read(path: str | os.PathLike[str], name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as e:
        raise missing_file(path, name) from e
    except OSError as e:
        raise MissingFile(f"cannot read {name}: {e.strerror}") from e


def _parse(data: bytes, name: str) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as e:
        raise CorruptModel(
            f"{name} is not an ONNX model, or is truncated: its bytes do not parse"
        ) from e
    if not model.HasField("graph") or not model.opset_import:
        raise CorruptModel(f"{name} is not an ONNX model: it has no graph or no operator set")
    # Nothing stays that only ONNX Runtime would read: fields of another version, session options.
    model.DiscardUnknownFields()
    kept = [entry for entry in model.metadata_props if entry.key != SESSION_OPTIONS]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    return model


def _check(model: onnx.ModelProto, checked: onnx.ModelProto | bytes, name: str) -> None:
    """Raise UnsupportedModel or CorruptModel.

    checked: the model, or the bytes that it was read from.
    """
    opset = opset_of(model)
    if not MIN_OPSET <= opset <= MAX_OPSET:
        raise UnsupportedModel(
            f"{name} has opset {opset}; opsets {MIN_OPSET} to {MAX_OPSET} are supported: "
            "export the model again for one of these"
        )
    try:
        onnx.checker.check_model(checked)
    except (onnx.checker.ValidationError, ValueError):
        tidy(model)
        try:
            light = model if fits(model) else without_large_constants(model)
            onnx.checker.check_model(declared(light))
        except (onnx.checker.ValidationError, ValueError) as e:
            raise CorruptModel(f"{name} is not valid ONNX: {one_line(e)}") from e
    try:
        require_consistent(model)
    except CorruptModel as e:
        raise CorruptModel(f"{name} is not valid ONNX: {e}") from e
