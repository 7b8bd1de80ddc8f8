"""Telling a model's fault from a defect of this program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx

from onnxplain.graphops.errors import CorruptModel, OnnxplainError

__all__ = ["blaming"]


@contextmanager
def blaming(model: onnx.ModelProto) -> Iterator[None]:
    """Raise CorruptModel in place of an unforeseen exception that an invalid `model` leads to.

    Damaged models fail in more ways than can be foreseen, and checking each in full beforehand
    would refuse some that run; so ONNX's full check is asked only when something went wrong.
    """
    try:
        yield
    except OnnxplainError:
        raise
    except Exception as e:
        reason = _invalid(model)
        if reason is None:
            raise
        raise CorruptModel(f"the model is not valid ONNX: {reason}") from e


def _invalid(model: onnx.ModelProto) -> str | None:
    try:
        onnx.checker.check_model(model, full_check=True)
    # the checker's own errors, and what its parts raise on text that is none, sizes that overflow
    except Exception as e:
        return " ".join(str(e).split()) or type(e).__name__
    return None
