"""The registry of methods, and how each computes its attribution."""

from typing import TYPE_CHECKING

from onnxplain.graphops.lazy_import import on_first_use
from onnxplain.graphops.methods.lookup import find_method, require_taken
from onnxplain.graphops.methods.method import Imported, Method
from onnxplain.graphops.methods.registry import DEFAULT_METHOD, METHODS
from onnxplain.graphops.methods.spelling import methods_meant, plain, unknown_method

if TYPE_CHECKING:
    from onnxplain.graphops.methods.drawn_noise import noise_of_seed
    from onnxplain.graphops.methods.sampling import gauss_legendre, standard_noise

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "Imported",
    "Method",
    "find_method",
    "gauss_legendre",
    "methods_meant",
    "noise_of_seed",
    "plain",
    "require_taken",
    "standard_noise",
    "unknown_method",
]

__getattr__ = on_first_use(
    __name__,
    {
        "gauss_legendre": "sampling",
        "noise_of_seed": "drawn_noise",
        "standard_noise": "sampling",
    },
)
