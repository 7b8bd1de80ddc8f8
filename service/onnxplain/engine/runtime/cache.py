"""A cache bounded in bytes, for models and sessions that several threads share."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Self, TypeVar

__all__ = ["SMALL_BYTES", "ByteCache"]

SMALL_BYTES = 2**14  # of a value that is small, with its key

T = TypeVar("T")


class ByteCache:
    """A least-recently-used cache of up to `limit` bytes.

    A value is built once however many threads ask for it: the others wait. A value whose build
    raises is not kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._built: list[Hashable] | None = None

    def noting(self, built: list[Hashable] | None) -> Self:
        """Return this cache for one call: it appends the keys of what it has to build to a list."""
        cache = copy.copy(self)
        cache._built = built
        return cache

    @property
    def bytes(self) -> int:
        """The bytes of all values."""
        with self._lock:
            return sum(self._sizes.values())

    def get(self, key: Hashable, build: Callable[[], tuple[T, int]]) -> T:
        """Return the value of `key`; `build` returns a new value and its bytes."""
        with self._lock:
            future = self._values.get(key)
            mine = future is None
            if future is None:
                future = self._values[key] = Future()
            self._values.move_to_end(key)
        if not mine:
            value: T = future.result()
            return value
        if self._built is not None:
            self._built.append(key)
        try:
            value, size = build()
        except BaseException as e:
            with self._lock:
                del self._values[key]
            future.set_exception(e)
            raise
        future.set_result(value)
        with self._lock:
            self._sizes[key] = size
            self._shrink()
        return value

    def _shrink(self) -> None:
        # A value that is still being built has no size yet, and stays.
        for key in [k for k in self._values if k in self._sizes]:
            if sum(self._sizes.values()) <= self.limit:
                break
            del self._values[key], self._sizes[key]
