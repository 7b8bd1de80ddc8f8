"""From a classifier to a network that slides over larger pictures."""

from onnxplain.graphops.fully_convolutional.convert import convolutionalize

__all__ = ["convolutionalize"]
