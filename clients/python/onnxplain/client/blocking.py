"""Coroutines as plain functions: what a client does is written once, for threads and asyncio."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

__all__ = ["blocking", "finished"]

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits, as all over a BlockingTransport."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a coroutine waited where only a blocking call may")


@overload
def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Any, P], T]: ...
@overload
def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, S]], then: Callable[[S], T]
) -> Callable[Concatenate[Any, P], T]: ...
def blocking(method: Any, then: Callable[[Any], Any] = lambda result: result) -> Any:
    """Return the method of a class whose `_calls` has `method`, a coroutine.

    then: what is made of the result.
    """

    @functools.wraps(method)
    def called(self: Any, *arguments: Any, **options: Any) -> Any:
        return then(finished(method(self._calls, *arguments, **options)))

    return called
