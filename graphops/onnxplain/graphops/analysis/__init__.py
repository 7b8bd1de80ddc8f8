"""Read-only analyses: layers, names, channel and batch axes, receptive fields, cost."""

from onnxplain.graphops.analysis.batch_axis import BATCHED, MIXED, batch_dimension, track_batch
from onnxplain.graphops.analysis.channel_axis import channel_axis, has_channels_last
from onnxplain.graphops.analysis.class_score import (
    ClassScore,
    class_score,
    find_class_score,
    required_class_score,
)
from onnxplain.graphops.analysis.cost import Arithmetic
from onnxplain.graphops.analysis.input_size import resize_input
from onnxplain.graphops.analysis.landmarks import default_target, last_convolutional_block
from onnxplain.graphops.analysis.layers import Layer, list_layers
from onnxplain.graphops.analysis.names import resolve
from onnxplain.graphops.analysis.output_trail import NORMALIZERS

__all__ = [
    "Arithmetic",
    "BATCHED",
    "ClassScore",
    "Layer",
    "MIXED",
    "NORMALIZERS",
    "batch_dimension",
    "channel_axis",
    "class_score",
    "default_target",
    "find_class_score",
    "has_channels_last",
    "last_convolutional_block",
    "list_layers",
    "required_class_score",
    "resize_input",
    "resolve",
    "track_batch",
]
