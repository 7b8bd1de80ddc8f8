"""The engine's registry of methods, and the computation of those that take many runs."""

from typing import TYPE_CHECKING

from onnxplain.engine.methods.registry import (
    METHODS,
    EngineMethod,
    drawn_as,
    find_method,
    method_options,
    method_title,
    own_options,
)
from onnxplain.graphops.lazy_import import on_first_use

if TYPE_CHECKING:
    from onnxplain.engine.methods.occlusion import windows
    from onnxplain.engine.methods.running import run_method

__all__ = [
    "METHODS",
    "EngineMethod",
    "drawn_as",
    "find_method",
    "method_options",
    "method_title",
    "own_options",
    "run_method",
    "windows",
]

__getattr__ = on_first_use(__name__, {"run_method": "running", "windows": "occlusion"})
