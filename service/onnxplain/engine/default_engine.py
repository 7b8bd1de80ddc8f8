"""`explain`, by one engine that all callers of the process share."""

from __future__ import annotations

import threading
from inspect import cleandoc
from typing import Unpack

from onnxplain.engine.choices import Choices
from onnxplain.engine.engine import Engine
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.pictures import Images
from onnxplain.engine.runtime import Model
from onnxplain.engine.units import Units
from onnxplain.graphops import Method
from onnxplain.graphops.methods import DEFAULT_METHOD

__all__ = ["explain"]

_engine: list[Engine] = []
_lock = threading.Lock()


def explain(
    model: Model,
    images: Images,
    layer: str | None = None,
    method: str | Method = DEFAULT_METHOD,
    units: Units = None,
    **choices: Unpack[Choices],
) -> Explanation:
    """Explain units of a layer for each image, by an Engine that all callers share."""
    with _lock:
        if not _engine:
            _engine.append(Engine())
    return _engine[0].explain(model, images, layer, method, units, **choices)


# The sections are those of Engine.explain, then the choices.
_sections = (cleandoc(one.__doc__ or "").partition("\n\n")[2] for one in (Engine.explain, Choices))
explain.__doc__ = "\n\n".join((explain.__doc__ or "", *_sections))
