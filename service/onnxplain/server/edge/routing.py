"""Which worker takes a call: the same one for a model as long as that is up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TypeVar

__all__ = ["choose"]

T = TypeVar("T")


def choose(model: str, workers: Sequence[T], key: Callable[[T], str]) -> T:
    """Return the worker for a model, by rendezvous hashing.

    A worker that goes moves only its own models, and all edges choose alike.

    model: the full name. workers: those that are up, at least one. key: names a worker for good.
    """
    return max(workers, key=lambda worker: blake2b(f"{key(worker)}\0{model}".encode()).digest())
