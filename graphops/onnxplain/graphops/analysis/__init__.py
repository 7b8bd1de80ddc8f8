"""Read-only analyses: layers, names, channel and batch axes, receptive fields, cost."""

from onnxplain.graphops.analysis.axis_roles import (
    UNTRACED,
    Axes,
    Places,
    has_channels_last,
    trace_axes,
)
from onnxplain.graphops.analysis.batch_axis import BATCHED, MIXED, batch_dimension, track_batch
from onnxplain.graphops.analysis.class_score import (
    ClassScore,
    class_score,
    find_class_score,
    score_and_axes,
)
from onnxplain.graphops.analysis.cost import Arithmetic
from onnxplain.graphops.analysis.input_size import resize_input
from onnxplain.graphops.analysis.landmarks import default_target, last_convolutional_block
from onnxplain.graphops.analysis.layers import Layer, list_layers
from onnxplain.graphops.analysis.names import resolve
from onnxplain.graphops.analysis.normalizers import NORMALIZERS

__all__ = [
    "Arithmetic",
    "Axes",
    "BATCHED",
    "ClassScore",
    "Layer",
    "MIXED",
    "NORMALIZERS",
    "Places",
    "UNTRACED",
    "batch_dimension",
    "class_score",
    "default_target",
    "find_class_score",
    "has_channels_last",
    "last_convolutional_block",
    "list_layers",
    "resize_input",
    "resolve",
    "score_and_axes",
    "trace_axes",
    "track_batch",
]
