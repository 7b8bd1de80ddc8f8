"""Brings any source model to the one form that the rest works on."""

from onnxplain.graphops.canonicalize.canonical_graph import CanonicalGraph, canonicalize

__all__ = ["CanonicalGraph", "canonicalize"]
