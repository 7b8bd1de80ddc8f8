"""Operations as files, which outlive the service: state, request and results of each."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from google.protobuf import json_format, proto

from onnxplain.graphops.errors import ServiceError
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["KeptOperation", "OperationFiles"]

log = logging.getLogger(__name__)

UNFINISHED = (pb.OPERATION_STATE_QUEUED, pb.OPERATION_STATE_RUNNING)


@dataclass
class KeptOperation:
    """An operation as it is kept.

    operation: what its caller sees of it. caller: whose it is. version: the full name of the model
    that it runs on, whichever is the newest meanwhile. starts: how often it was begun. size: of its
    request, as long as it has not ended, and its results, in bytes.
    """

    operation: pb.Operation
    caller: str
    version: str
    starts: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        """Its resource name."""
        return self.operation.name

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.operation.state not in UNFINISHED

    def order(self) -> tuple[int, str]:
        """Return what sorts operations, the newest first."""
        return -self.operation.create_time.ToNanoseconds(), self.name

    def end(self) -> int:
        """Return when it ended, in nanoseconds."""
        return self.operation.end_time.ToNanoseconds()


class OperationFiles:
    """A folder of operations, which one service uses at a time.

    Each is ID.json, with ID.request until it has ended, and ID.results: ReadOperationResponses,
    each after its length. Raises ServiceError if another service uses the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (folder / "lock").open("w")
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as e:
                self._lock.close()
                raise ServiceError(
                    f"another service keeps its operations in '{folder}': give each its own folder"
                ) from e

    def close(self) -> None:
        """Let another service use the folder."""
        self._lock.close()

    def load(self) -> list[KeptOperation]:
        """Return the operations of the folder, and remove what belongs to none of them."""
        kept = [one for path in self._folder.glob("*.json") if (one := _read(path)) is not None]
        names = {_id(one.name) for one in kept}
        for path in self._folder.iterdir():
            if path.suffix in (".request", ".results", ".new") and path.stem not in names:
                path.unlink()
        return kept

    def keep_request(self, kept: KeptOperation, request: bytes) -> None:
        """Keep the serialised request of an operation, before its state."""
        self._path(kept, "request").write_bytes(request)

    def save(self, kept: KeptOperation) -> None:
        """Keep an operation's state, and of one that has ended only what it still needs."""
        fields = {
            "operation": json_format.MessageToDict(kept.operation),
            "caller": kept.caller,
            "version": kept.version,
            "starts": kept.starts,
            "size": kept.size,
        }
        new = self._path(kept, "new")
        new.write_text(json.dumps(fields, indent=1), encoding="utf-8")
        new.replace(self._path(kept, "json"))
        if kept.ended:
            self._path(kept, "request").unlink(missing_ok=True)
            if kept.operation.state != pb.OPERATION_STATE_SUCCEEDED:
                self._path(kept, "results").unlink(missing_ok=True)

    def request(self, kept: KeptOperation) -> bytes:
        """Return the serialised request of an operation that has not ended."""
        return self._path(kept, "request").read_bytes()

    @contextmanager
    def results(
        self, kept: KeptOperation
    ) -> Iterator[Callable[[pb.ReadOperationResponse], object]]:
        """Yield what writes an operation's results, one after the other."""
        with self._path(kept, "results").open("wb") as file:
            yield lambda message: proto.serialize_length_prefixed(message, file)  # type: ignore[arg-type]

    def read(self, kept: KeptOperation) -> Iterator[pb.ReadOperationResponse]:
        """Return an operation's results, which can be read even if it is removed meanwhile."""
        return _messages(self._path(kept, "results").open("rb"))

    def remove(self, kept: KeptOperation) -> None:
        """Forget an operation."""
        for suffix in ("json", "request", "results"):
            self._path(kept, suffix).unlink(missing_ok=True)

    def _path(self, kept: KeptOperation, suffix: str) -> Path:
        return self._folder / f"{_id(kept.name)}.{suffix}"


def _id(name: str) -> str:
    return name.removeprefix("operations/")


def _messages(file: BinaryIO) -> Iterator[pb.ReadOperationResponse]:
    message_type = pb.ReadOperationResponse
    with file:
        while (message := proto.parse_length_prefixed(message_type, file)) is not None:  # type: ignore[arg-type]
            yield message


def _read(path: Path) -> KeptOperation | None:
    """Return the operation that a file describes; None, and a line in the log, if it is damaged."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        operation = json_format.ParseDict(fields.pop("operation"), pb.Operation())
        if _id(operation.name) != path.stem:
            raise ValueError(f"it describes '{operation.name}'")
        return KeptOperation(operation, **fields)
    except (OSError, ValueError, KeyError, TypeError, json_format.ParseError) as e:
        log.error("%s: not an operation, left out: %s", path.name, e)
        return None
