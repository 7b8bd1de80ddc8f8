"""What a source of models has to do, and what it tells of each version."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from onnxplain.registry.names import full_name

__all__ = ["ModelSource", "ModelVersion"]


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model in a source.

    model: the model's own name. number: the version's number, from 1. stamp: a text that changes
    whenever the content of the version does. problem: why it cannot be opened, or "".
    """

    model: str
    number: int
    stamp: str = ""
    problem: str = ""

    @property
    def name(self) -> str:
        """The resource name, `models/{model}/versions/{version}`."""
        return full_name(self.model, self.number)


class ModelSource(Protocol):
    """A place that holds versions of models, such as a folder.

    A source that is not on this machine fetches what is opened into a folder of its own.
    """

    def list(self) -> Sequence[ModelVersion]:
        """Return every version of every model, in any order.

        Returns:
            The versions; none where the source cannot be reached for now.

        Raises:
            Nothing.
        """

    def open(self, version: ModelVersion) -> Path:
        """Return the file of a version, on this machine.

        Args:
            version: one that `list` returned, or that may be there.

        Returns:
            The path of the ONNX file, with its external data, if any, beside it.

        Raises:
            MissingModel: the source does not have it, or no longer.
            UnsupportedModel: it has a problem that keeps it from being opened.
        """

    def watch(self) -> AsyncIterator[None]:
        """Wait for changes.

        Yields:
            Once as soon as it watches, and then whenever `list` may return something else.

        Raises:
            Nothing.
        """
