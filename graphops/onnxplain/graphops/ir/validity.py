"""Distinguishing invalid models from defects of onnxplain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx

from onnxplain.graphops.errors import (
    CorruptModel,
    OnnxplainError,
    OutOfMemory,
    UnsupportedModel,
    one_line,
)
from onnxplain.graphops.ir.large import fits
from onnxplain.graphops.ir.parts import all_nodes
from onnxplain.graphops.ir.shape_inference import without_large_constants

__all__ = ["diagnosing"]

STANDARD = ("", "ai.onnx", "ai.onnx.ml")


@contextmanager
def diagnosing(model: onnx.ModelProto) -> Iterator[None]:
    """Raise CorruptModel in place of an unexpected exception if `model` is invalid.

    Running out of memory, or of Python's stack, is told as OutOfMemory or UnsupportedModel.

    Damaged models fail in unpredictable ways, and a full check beforehand would refuse some that
    run; so ONNX's full check runs only after an exception.
    """
    try:
        yield
    except OnnxplainError:
        raise
    except MemoryError as e:
        raise OutOfMemory(
            f"out of memory while the model was read or rewritten: {one_line(e)}"
        ) from e
    except RecursionError as e:
        raise UnsupportedModel("the model's nodes depend on each other too deeply") from e
    except Exception as e:
        reason = _invalid(model)
        if reason is None:
            raise
        raise CorruptModel(f"the model is not valid ONNX: {reason}") from e


def _invalid(model: onnx.ModelProto) -> str | None:
    try:
        onnx.checker.check_model(
            model if fits(model) else without_large_constants(model), full_check=True
        )
    # the checker's own errors, and those of its parts on invalid text and overflowing sizes
    except Exception as e:
        return one_line(e) or type(e).__name__
    functions = {(f.domain, f.name) for f in model.functions}
    for node in all_nodes(model):
        if node.domain not in STANDARD and (node.domain, node.op_type) not in functions:
            return f"nothing defines its operator '{node.op_type}' of domain '{node.domain}'"
    return None
