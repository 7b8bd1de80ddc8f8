"""Brings a source model to canonical form, the only form that the other folders process."""

from onnxplain.graphops.canonicalize.canonical_graph import CanonicalGraph, canonicalize

__all__ = ["CanonicalGraph", "canonicalize"]
