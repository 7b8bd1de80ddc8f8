"""Read-only analyses: layers, names, channel and batch axes, receptive fields, cost."""

from onnxplain.graphops.analysis.batch_axis import BATCHED, MIXED, batch_dimension, track_batch
from onnxplain.graphops.analysis.channel_axis import channel_axis, has_channels_last
from onnxplain.graphops.analysis.cost import Arithmetic
from onnxplain.graphops.analysis.input_size import resize_input
from onnxplain.graphops.analysis.inputs import (
    needed_inputs,
    single_image_inputs,
    unbatched_tensors,
)
from onnxplain.graphops.analysis.landmarks import (
    NORMALIZERS,
    class_score,
    default_target,
    last_convolutional_block,
)
from onnxplain.graphops.analysis.layers import Layer, list_layers
from onnxplain.graphops.analysis.names import resolve

__all__ = [
    "Arithmetic",
    "BATCHED",
    "Layer",
    "MIXED",
    "NORMALIZERS",
    "batch_dimension",
    "channel_axis",
    "class_score",
    "default_target",
    "has_channels_last",
    "last_convolutional_block",
    "list_layers",
    "needed_inputs",
    "resize_input",
    "resolve",
    "single_image_inputs",
    "track_batch",
    "unbatched_tensors",
]
