"""The registry of methods, and what each makes of the signal."""

from onnxplain.graphops.methods.registry import (
    METHODS,
    RUN,
    Method,
    find_method,
    require_taken,
    takes,
)
from onnxplain.graphops.methods.sampling import gauss_legendre, standard_noise

__all__ = [
    "METHODS",
    "Method",
    "RUN",
    "find_method",
    "gauss_legendre",
    "require_taken",
    "standard_noise",
    "takes",
]
