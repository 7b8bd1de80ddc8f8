"""The faithfulness of maps, in numbers."""

from onnxplain.engine.evaluation.evaluate import Evaluation, class_methods, evaluate

__all__ = ["Evaluation", "class_methods", "evaluate"]
