"""The faithfulness of maps, in numbers."""

from onnxplain.engine.evaluation.evaluate import (
    Evaluation,
    Evaluations,
    class_methods,
    evaluate,
)

__all__ = ["Evaluation", "Evaluations", "class_methods", "evaluate"]
