"""What all streams of the service have in common: progress, and pieces that belong together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

import numpy.typing as npt

from onnxplain.client.errors import DataLossError
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

__all__ = ["Groups", "Told", "is_progress", "joined"]

Told: TypeAlias = "Callable[[int, int], None] | None"
Message = TypeVar("Message")


class Groups(Generic[Message]):
    """Hands over messages in a row that have one key, together, to `take`."""

    def __init__(
        self, key: Callable[[Message], Hashable], take: Callable[[list[Message]], None]
    ) -> None:
        self._key, self._take = key, take
        self._group: list[Message] = []

    def add(self, message: Message) -> None:
        """Add the next message."""
        if self._group and self._key(message) != self._key(self._group[-1]):
            self.end()
        self._group.append(message)

    def end(self) -> None:
        """Hand over the last messages."""
        group, self._group = self._group, []
        if group:
            self._take(group)


def is_progress(
    message: pb.ExplainUnitsResponse | pb.ViewResponse | pb.EvaluateResponse,
    progress: Told,
    passes: Told,
) -> bool:
    """Return whether a message tells of progress, after it was passed on to the callbacks."""
    if message.WhichOneof("part") != "progress":
        return False
    told = message.progress
    if told.runs_total:
        if passes is not None:
            passes(told.runs_done, told.runs_total)
    elif progress is not None:
        progress(told.done, told.total)
    return True


def joined(parts: Iterable[pb.TensorPart]) -> npt.NDArray[Any]:
    """Return the array of its pieces. Raises ClientError if one is missing."""
    try:
        return tensors.join(parts)
    except ValueError as e:
        raise DataLossError(f"the response is damaged: {e}") from e
