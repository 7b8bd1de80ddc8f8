"""The methods of one engine that all callers of the process share, as functions."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, cast

from onnxplain.engine.engine import Engine

__all__ = [
    "evaluate", "explain", "invariance", "maps", "occlusion", "slide", "top", "training",
]  # fmt: skip


class _Shared:
    """Stands for the engine that all callers share, which is made at the first call."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(Engine, name)

        @functools.wraps(method)
        def shared(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                self._engine = self._engine or Engine()
            return method(self._engine, *arguments, **options)

        signature = inspect.signature(method)
        own = list(signature.parameters.values())[1:]
        vars(shared)["__signature__"] = signature.replace(parameters=own)
        shared.__name__ = shared.__qualname__ = name
        shared.__module__ = __name__
        return shared


_shared = cast(Engine, _Shared())

evaluate = _shared.evaluate
explain = _shared.explain
invariance = _shared.invariance
maps = _shared.maps
occlusion = _shared.occlusion
slide = _shared.slide
top = _shared.top
training = _shared.training
