"""What the tests of the command line share: the result of a run, and writing a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper


@dataclass
class Result:
    """What a run of the command line did. `error` is what it wrote on stderr."""

    code: int
    out: str
    error: str

    @property
    def error_line(self) -> str:
        """The one line on stderr of a failed run."""
        lines = self.error.splitlines()
        assert len(lines) == 1, self.error
        assert lines[0].startswith("onnxplain: error: "), self.error
        return lines[0]


Run = Callable[..., Result]


def write_model(path: Path, text: str, **weights: np.ndarray) -> Path:
    """Write the model in ONNX's text form, with float32 weights, to `path`."""
    model = onnx.parser.parse_model(text)
    for name, values in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.float32(values), name))
    onnx.save(model, path)
    return path
