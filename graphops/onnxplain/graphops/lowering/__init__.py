"""Two lowerings of one graph: `plain` is the textbook graph, `fast` is the same in other operators.

`fast_rules` has the rules whose fast form differs as a whole, and `lower` replaces single nodes of
what the rules emitted. Both know only targets on which they were measured.
"""

from onnxplain.graphops.lowering.faster_rules import fast_rules, form_of
from onnxplain.graphops.lowering.lower import FASTER, Choice, lower
from onnxplain.graphops.lowering.one_row import OneUnit

__all__ = ["FASTER", "Choice", "OneUnit", "fast_rules", "form_of", "lower"]
