"""The faithfulness of maps, in numbers."""

from onnxplain.engine.evaluation.evaluate import class_methods, evaluate
from onnxplain.engine.evaluation.measurements import Evaluation, Evaluations

__all__ = ["Evaluation", "Evaluations", "class_methods", "evaluate"]
