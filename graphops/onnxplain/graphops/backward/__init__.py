"""The backward part: selecting the unit, seeding its signal, and walking it back to the target."""

from onnxplain.graphops.analysis import Path, find_path
from onnxplain.graphops.backward.context import Attribution, Rules, Walk, prepared, projected
from onnxplain.graphops.backward.forward_copy import repeat_forward
from onnxplain.graphops.backward.openvino_workaround import separate_shared_weights
from onnxplain.graphops.backward.reverse import (
    chained,
    has_rule,
    require_rules,
    require_signal,
    require_signals,
    reverse,
)
from onnxplain.graphops.backward.seed import (
    Unit,
    channel_values,
    column,
    negated,
    seed_at_layer,
    seed_at_unit,
    seed_from_cotangent,
)
from onnxplain.graphops.backward.selection import Interface, select_unit

__all__ = [
    "Attribution",
    "Interface",
    "Path",
    "Rules",
    "Unit",
    "Walk",
    "chained",
    "channel_values",
    "column",
    "find_path",
    "has_rule",
    "negated",
    "separate_shared_weights",
    "seed_at_unit",
    "seed_from_cotangent",
    "seed_at_layer",
    "prepared",
    "projected",
    "repeat_forward",
    "require_rules",
    "require_signal",
    "require_signals",
    "reverse",
    "select_unit",
]
