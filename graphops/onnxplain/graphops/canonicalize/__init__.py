"""Brings a source model to canonical form, the only form that the other folders process."""

from onnxplain.graphops.canonicalize.canonical_graph import CanonicalGraph, canonicalize
from onnxplain.graphops.canonicalize.ceil_mode import correct_ceil_mode

__all__ = ["CanonicalGraph", "canonicalize", "correct_ceil_mode"]
