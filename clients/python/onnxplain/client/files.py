"""Model files on their way: checked as they arrive, and cut into pieces as they leave."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from onnxplain.client.errors import DataLossError, InvalidArgumentError, NotFoundError
from onnxplain.client.pieces import Told
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1.tensors import MAX_PART_BYTES

__all__ = ["ModelFile", "Upload", "whole_file"]

ModelFile: TypeAlias = "str | os.PathLike[str] | bytes"


def whole_file(parts: Sequence[pb.RewriteResponse]) -> bytes:
    """Return the file whose pieces these are. Raises ClientError if it is damaged."""
    data = b"".join(part.data for part in parts)
    if not parts or hashlib.sha256(data).hexdigest() != parts[0].sha256:
        raise DataLossError("the model arrived damaged: call again")
    return data


class Upload:
    """A model to upload, whose file is read twice: for its SHA-256, and piece by piece.

    model: the ONNX file or its bytes. name: of the version. progress: called with the bytes read,
    and their total. Raises ClientError if the file cannot be read.
    """

    def __init__(self, name: str, model: ModelFile, progress: Told) -> None:
        self._open = _opener(model)
        self._progress = progress
        digest = hashlib.sha256()
        with self._open() as file:
            while block := file.read(MAX_PART_BYTES):
                digest.update(block)
            size = file.tell()
        self._header = pb.UploadHeader(model=name, size_bytes=size, sha256=digest.hexdigest())

    def requests(self) -> Iterator[pb.UploadModelRequest]:
        """Yield the messages of the upload."""
        yield pb.UploadModelRequest(header=self._header)
        done = 0
        with self._open() as file:
            while data := file.read(MAX_PART_BYTES):
                yield pb.UploadModelRequest(data=data)
                done += len(data)
                if self._progress is not None:
                    self._progress(done, self._header.size_bytes)


def _opener(model: ModelFile) -> Callable[[], BinaryIO]:
    if isinstance(model, bytes):
        return lambda: io.BytesIO(model)

    def opened() -> BinaryIO:
        try:
            return Path(model).open("rb")
        except FileNotFoundError as e:
            raise NotFoundError(f"no file '{model}'", "MissingFile") from e
        except OSError as e:
            text = f"cannot read '{model}': {e.strerror}"
            raise InvalidArgumentError(text, "InputError") from e

    return opened
