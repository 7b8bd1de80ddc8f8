"""Brings any source model to the one form that the rest works on."""

from onnxplain.graphops.canonicalize.ceil_mode import settle_ceil_mode
from onnxplain.graphops.canonicalize.constant_if import take_branches
from onnxplain.graphops.canonicalize.constant_sizes import settle_sizes
from onnxplain.graphops.canonicalize.free_batch import free_batch
from onnxplain.graphops.canonicalize.same_padding import settle_same_padding
from onnxplain.graphops.canonicalize.upgrade_opset import upgrade

__all__ = [
    "free_batch",
    "settle_ceil_mode",
    "settle_same_padding",
    "settle_sizes",
    "take_branches",
    "upgrade",
]
