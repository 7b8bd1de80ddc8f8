"""Running a network as it is, without explaining anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from onnxplain.engine.pictures import Input, required_inputs
from onnxplain.engine.preparation import Machine
from onnxplain.engine.runtime import OpenedModel, Session
from onnxplain.graphops.errors import InputError, UnsupportedModel, nearest

__all__ = ["require_inputs", "run_network"]

Array = npt.NDArray[Any]


def run_network(
    machine: Machine, opened: OpenedModel, inputs: Mapping[str, Array], outputs: Sequence[str]
) -> dict[str, Array]:
    """Return outputs of the network by name, all if none is named; see `Engine.infer`."""
    require_inputs(opened, inputs)
    for one in required_inputs(opened.model):
        if one.name not in inputs:
            raise InputError(f"the input {one} is missing: give its values")

    def build() -> tuple[Session, int]:
        session = Session(opened.model, machine.device, machine.threads)
        return session, session.bytes

    session = machine.cache.get(("inference", opened.sha256), build)
    names = list(outputs) or list(session.outputs)
    for name in names:
        if name not in session.outputs:
            raise InputError(f"the model has no output '{name}' ({nearest(name, session.outputs)})")
    try:
        values = session.run(inputs, names, machine.stop)
    except UnsupportedModel as e:  # the graph is loaded, so it is these sizes that do not fit
        raise InputError(f"the model cannot run on these inputs: {e}") from e
    return dict(zip(names, values, strict=True))


def require_inputs(opened: OpenedModel, inputs: Mapping[str, Array]) -> None:
    """Raise InputError unless the model has inputs of these names, types and shapes."""
    known = {one.name: one for one in required_inputs(opened.model)}
    for name, values in inputs.items():
        if name not in known:
            raise InputError(f"the model has no input '{name}' ({nearest(name, known)})")
        if values.dtype != known[name].dtype or not _fits(values.shape, known[name]):
            raise InputError(
                f"the values for the input {known[name]} are {values.dtype} "
                f"{list(values.shape)}: give its type and shape"
            )


def _fits(shape: tuple[int, ...], one: Input) -> bool:
    return len(shape) == len(one.shape) and all(
        size == wanted if isinstance(wanted, int) else size > 0
        for size, wanted in zip(shape, one.shape, strict=True)
    )
