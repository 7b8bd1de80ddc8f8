"""From a unit of a layer to the signal at the target: path, seed, selection, the walk."""

from onnxplain.graphops.backward.context import Attribution, Rules, Walk, projected, table_of
from onnxplain.graphops.backward.forward_copy import repeat_forward
from onnxplain.graphops.backward.openvino import part_weights
from onnxplain.graphops.backward.path import Path, find_path, first_explainable
from onnxplain.graphops.backward.reverse import has_rule, require_rules, require_signal, reverse
from onnxplain.graphops.backward.seed import place, place_given_seed, place_whole
from onnxplain.graphops.backward.selection import Interface, select_unit

__all__ = [
    "Attribution",
    "Interface",
    "Path",
    "Rules",
    "Walk",
    "find_path",
    "first_explainable",
    "has_rule",
    "part_weights",
    "place",
    "place_given_seed",
    "place_whole",
    "projected",
    "repeat_forward",
    "require_rules",
    "require_signal",
    "reverse",
    "select_unit",
    "table_of",
]
