"""Converts a classifier to a fully convolutional network, which slides over larger pictures."""

from onnxplain.graphops.fully_convolutional.convert import convolutionalize

__all__ = ["convolutionalize"]
