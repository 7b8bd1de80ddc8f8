"""Read-only analyses: layers, names, paths, what axes run along, receptive fields, cost."""

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
from onnxplain.graphops.analysis.cone import Cone, LocalNetwork
from onnxplain.graphops.analysis.cost import Arithmetic
from onnxplain.graphops.analysis.input_size import resize_input
from onnxplain.graphops.analysis.inputs import needed_inputs, single_image_inputs, unbatched_tensors
from onnxplain.graphops.analysis.landmarks import default_target
from onnxplain.graphops.analysis.layers import Layer, list_layers
from onnxplain.graphops.analysis.map_layer import map_layer
from onnxplain.graphops.analysis.map_layout import MapLayout, layout_of
from onnxplain.graphops.analysis.names import resolve
from onnxplain.graphops.analysis.normalizers import NORMALIZERS
from onnxplain.graphops.analysis.path import Path, find_path

__all__ = [
    "Arithmetic",
    "Axes",
    "BATCHED",
    "ClassScore",
    "Cone",
    "Layer",
    "LocalNetwork",
    "MIXED",
    "MapLayout",
    "NORMALIZERS",
    "Path",
    "Places",
    "UNTRACED",
    "batch_dimension",
    "class_score",
    "default_target",
    "find_class_score",
    "find_path",
    "has_channels_last",
    "layout_of",
    "list_layers",
    "map_layer",
    "needed_inputs",
    "resize_input",
    "resolve",
    "score_and_axes",
    "single_image_inputs",
    "trace_axes",
    "track_batch",
    "unbatched_tensors",
]
